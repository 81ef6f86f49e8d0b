"""The way in for requests: what those of one process bring at the same moment is made durable together, then taken in.

A commit costs the disk the same for one event as for a thousand. So the first request to come puts what is waiting
into the inbox, while those that arrive meanwhile gather for the next row (group commit). They are answered, and a
thread takes the inbox in behind them, in sets that grow with the load.
"""

import itertools
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from foundation.database import Database
from foundation.gathering import Gathering
from shop import inbox
from shop.inbox import Parcel
from shop.vocabulary import Event, Refusal

log = logging.getLogger(__name__)

EVENTS_BEHIND = 4_000
"""When more than so many wait to be taken in, senders are slowed down so that these stay a moment's work..."""
SLOWED_SECONDS = 1.0
EVENTS_WAITING = 50_000
"""...and turned away when, whatever the reason, this many do: some seconds' work."""
REQUESTS_TOGETHER = 1_000
GATHER_SECONDS = 0.002
"""A row holds so many requests at most, and is put off so long until as many wait as came of late."""
PAUSE_SECONDS = 0.05
BUSY_PAUSE_SECONDS = 0.25
BUSY_EVENTS = 50
"""From one start to the next, while the inbox holds less than one set; longer after a set of so many. Few large sets
cost half as much an event as many small ones. Who comes alone is taken in at once."""
AGAIN_SECONDS = 1.0
EVENTS_UNTIDY = 50_000
"""After so many the space their rows took is given back: some 50 MB."""


class Overloaded(Exception):
    """Too much is waiting already; nothing was taken. Try again after `seconds`."""

    seconds = 2


@dataclass(frozen=True, slots=True)
class _Brought:
    """What one request brought, and when."""

    parcel: Parcel
    packed: bytes
    at: datetime


class IngestQueue:
    """The way in for requests. Its thread starts with the first of them, so it may be made before a server forks."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._gathering = Gathering(self._append, most=REQUESTS_TOGETHER, patience=GATHER_SECONDS, apart=False)
        self._line: inbox.Line | None = None
        self._lock = threading.Lock()
        self._behind = _Behind()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, events: Sequence[Event], *, refused: Sequence[Refusal] = (), now: datetime) -> None:
        """Returns once everything is durable. Raises `Overloaded` if nothing was taken."""
        parcel = Parcel(events, refused)
        brought = _Brought(parcel, inbox.packed(parcel), now)
        self._behind.make_room()
        if self._thread is None or not self._thread.is_alive():
            self._start()
        self._gathering.ask(brought)

    def drain(self) -> None:
        """Takes in everything put before this call."""
        inbox.drain(self._db)

    def close(self) -> None:
        """Ends the thread, and takes in what it left behind. Who puts again begins anew."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            self._wake.set()
            thread.join()
            self._stop.clear()
            try:
                self.drain()
            except Exception:
                log.exception("the inbox is left as it is; whoever starts next takes it in")
        line, self._line = self._line, None
        if line is not None:
            line.close()

    # ------------------------------------------------------------------------------------------ putting in
    def _append(self, together: Sequence[_Brought]) -> Sequence[None]:
        """Makes durable what is waiting, in one row. Nobody knows whether a row that failed was kept: all are told."""
        whole = inbox.together([one.parcel for one in together])
        now = max(one.at for one in together)
        number = self._written([one.packed for one in together], events=len(whole), now=now)
        self._behind.appended(number, whole)
        self._wake.set()
        return [None] * len(together)

    def _written(self, parcels: Sequence[bytes], *, events: int, now: datetime) -> int:
        """The number of the row. Only who leads is here. A line that failed once is not used again."""
        line, self._line = self._line or inbox.Line(self._db), None
        try:
            number = line.append(parcels, events=events, now=now)
        except BaseException:
            line.close()
            raise
        self._line = line
        return number

    # ------------------------------------------------------------------------------------------- taking in
    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._take_in, name="inbox", daemon=True)
                self._thread.start()

    def _take_in(self) -> None:
        """The thread: takes in what is in the inbox, whoever put it there, as long as there is any."""
        untidy = 0
        while not self._stop.is_set():
            self._wake.clear()
            began, last = time.monotonic(), self._behind.last
            try:
                taken = inbox.take(self._db, known=self._behind.rows())
                untidy += taken.events
                if untidy >= EVENTS_UNTIDY:
                    inbox.tidy(self._db)
                    untidy = 0
            except Exception:
                log.exception("the inbox is not taken in; tried again")
                self._stop.wait(AGAIN_SECONDS)
                continue
            self._behind.taken(last if taken.through is None else taken.through)
            if taken.through is None:
                self._wake.wait()
            elif self._behind.events < inbox.EVENTS_TOGETHER:
                pause = PAUSE_SECONDS if taken.events < BUSY_EVENTS else BUSY_PAUSE_SECONDS
                self._stop.wait(max(pause - (time.monotonic() - began), 0))


class _Behind:
    """What of this process waits in the inbox, and the room left for more."""

    def __init__(self) -> None:
        self.events = 0
        self.last = 0
        self._rows: dict[int, tuple[int, Parcel | None]] = {}
        self._changed = threading.Condition()

    def make_room(self) -> None:
        """Waits a moment while too many wait. Raises `Overloaded` if far too many do."""
        if self.events <= EVENTS_BEHIND:
            return
        with self._changed:
            self._changed.wait_for(lambda: self.events <= EVENTS_BEHIND, SLOWED_SECONDS)
            if self.events > EVENTS_WAITING:
                raise Overloaded

    def rows(self) -> dict[int, Parcel]:
        """The oldest rows, enough for one transaction, as far as they are still in memory."""
        with self._changed:
            oldest = itertools.islice(self._rows.items(), inbox.EVENTS_TOGETHER)
            return {number: parcel for number, (_, parcel) in oldest if parcel is not None}

    def appended(self, number: int, parcel: Parcel) -> None:
        """A row is in the inbox. In memory it is kept beside only while few are, to spare reading it again."""
        with self._changed:
            self.last = number
            self.events += len(parcel)
            self._rows[number] = (len(parcel), parcel if self.events < 2 * EVENTS_BEHIND else None)

    def taken(self, through: int) -> None:
        """Rows are taken in in their order, by this process or another."""
        with self._changed:
            while self._rows and (first := next(iter(self._rows))) <= through:
                self.events -= self._rows.pop(first)[0]
            self._changed.notify_all()
