"""`make prove`: the proofs at full length, against PostgreSQL servers of their own. Prints their figures."""

import argparse
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from foundation import postgres
from foundation.database import Database, metadata
from tests.campaigns import machine, test_machine
from tests.prove import proofs, relaunch, senders
from tests.prove.audience import Verdict


def main() -> None:
    """Runs all of it and exits 1 if one promise was broken."""
    asked = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    asked.add_argument("--repetitions", type=int, default=200, help="of each crash point (default 200)")
    asked.add_argument("--messages", type=int, default=10_000, help="under random murder (default 10,000)")
    asked.add_argument("--database-kills", type=int, default=4, help="of PostgreSQL itself (default 4)")
    asked.add_argument("--web-kills", type=int, default=20, help="of the web server that takes events in (default 20)")
    asked.add_argument("--households", type=int, default=10_000, help="relaunched in simulated time (default 10,000)")
    asked.add_argument("--examples", type=int, default=400, help="runs of the state machine (default 400)")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="relance-prove-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        url = postgres.attach(folder / "postgres")
        Database(url).migrate()
        sound = all(
            [
                *(crashes(url, folder / point, point, given.repetitions) for point in (*proofs.POINTS, "C8")),
                murder("A2 random murder", proofs.random_murder(url, folder / "a2", size=given.messages)),
                murder(
                    "C9 database killed",
                    proofs.database_murder(folder / "c9", size=6_000, kills=given.database_kills),
                ),
                taken_in(Database(url), folder, kills=given.web_kills),
                relaunched(relaunch.relaunch(url, folder / "relaunch", size=given.households)),
                random_days(Database(url), examples=given.examples),
            ]
        )
    raise SystemExit(0 if sound else 1)


def crashes(url: str, folder: Path, point: str, repetitions: int) -> bool:
    """One crash point, many times."""
    began, before, after = time.monotonic(), [], []
    for seed in range(repetitions):
        prove = proofs.crash_in_webhook if point == "C8" else None
        home = folder / str(seed)
        verdicts = prove(url, home, seed=seed) if prove else proofs.crash_at(url, home, point, seed=seed)
        before.append(verdicts[0])
        after.append(verdicts[1])
    return tell(f"{point} x {repetitions}", before, after, seconds=time.monotonic() - began)


def murder(name: str, result: proofs.Murder) -> bool:
    """Random kills."""
    rate = f", {result.kills} kills, {result.before.audience / result.seconds:.0f} messages/s"
    return tell(name, [result.before], [result.after], seconds=result.seconds, more=rate)


def taken_in(db: Database, folder: Path, *, kills: int) -> bool:
    """The web server killed while events come in."""
    began = time.monotonic()
    told, record = senders.murder(db, folder, kills=kills)
    figures = f"answered for {len(told.answered)}, stored {record.stored}, lost {record.lost}, doubled {record.doubled}"
    word = "held  " if record.sound else "BROKEN"
    print(f"{word} events: {figures}, {told.kills} kills ({time.monotonic() - began:.0f} s)", flush=True)
    return record.sound


def relaunched(told: relaunch.Told) -> bool:
    """The basket relaunch of thousands, killed at random: its report beside an independent count."""
    audience, funnel, lift = told.report.funnel.audience, told.report.funnel, told.report.lift
    word = "held  " if told.sound else "BROKEN"
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
    print(f"{word} relaunch of {told.size}: {said} ({told.seconds:.0f} s)", *told.wrong, sep="\n       ", flush=True)
    return told.sound


def random_days(db: Database, *, examples: int) -> bool:
    """The state machine at length."""
    began, names = time.monotonic(), ", ".join(table.name for table in metadata.sorted_tables)
    with db.begin() as conn:
        conn.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    long = settings(test_machine.SHORT, max_examples=examples, stateful_step_count=60, derandomize=False)
    run_state_machine_as_test(machine.machine(db), settings=long)
    print(f"held   state machine: {examples} runs of 60 steps ({time.monotonic() - began:.0f} s)", flush=True)
    return True


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
    print(f"{'held  ' if sound else 'BROKEN'} {name}: {told}{more} ({seconds:.0f} s)", flush=True)
    return sound


if __name__ == "__main__":
    main()
