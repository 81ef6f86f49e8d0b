"""`make prove`: the proofs at full length, against PostgreSQL servers of their own. Prints their figures."""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from foundation import postgres
from foundation.database import Database
from tests import emptying
from tests.campaigns import machine, test_machine
from tests.conftest import PEPPER
from tests.ledger import machine as sender
from tests.prove import again, codes, frozen, goodbyes, lanes, proofs, relaunch, reports_in, senders, stops
from tests.prove.audience import Verdict


def main() -> None:
    """Runs all of it, or what was named, and exits 1 if one promise was broken."""
    given = _asked()
    with tempfile.TemporaryDirectory(prefix="relance-prove-", ignore_cleanup_errors=True) as name:
        ground = Ground(postgres.attach(Path(name) / "postgres"), Path(name), given)
        Database(ground.url, pepper=PEPPER).migrate()
        sound = [PROOFS[one](ground) for one in given.which or PROOFS]
    raise SystemExit(0 if all(sound) else 1)


def _asked() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    asked.add_argument("which", nargs="*", choices=[*PROOFS, []], help="only these")
    asked.add_argument("--repetitions", type=int, default=200, help="of each crash point (default 200)")
    asked.add_argument("--points", nargs="+", default=[*proofs.POINTS, "C8"], help="of the crashes, only these")
    asked.add_argument("--seed", type=int, default=0, help="of the first of them (default 0)")
    asked.add_argument("--messages", type=int, default=10_000, help="under random murder (default 10,000)")
    asked.add_argument("--frozen", type=int, default=200, help="workers at each point (default 200)")
    asked.add_argument("--database-kills", type=int, default=4, help="of PostgreSQL itself (default 4)")
    asked.add_argument("--web-kills", type=int, default=20, help="of the web server that takes events in (default 20)")
    asked.add_argument("--queue", type=int, default=200_000, help="messages beside the orders (default 200,000)")
    asked.add_argument("--leaving", type=int, default=1_000, help="people who unsubscribe (default 1,000)")
    asked.add_argument("--pauses", type=int, default=100, help="of a campaign under way (default 100)")
    asked.add_argument("--people", type=int, default=500, help="wanted by twenty campaigns at once (default 500)")
    asked.add_argument("--codes", type=int, default=200, help="that fifty clients use at once (default 200)")
    asked.add_argument("--guesses", type=int, default=100_000, help="of promo codes (default 100,000)")
    asked.add_argument("--households", type=int, default=10_000, help="relaunched in simulated time (default 10,000)")
    asked.add_argument("--pause", type=float, default=0.6, help="seconds between their kills (default 0.6)")
    asked.add_argument("--examples", type=int, default=400, help="runs of the state machine (default 400)")
    return asked.parse_args()


@dataclass(frozen=True, slots=True)
class Ground:
    """A migrated database, a folder, and what was asked for."""

    url: str
    folder: Path
    given: argparse.Namespace

    @property
    def db(self) -> Database:
        return Database(self.url, pepper=PEPPER)


def every_crash(ground: Ground) -> bool:
    """Each point in turn."""
    given = ground.given
    seeds = range(given.seed, given.seed + given.repetitions)
    return all([crashes(ground.url, ground.folder / point, point, seeds) for point in given.points])


def random_murder(ground: Ground) -> bool:
    """Workers killed at random, the words changed all the while."""
    result = proofs.random_murder(ground.url, ground.folder / "murder", size=ground.given.messages)
    sound = murder("random murder", result)
    print(f"       handed over more than once {result.repeated}, of them in other words {result.altered}", flush=True)
    return sound and not result.altered


def ordered(ground: Ground) -> bool:
    """The same for what was ordered, until nothing is in doubt."""
    result = again.ordered(ground.url, ground.folder / "ordered", size=ground.given.messages)
    return murder("mails somebody ordered", result) and not result.after.uncertain


def frozen_workers(ground: Ground) -> bool:
    """Workers stopped with a message in hand, ten at a time."""
    began, told = time.monotonic(), list[Verdict]()
    for point in frozen.POINTS:
        for turn in range(ground.given.frozen // 10):
            told.append(frozen.freeze(ground.url, ground.folder / point / str(turn), point, frozen=10, seed=turn))
    return tell("frozen workers", told, told, seconds=time.monotonic() - began)


def database_killed(ground: Ground) -> bool:
    """PostgreSQL itself."""
    kills = ground.given.database_kills
    return murder("C9 database killed", proofs.database_murder(ground.folder / "c9", size=6_000, kills=kills))


def orders_beside(ground: Ground) -> bool:
    """Orders beside a campaign to very many."""
    told = lanes.orders_beside(ground.url, ground.folder / "lanes", size=ground.given.queue, orders=60)
    sound = len(told.seconds) == 60 and told.p(0.95) <= 10
    figures = f"p50 {told.p(0.5):.2f} s, p95 {told.p(0.95):.2f} s, longest {told.seconds[-1]:.2f} s"
    print(f"{_word(sound)} orders beside {told.queued} queued, {told.sent} of them sent: {figures}", flush=True)
    return sound


def goodbye(ground: Ground) -> bool:
    """Everybody leaves while messages go out, by link and by text message."""
    sound = True
    for way in ("unsubscribe", "stop"):
        _empty(ground.db)
        told = goodbyes.leave(ground.db, ground.folder / way, people=ground.given.leaving, way=way)
        sound = sound and not told.began_after
        print(f"{_word(not told.began_after)} {way}: {told.left} left, {told.spared} before their message did, "
              f"begun after the answer {told.began_after}", flush=True)  # fmt: skip
    return sound


def pauses(ground: Ground) -> bool:
    """A campaign paused again and again while senders work."""
    _empty(ground.db)
    told = stops.pause_often(ground.db, ground.folder / "pauses", pauses=ground.given.pauses)
    sound = not told.began_after and not told.twice and told.flying <= 2 * stops.SENDERS
    print(f"{_word(sound)} pauses: {told.pauses}, begun after an answer {told.began_after}, on their way at most "
          f"{told.flying}, {told.handed} handed over, twice {told.twice}", flush=True)  # fmt: skip
    return sound


def cap(ground: Ground) -> bool:
    """Twenty campaigns want the same people, and four senders work."""
    _empty(ground.db)
    told = stops.cap_everybody(
        ground.db, ground.folder / "cap", people=ground.given.people, campaigns=20, senders=4, cap=2
    )
    sound = set(told.got) == {2}
    print(f"{_word(sound)} cap of two: {told.got.total()} people, {told.wanted} messages wanted; people by messages "
          f"they got: {dict(told.got)}", flush=True)  # fmt: skip
    return sound


def reports(ground: Ground) -> bool:
    """The web server killed while a provider posts signed reports."""
    _empty(ground.db)
    told = reports_in.killed_server(ground.db, ground.folder / "reports", messages=2_000, kills=ground.given.web_kills)
    sound = told.delivered == told.kept == told.messages and not told.twice
    print(f"{_word(sound)} reports: {told.messages} in {told.posts} posts, {told.kills} kills, {told.delivered} "
          f"delivered, {told.kept} kept, twice {told.twice}", flush=True)  # fmt: skip
    return sound


def codes_at_once(ground: Ground) -> bool:
    """Promo codes used by fifty at once, and guessed at."""
    _empty(ground.db)
    told = codes.race(
        ground.db, ground.folder / "codes", clients=50, codes=ground.given.codes, guesses=ground.given.guesses
    )
    used = told.answers[200, None]
    sound = used == told.redeemed == told.codes and told.answers.total() == 50 * told.codes and told.looked_at <= 20
    print(f"{_word(sound)} codes: {told.codes} codes, {told.answers.total()} tries, redeemed {told.redeemed}; "
          f"{ground.given.guesses} guesses, {told.looked_at} looked at in the first minute, {told.refused} refused",
          flush=True)  # fmt: skip
    return sound


def households(ground: Ground) -> bool:
    """The relaunch of thousands."""
    size, pause = ground.given.households, ground.given.pause
    return relaunched(relaunch.relaunch(ground.url, ground.folder / "relaunch", size=size, pause=pause))


PROOFS: dict[str, Callable[[Ground], bool]] = {
    "crashes": every_crash,
    "murder": random_murder,
    "ordered": ordered,
    "frozen": frozen_workers,
    "database": database_killed,
    "events": lambda ground: taken_in(ground.db, ground.folder, kills=ground.given.web_kills),
    "lanes": orders_beside,
    "goodbyes": goodbye,
    "reports": reports,
    "pauses": pauses,
    "cap": cap,
    "codes": codes_at_once,
    "relaunch": households,
    "machine": lambda ground: random_days(ground.db, ground.folder / "machine", examples=ground.given.examples),
}


def crashes(url: str, folder: Path, point: str, seeds: range) -> bool:
    """One crash point, many times."""
    began, before, after = time.monotonic(), [], []
    for seed in seeds:
        prove = proofs.crash_in_webhook if point == "C8" else None
        home = folder / str(seed)
        verdicts = prove(url, home, seed=seed) if prove else proofs.crash_at(url, home, point, seed=seed)
        before.append(verdicts[0])
        after.append(verdicts[1])
    return tell(f"{point} x {len(seeds)}", before, after, seconds=time.monotonic() - began)


def murder(name: str, result: proofs.Murder) -> bool:
    """Random kills."""
    rate = f", {result.kills} kills, {result.before.audience / result.seconds:.0f} messages/s"
    return tell(name, [result.before], [result.after], seconds=result.seconds, more=rate)


def taken_in(db: Database, folder: Path, *, kills: int) -> bool:
    """The web server killed while events come in."""
    began = time.monotonic()
    told, record = senders.murder(db, folder, kills=kills)
    figures = f"answered for {len(told.answered)}, stored {record.stored}, lost {record.lost}, doubled {record.doubled}"
    print(f"{_word(record.sound)} events: {figures}, {told.kills} kills ({time.monotonic() - began:.0f} s)", flush=True)
    return record.sound


def relaunched(told: relaunch.Told) -> bool:
    """The basket relaunch of thousands, killed at random: its report beside an independent count."""
    audience, funnel, lift = told.report.funnel.audience, told.report.funnel, told.report.lift
    figures = {
        "everybody": audience.total,
        "entered": audience.entered,
        "held out": sum(audience.held_out.values()),
        "refused": sum(audience.refused.values()),
        "messages": sum(stage.planned for stage in funnel.stages),
        "accepted": told.accepted,
        "duplicates": told.duplicates,
        "buyers": f"{lift.treated.buyers} and {lift.held_out.buyers} held out",
        "orders credited": told.report.earned.orders,
        "kills": told.kills,
    }
    said = ", ".join(f"{name} {figure}" for name, figure in figures.items())
    print(
        f"{_word(told.sound)} relaunch of {told.size}: {said} ({told.seconds:.0f} s)",
        *told.wrong,
        sep="\n       ",
        flush=True,
    )
    return told.sound


def random_days(db: Database, folder: Path, *, examples: int) -> bool:
    """The state machines at length."""
    began = time.monotonic()
    _empty(db)
    long = settings(test_machine.SHORT, max_examples=examples, stateful_step_count=60, derandomize=False)
    run_state_machine_as_test(machine.machine(db), settings=long)
    _empty(db)
    run_state_machine_as_test(sender.machine(db, folder), settings=long)
    seconds = time.monotonic() - began
    print(f"held   state machines of engine and sender: {examples} runs of 60 steps each ({seconds:.0f} s)", flush=True)
    return True


def _empty(db: Database) -> None:
    with db.begin() as conn:
        emptying.empty(conn)


def _word(sound: bool) -> str:
    return "held  " if sound else "BROKEN"


def tell(name: str, before: list[Verdict], after: list[Verdict], *, seconds: float, more: str = "") -> bool:
    """One line of figures, added up; whether every promise held."""
    sound = all(one.sound for one in (*before, *after)) and not sum(one.uncertain_accepted for one in after)
    figures = {
        "audience": sum(one.audience for one in before),
        "accepted": sum(one.accepts for one in before),
        "duplicates": sum(one.duplicates for one in after),
        "lost": sum(one.lost for one in after),
        "uncertain": sum(one.uncertain for one in before),
        "after reports": sum(one.uncertain for one in after),
    }
    told = ", ".join(f"{word} {number}" for word, number in figures.items())
    print(f"{_word(sound)} {name}: {told}{more} ({seconds:.0f} s)", flush=True)
    return sound


if __name__ == "__main__":
    main()
