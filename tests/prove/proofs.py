"""The proofs themselves: a crash at each point, and random murder. Each returns what the judge said."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from foundation import postgres
from foundation.database import Database
from tests.conftest import PEPPER
from tests.prove import audience, workers
from tests.prove.audience import Verdict
from tests.prove.provider import Faults, Provider
from tests.prove.workers import Setting

POINTS = {
    "C0": "enrolling",
    "C1": "enrolled",
    "C2": "claimed",
    "C3": "intent",
    "C4": "rcpt",
    "C5": "accepted",
    "C6": "answered",
    "C7": "recorded",
    "C11": "swept",
}
"""Where a worker is killed: before and after enrolling, after the claim, after the intent, in the middle of the call,
once the provider has accepted, once its answer is read, after it is recorded, and between two sweeps."""

BY_PROVIDER = ("C4", "C5")


@contextmanager
def provider(folder: Path, faults: Faults, *, seed: int = 0) -> Iterator[Provider]:
    """A provider for as long as the block lasts."""
    running = Provider(folder, faults, seed=seed)
    try:
        yield running
    finally:
        running.stop()


def crash_at(
    url: str, folder: Path, point: str, *, seed: int, size: int = 4, tries: int = 3
) -> tuple[Verdict, Verdict]:
    """One worker dies at `point`, another finishes. The verdict before and after the provider's reports. A worker so
    slow that its lease lapsed on the way ends sound and proves nothing: it is done anew."""
    db, dice = Database(url, pepper=PEPPER), random.Random(seed)
    killer = POINTS[point] if point in BY_PROVIDER else None
    with provider(folder, Faults(kill_at=killer), seed=seed) as witness:
        setting = workers.setting_for(url, witness.port, folder)
        audience.prepare(db, size, now=setting.now())
        passes = dice.randint(1, size) if point in ("C3", "C6", "C7") else 1
        doomed = workers.start(workers.once, setting, POINTS[point], passes, killer is not None)
        doomed.join(30)
        if doomed.exitcode == 0 and tries > 1:
            db.dispose()
            return crash_at(url, folder / "again", point, seed=seed, size=size, tries=tries - 1)
        if doomed.exitcode != -9:
            raise AssertionError(f"the worker was to be killed at {point} and ended with {doomed.exitcode}")
        _finish(db, setting)
        before = audience.judge(db, witness.accepted(), audience=size)
        audience.confirm(db, witness.accepted(), now=setting.now())
        after = audience.judge(db, witness.accepted(), audience=size)
    db.dispose()
    return before, after


def _finish(db: Database, setting: Setting, *, seconds: float = 30.0) -> None:
    """Sound workers go on until nothing moves by itself any more. Their leases are long: on a busy machine they are
    slow, not dead."""
    until, sound = time.monotonic() + seconds, replace(setting, lease=seconds)
    while True:
        last = workers.start(workers.once, sound, "never", 1, False)
        last.join(30)
        if last.exitcode != 0:
            raise AssertionError(f"a sound worker ended with {last.exitcode}")
        if not workers.unfinished(db):
            return
        if time.monotonic() > until:
            raise AssertionError("messages still move after half a minute")
        time.sleep(setting.lease / 2)


def crash_in_webhook(url: str, folder: Path, *, seed: int, size: int = 4) -> tuple[Verdict, Verdict]:
    """C8: reports are being taken in when the process dies; the provider sends them again."""
    db = Database(url, pepper=PEPPER)
    with provider(folder, Faults(lost_answers=1.0), seed=seed) as witness:
        setting = workers.setting_for(url, witness.port, folder)
        audience.prepare(db, size, now=setting.now())
        _finish(db, setting)
        doomed = workers.start(workers.reporting, setting, witness.accepted())
        doomed.join(30)
        before = audience.judge(db, witness.accepted(), audience=size)
        audience.confirm(db, witness.accepted(), now=setting.now())
        after = audience.judge(db, witness.accepted(), audience=size)
    db.dispose()
    return before, after


@dataclass(frozen=True, slots=True)
class Murder:
    """What random killing came to. `repeated` messages were handed over more than once, after a refusal; `altered` of
    them were other bytes the second time."""

    kills: int
    seconds: float
    before: Verdict
    after: Verdict
    repeated: int = 0
    altered: int = 0


def random_murder(
    url: str,
    folder: Path,
    *,
    size: int,
    crew: int = 4,
    pause: float = 0.5,
    jitter: float = 0.25,
    most: int = 10**9,
    seed: int = 1,
) -> Murder:
    """A2, A13: `crew` workers, one of them killed every half second or so, at most `most` times; a provider that loses
    2 % of its answers, refuses 2 % for now and breaks down on 1 %; the campaign's words changed all the while."""
    db, dice = Database(url, pepper=PEPPER), random.Random(seed)
    with provider(folder, Faults(lost_answers=0.02, refused=0.02, broken=0.01), seed=seed) as witness:
        setting = workers.setting_for(url, witness.port, folder, lease=2.0)
        audience.prepare(db, size, now=setting.now())
        workers.start(workers.enrol, setting).join()
        staff = [workers.start(workers.for_ever, setting) for _ in range(crew)]
        editor = workers.start(workers.editing, setting)
        began, kills = time.monotonic(), 0
        while workers.unfinished(db):
            time.sleep(max(0.05, pause + dice.uniform(-jitter, jitter)))
            if kills >= most:
                continue
            unlucky = dice.randrange(crew)
            staff[unlucky].kill()
            staff[unlucky].join()
            kills += 1
            staff[unlucky] = workers.start(workers.for_ever, setting)
        seconds = time.monotonic() - began
        for one in (*staff, editor):
            one.kill()
            one.join()
        before = audience.judge(db, witness.accepted(), audience=size)
        audience.confirm(db, witness.accepted(), now=setting.now())
        after = audience.judge(db, witness.accepted(), audience=size)
        repeated, altered = _again(witness)
    db.dispose()
    return Murder(kills, seconds, before, after, repeated, altered)


def _again(witness: Provider) -> tuple[int, int]:
    """How many messages were handed over more than once, and how many of those in other words."""
    told: dict[str, list[str]] = {}
    for message_id, hashed, _ in witness.seen():
        told.setdefault(message_id, []).append(hashed)
    repeated = [hashes for hashes in told.values() if len(hashes) > 1]
    return len(repeated), sum(len(set(hashes)) > 1 for hashes in repeated)


def database_murder(folder: Path, *, size: int, kills: int, crew: int = 2) -> Murder:
    """C9: PostgreSQL itself is killed with all its children, and started again, while messages leave."""
    home = folder / "postgres"
    db = Database(postgres.attach(home), pepper=PEPPER)
    db.migrate()
    with provider(folder, Faults()) as witness:
        setting = workers.setting_for(db.url, witness.port, folder, lease=2.0)
        audience.prepare(db, size, now=setting.now())
        workers.start(workers.enrol, setting).join()
        staff = [workers.start(workers.for_ever, setting) for _ in range(crew)]
        began = time.monotonic()
        for _ in range(kills):
            time.sleep(0.7)
            workers.kill_database(home)
            db.dispose()
            postgres.attach(home)
        while workers.unfinished(db):
            time.sleep(0.2)
        seconds = time.monotonic() - began
        for one in staff:
            one.kill()
            one.join()
        before = audience.judge(db, witness.accepted(), audience=size)
        audience.confirm(db, witness.accepted(), now=setting.now())
        after = audience.judge(db, witness.accepted(), audience=size)
    db.dispose()
    return Murder(kills, seconds, before, after)
