"""Lets the requests of one process share transactions: they hand over their events and wait until these are durable.

A commit costs the disk the same for one event as for a thousand. So the first request to come writes what is waiting,
while those that arrive meanwhile gather for the next transaction (group commit). A request whose events cannot be
stored fails alone: when a shared transaction fails, each request in it is tried by itself.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
import sqlalchemy as sa

from foundation.database import Database
from shop import ingest
from shop.vocabulary import Event, Refusal

EVENTS_WAITING = 20_000
"""More would only wait longer than a sender does."""
EVENTS_TOGETHER = 1_000
WRITERS = 2
EVENTS_FOR_TWO = 200
"""So many waiting events are worth a second writer, who prepares while PostgreSQL works for the first. Fewer are not:
two small transactions cost nearly twice as much as one."""
GATHER_SECONDS = 0.002
"""How long a transaction is put off until as many requests wait as came of late; who comes alone never waits."""
TRIES = 5


class Overloaded(Exception):
    """Too much is waiting already; nothing was taken. Try again after `seconds`."""

    seconds = 2


@dataclass(slots=True)
class _Turn:
    """What one request brought, and what became of it."""

    events: Sequence[Event]
    refused: Sequence[Refusal]
    done: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False
    error: BaseException | None = field(default_factory=lambda: RuntimeError("the writer was interrupted"))

    def __len__(self) -> int:
        return len(self.events) + len(self.refused)


class IngestQueue:
    """The way in for requests. Holds no thread of its own, so it may be made before a server forks."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[_Turn] = []
        self._events_waiting = 0
        self._writers = 0
        self._company = 1
        self._gathering = False
        self._gathered = threading.Lock()
        self._gathered.acquire()
        self._lock = threading.Lock()

    def put(self, events: Sequence[Event], *, refused: Sequence[Refusal] = (), now: datetime) -> None:
        """Returns once everything is durable. Raises `Overloaded` if nothing was taken."""
        turn = _Turn(events, refused)
        turn.done.acquire()
        with self._lock:
            if self._events_waiting and self._events_waiting + len(turn) > EVENTS_WAITING:
                raise Overloaded
            self._waiting.append(turn)
            self._events_waiting += len(turn)
            turn.leads = self._wanted(self._writers + 1)
            self._writers += turn.leads
            if self._gathering and len(self._waiting) >= self._company:
                self._gathering = False
                self._gathered.release()
        if not turn.leads:
            turn.done.acquire()
        if turn.leads:
            self._write(turn, now)
        if turn.error is not None:
            raise turn.error

    def _write(self, turn: _Turn, now: datetime) -> None:
        """Writes what is waiting, this request's events among it, then lets the next in line write the rest."""
        self._gather()
        with self._lock:
            together = self._take(turn)
        try:
            self._store(together, now)
        finally:
            with self._lock:
                self._company = len(together) + len(self._waiting)
                following = next((waiting for waiting in self._waiting if not waiting.leads), None)
                if following is not None and self._wanted(self._writers):
                    following.leads = True
                else:
                    following = None
                    self._writers -= 1
            if following is not None:
                following.done.release()
            for written in together[1:]:
                written.done.release()

    def _wanted(self, writers: int) -> bool:
        """Whether so many writers have enough to do; one always has."""
        return writers == 1 or (writers <= WRITERS and self._events_waiting >= EVENTS_FOR_TWO)

    def _gather(self) -> None:
        """Those just answered are about to ask again: together they cost half as much as in two transactions."""
        with self._lock:
            if self._gathering or len(self._waiting) >= self._company:
                return
            self._gathering = True
        if not self._gathered.acquire(timeout=GATHER_SECONDS):
            with self._lock:
                if self._gathering:
                    self._gathering = False
                else:
                    self._gathered.acquire()

    def _take(self, turn: _Turn) -> list[_Turn]:
        """The leader's own turn, then as many of those waiting as go into one transaction."""
        together, count = [turn], len(turn)
        left: list[_Turn] = []
        for waiting in self._waiting:
            if waiting is turn:
                continue
            if waiting.leads or count + len(waiting) > EVENTS_TOGETHER:
                left.append(waiting)
            else:
                together.append(waiting)
                count += len(waiting)
        self._waiting = left
        self._events_waiting -= count
        return together

    def _store(self, together: Sequence[_Turn], now: datetime) -> None:
        try:
            self._transaction(together, now)
        except Exception as error:
            if len(together) == 1:
                together[0].error = error
                return
            for turn in together:
                self._store([turn], now)
        else:
            for turn in together:
                turn.error = None

    def _transaction(self, together: Sequence[_Turn], now: datetime) -> None:
        """One transaction, begun again if PostgreSQL ended it for the sake of another."""
        events = [event for turn in together for event in turn.events]
        refused = [refusal for turn in together for refusal in turn.refused]
        for attempt in range(1, TRIES):
            try:
                self._once(events, refused, now)
            except (sa.exc.OperationalError, psycopg.OperationalError) as error:
                if not isinstance(getattr(error, "orig", error), _PASSING):
                    raise
                time.sleep(0.01 * attempt)
            else:
                return
        self._once(events, refused, now)

    def _once(self, events: Sequence[Event], refused: Sequence[Refusal], now: datetime) -> None:
        with self._db.begin() as conn:
            ingest.ingest(conn, events, refused=refused, now=now)


_PASSING = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
