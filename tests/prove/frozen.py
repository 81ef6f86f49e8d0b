"""A4: workers frozen with a message in their hands for three leases, and let go again, are harmless.

What they held has long been taken up by others, or is in doubt; when they wake they must notice.
"""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from campaigns import messages
from foundation.database import Database
from tests.conftest import PEPPER
from tests.prove import audience, proofs, workers
from tests.prove.audience import Verdict
from tests.prove.provider import Faults
from tests.prove.workers import Setting

POINTS = ("claimed", "intent")


def freeze(url: str, folder: Path, point: str, *, frozen: int, seed: int = 0) -> Verdict:
    """So many workers stop at `point`, each with a message of its own, while another works; then all go on."""
    db = Database(url, pepper=PEPPER)
    with proofs.provider(folder, Faults(), seed=seed) as witness:
        setting = workers.setting_for(url, witness.port, folder)
        audience.prepare(db, frozen, now=setting.now())
        workers.start(workers.enrol, setting).join()
        held = [workers.start(_until, setting, point) for _ in range(frozen)]
        _wait_for(lambda: all(map(_stopped, held)), "all workers to stop")
        sound = workers.start(workers.for_ever, setting)
        time.sleep(3 * setting.lease)
        for one in held:
            os.kill(one.pid or 0, signal.SIGCONT)
        for one in held:
            one.join(60)
        _wait_for(lambda: not workers.unfinished(db), "nothing to move any more")
        sound.kill()
        sound.join()
        verdict = audience.judge(db, witness.accepted(), audience=frozen)
    db.dispose()
    return verdict


def _until(setting: Setting, point: str) -> None:
    """Takes one message as far as `point`, and stops there until somebody lets it go on."""
    before: list[str] = []

    def checkpoint(name: str) -> None:
        if name == point and name not in before:
            before.append(name)
            os.kill(os.getpid(), signal.SIGSTOP)

    db = Database(setting.database_url, pepper=PEPPER)
    while not before:
        sending = workers.sending_for(setting, checkpoint, batch=1, seconds=30.0)
        messages.deliver_due(db, sending, now=setting.now())


def _stopped(process: BaseProcess) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _wait_for(come: Callable[[], bool], what: str, *, seconds: float = 150.0) -> None:
    until = time.monotonic() + seconds
    while not come():
        if time.monotonic() > until:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.05)
