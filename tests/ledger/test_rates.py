"""The rate of a provider, as the provider sees it: four senders that die and come back draw from one bucket."""

import random
import time
from datetime import datetime
from pathlib import Path

import pytest

from campaigns import policy, rules
from foundation.database import Database
from tests.prove import audience, proofs, workers
from tests.prove.provider import Faults

A_SECOND, SECONDS = 40, 12


@pytest.mark.slow
def test_four_senders_that_die_and_come_back_keep_to_the_rate(db: Database, tmp_path: Path, now: datetime) -> None:
    """One of four is killed every other second and another begins; the provider's own clock is the witness."""
    dice = random.Random(1)
    with proofs.provider(tmp_path, Faults()) as witness:
        setting = workers.setting_for(db.url, witness.port, tmp_path, speed=1.0, lease=60.0)
        audience.prepare(db, A_SECOND * (SECONDS + 20), now=setting.now())
        with db.begin() as conn:
            limits = rules.Policy(quiet_from=None, quiet_until=None, late_hours=48, channel_rates={"email": A_SECOND})
            policy.save(conn, limits, now=setting.now())
        workers.start(workers.enrol, setting).join()
        staff = [workers.start(workers.for_ever, setting) for _ in range(4)]
        while not witness.seen():
            time.sleep(0.01)
        began = time.time()
        while time.time() < began + SECONDS:
            time.sleep(2)
            gone = staff.pop(dice.randrange(4))
            gone.kill()
            gone.join()
            staff.append(workers.start(workers.for_ever, setting))
        for one in staff:
            one.kill()
            one.join()
        times = sorted(at for _, _, at in witness.seen())
    windows = [sum(at <= other < at + 1 for other in times) for at in times]
    assert max(windows) <= A_SECOND * 1.1, "in no second more than a tenth above it"
    mean = len(times) / (times[-1] - times[0])
    # How near it comes from below is the machine's affair: what senders miss while it is busy is not made up for.
    assert A_SECOND * 0.1 <= mean <= A_SECOND * 1.05
