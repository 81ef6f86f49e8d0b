"""Short forms of the proofs that `make prove` runs at length: nobody is mailed twice, nobody is forgotten."""

from pathlib import Path

import pytest

from foundation.database import Database
from tests.prove import again, frozen, proofs, reports_in, senders


@pytest.mark.slow
@pytest.mark.parametrize("point", proofs.POINTS)
def test_a_worker_killed_anywhere_mails_nobody_twice_and_forgets_nobody(
    db: Database, tmp_path: Path, point: str
) -> None:
    for seed in range(2):
        before, after = proofs.crash_at(db.url, tmp_path / str(seed), point, seed=seed)
        assert before.sound and before.uncertain <= 1, before
        assert after.sound and after.uncertain_accepted == 0, after
        if point in ("C5", "C6"):
            assert before.uncertain == 1 and after.states == {"accepted": 4}


@pytest.mark.slow
def test_reports_lost_to_a_crash_come_again_and_count_once(db: Database, tmp_path: Path) -> None:
    before, after = proofs.crash_in_webhook(db.url, tmp_path, seed=1, size=3)
    assert before.sound and before.uncertain == 3
    assert after.sound and after.states == {"accepted": 3}


@pytest.mark.slow
def test_a_web_server_killed_while_reports_come_in_loses_and_doubles_none(db: Database, tmp_path: Path) -> None:
    told = reports_in.killed_server(db, tmp_path, messages=100, kills=2)
    assert told.delivered == told.kept == 100 and not told.twice and told.posts > 20, told


@pytest.mark.slow
def test_random_murder_mails_nobody_twice_and_forgets_nobody(db: Database, tmp_path: Path) -> None:
    result = proofs.random_murder(db.url, tmp_path, size=150, crew=2, pause=0.3, jitter=0.15, most=10)
    assert result.kills >= 3 and result.before.sound, result
    assert result.after.sound and result.after.uncertain_accepted == 0, result
    assert result.altered == 0, "what was handed over again after a refusal was the same to the byte"


@pytest.mark.slow
def test_what_somebody_ordered_arrives_in_the_end_once_each(db: Database, tmp_path: Path) -> None:
    result = again.ordered(db.url, tmp_path, size=60, crew=2, pause=0.6, most=6, speed=200.0)
    assert result.after.sound and result.after.accepts == result.after.audience == 60 + again.LATER, result


@pytest.mark.slow
@pytest.mark.parametrize("point", frozen.POINTS)
def test_a_frozen_worker_that_wakes_sends_nothing_twice(db: Database, tmp_path: Path, point: str) -> None:
    verdict = frozen.freeze(db.url, tmp_path, point, frozen=3)
    assert verdict.sound and verdict.states == {"accepted": 3}, verdict


@pytest.mark.slow
def test_a_killed_database_forgets_no_intent(tmp_path: Path) -> None:
    result = proofs.database_murder(tmp_path, size=200, kills=1)
    assert result.before.sound and result.after.sound, result


@pytest.mark.slow
def test_a_killed_web_server_loses_and_doubles_nothing_it_answered_for(db: Database, tmp_path: Path) -> None:
    told, record = senders.murder(db, tmp_path, kills=2)
    assert told.kills == 2 and len(told.answered) >= 100
    assert record.sound and record.stored >= len(told.answered), record
