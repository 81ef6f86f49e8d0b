"""Real worker processes that run the timetable, and die where they are told to."""

import copy
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from campaigns import enrolments, feedback, files, messages, plans, settling
from campaigns.channels.smtp import Host, SmtpChannel
from campaigns.feedback import Kind, Report
from campaigns.sending import Sending, passing
from foundation.database import Database
from tests.campaigns import world
from tests.conftest import PEPPER

_fork = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a worker is told. One second of ours is `speed` seconds of its world, so that waits are short; `tells` if
    its provider reports what it takes."""

    database_url: str
    port: int
    folder: Path
    began_at: datetime
    clock: float
    lease: float = 1.0
    speed: float = 60.0
    in_flight: int = 1
    tells: bool = False

    def now(self) -> datetime:
        return self.began_at + timedelta(seconds=(time.monotonic() - self.clock) * self.speed)


def start(work: Callable[..., None], *args: Any) -> BaseProcess:
    """Runs it in a process of its own."""
    process = _fork.Process(target=work, args=args, daemon=True)
    process.start()
    return process


def crashing(point: str, *, passes: int = 1) -> Callable[[str], None]:
    """A checkpoint that kills its own process, without a word, the n-th time it is passed."""
    left = [passes]

    def checkpoint(name: str) -> None:
        left[0] -= name == point
        if name == point and left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


def once(setting: Setting, point: str, passes: int, victim: bool) -> None:
    """One tick of everything, crashing at `point`; or, as a `victim`, wherever the provider strikes."""
    if victim:
        (setting.folder / "victim").write_text(str(os.getpid()))
    db, checkpoint = Database(setting.database_url, pepper=PEPPER), crashing(point, passes=passes)
    now = setting.now()
    enrolments.admit_due(db, now=now, checkpoint=checkpoint)
    enrolments.advance_due(db, now=now)
    messages.deliver_due(db, sending_for(setting, checkpoint), now=now)
    settling.sweep(db, now=now, checkpoint=checkpoint)


def for_ever(setting: Setting) -> None:
    """Delivers and sweeps until killed."""
    db, sending, turn = Database(setting.database_url, pepper=PEPPER), sending_for(setting, passing), 0
    while True:
        try:
            messages.deliver_due(db, sending, now=setting.now())
            if turn % 20 == 0:
                settling.sweep(db, channels=sending.channels, now=setting.now())
        except sa.exc.OperationalError:
            time.sleep(0.2)  # the database is being killed as well
        turn += 1
        time.sleep(0.01)


def editing(setting: Setting) -> None:
    """Changes the campaign's words, again and again, until killed."""
    db, turn = Database(setting.database_url, pepper=PEPPER), 0
    while True:
        definition = copy.deepcopy(world.relaunch(products=0))
        for words in definition["steps"][0]["words"].values():
            words["subject"] += f" {turn}"
        with db.begin() as conn:
            plans.update(conn, files.DEMO, definition=definition, now=setting.now())
        turn += 1
        time.sleep(0.5)


def reporting(setting: Setting, message_ids: list[Any]) -> None:
    """Takes in the provider's reports and dies before the commit."""
    db = Database(setting.database_url, pepper=PEPPER)
    with db.begin() as conn:
        reports = [Report(f"accepted:{one}", Kind.ACCEPTED, setting.now(), message_id=one) for one in message_ids]
        feedback.reported(conn, "witness", reports, now=setting.now())
        os.kill(os.getpid(), signal.SIGKILL)


class Reporting(SmtpChannel):
    """A host that reports what it takes, as those behind an interface of their own do."""

    @property
    def tells(self) -> bool:
        return True


def sending_for(setting: Setting, checkpoint: Callable[[str], None], **changes: Any) -> Sending:
    """How a worker sends."""
    host = Host("127.0.0.1", setting.port)
    channel = Reporting(host) if setting.tells else SmtpChannel(host)
    usual = {"lease": timedelta(seconds=setting.lease), "batch": 10, "seconds": 1.0, "in_flight": setting.in_flight}
    return world.sending(channel, setting.folder, **usual | {"checkpoint": checkpoint} | changes)


def unfinished(db: Database) -> int:
    """How many messages may still move by themselves."""
    query = "SELECT count(*) FROM messages WHERE state IN ('pending', 'claimed', 'submitting')"
    while True:
        try:
            with db.begin() as conn:
                return conn.scalar(sa.text(query)) or 0
        except sa.exc.OperationalError:
            time.sleep(0.1)  # it was killed and is starting up


def setting_for(database_url: str, port: int, folder: Path, **changes: Any) -> Setting:
    return Setting(database_url, port, folder, datetime.now(UTC), time.monotonic(), **changes)


def enrol(setting: Setting) -> None:
    """Everyone in at once."""
    db = Database(setting.database_url, pepper=PEPPER)
    enrolments.admit_due(db, now=setting.now())
    enrolments.advance_due(db, now=setting.now())


def kill_database(home: Path) -> None:
    """Kills the server and every process of it, without a word."""
    pid_file = next(home.rglob("postmaster.pid"))
    pid = int(pid_file.read_text().split()[0])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (pid, *map(int, children)):
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        time.sleep(0.01)
