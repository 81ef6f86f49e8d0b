"""The short form of the relaunch that `make prove` runs for ten thousand households."""

from datetime import timedelta
from pathlib import Path

import pytest

from foundation.database import Database
from tests.prove import relaunch


@pytest.mark.slow
@pytest.mark.timeout(170)
def test_a_relaunch_whose_workers_die_has_a_report_that_adds_up(db: Database, tmp_path: Path) -> None:
    told = relaunch.relaunch(db.url, tmp_path, size=150, pause=0.8, step=timedelta(hours=12))
    assert told.sound, told.wrong
    assert told.kills and told.report.funnel.audience.total > 100
