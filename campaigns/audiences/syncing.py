"""Keeps audiences in step with the platforms that hold them: only what changed, in batches, out before in.

Nothing is called inside a transaction. Whom a batch takes in is noted first, hashes and all, in one row; they become
members `in` when the platform has confirmed it, else `adding`, to be handed over again. Who goes is `removing` until
that is confirmed. So whatever is cut short is simply done again, which changes nothing there. While one batch is on its
way the next is hashed: memory holds a few, whatever the size of the audience.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from campaigns.audiences import gates, kept, normalising, tables, wanted
from campaigns.audiences.kept import Audience
from campaigns.audiences.platforms.base import Answer, Person, Platform, Reply
from foundation import database
from foundation.database import Database
from shop import arrays

log = logging.getLogger(__name__)
members = tables.audience_members

EVERY = timedelta(minutes=5)
HANDS = 2
"""Batches on their way at once: while a platform reads one, PostgreSQL keeps another."""
LOCK = 7266
"""Held, with the audience's id, by whoever brings one up to date."""

Platforms = Mapping[str, Platform]


@dataclass(slots=True)
class Done:
    """What one sync came to; `stopped` is the reply that ended it early."""

    added: int = 0
    removed: int = 0
    avoided: int = 0
    refused: int = 0
    stopped: Reply | None = None

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.refused or self.stopped)


def sync_due(db: Database, platforms: Platforms, *, now: datetime) -> str | None:
    """Brings every audience whose time has come up to date. Manages its own transactions, a batch each."""
    with db.begin() as conn:
        due = kept.due(conn, now=now, next_at=now + EVERY)
    told: list[str] = []
    for audience in due:
        done = sync(db, platforms, audience, now=now)
        if done:
            told.append(f"{audience.name} +{done.added} -{done.removed}")
    return ", ".join(told) or None


def sync(db: Database, platforms: Platforms, audience: Audience, *, now: datetime) -> Done:
    """Brings one audience up to date, as far as its platform lets us; nothing while another process is at it."""
    clock, done = time.monotonic(), Done()
    platform = platforms.get(audience.platform)
    with db.begin() as conn:
        left_alone = platform is None or gates.shut(conn, audience.platform, now=now)
    if platform is None or left_alone:
        return done
    with db.engine.connect() as aside:
        key = {"room": LOCK, "audience": audience.id % 2**31}
        if not aside.scalar(sa.text("SELECT pg_try_advisory_lock(:room, :audience)"), key):
            return done
        try:
            if _Run(db, aside, platform, audience, now, done).all():
                _in_step(db, audience, now=now)
        finally:
            aside.rollback()
            aside.execute(sa.text("CLOSE ALL"))
            aside.execute(sa.text("DROP TABLE IF EXISTS wanted"))
            aside.execute(sa.text("SELECT pg_advisory_unlock(:room, :audience)"), key)
            aside.commit()
    if done:
        _record(db, audience, done, seconds=time.monotonic() - clock, now=now)
    return done


def _in_step(db: Database, audience: Audience, *, now: datetime) -> None:
    """The platform holds whom it should hold; of one that is ending nobody is left, and it goes."""
    held = kept.audiences
    with db.begin() as conn:
        if audience.state == "ending":
            conn.execute(sa.delete(members).where(members.c.audience_id == audience.id))
            conn.execute(sa.delete(held).where(held.c.id == audience.id))
        else:
            conn.execute(sa.update(held).where(held.c.id == audience.id).values(synced_at=now, fault=None))


def _record(db: Database, audience: Audience, done: Done, *, seconds: float, now: datetime) -> None:
    held, stopped = kept.audiences, done.stopped
    row = {
        "audience_id": audience.id,
        "started_at": now,
        "seconds": seconds,
        "added": done.added,
        "removed": done.removed,
        "avoided": done.avoided,
        "refused": done.refused,
        "stopped": f"{stopped.answer}: {stopped.detail}" if stopped else None,
    }
    with db.begin() as conn:
        inside = sa.select(sa.func.count()).where(members.c.audience_id == audience.id, members.c.state == "in")
        changed: dict[str, Any] = {"size": inside.scalar_subquery(), "avoided": held.c.avoided + done.avoided}
        if stopped and stopped.answer is Answer.AUDIENCE:
            changed["fault"] = stopped.detail
        known = conn.execute(sa.update(held).where(held.c.id == audience.id).values(changed))
        if known.rowcount:
            conn.execute(sa.insert(kept.syncs).values(row))
    if stopped:
        log.warning("audience not in step", extra={"audience": audience.name, "answer": stopped.answer})


@dataclass(frozen=True, slots=True)
class _Run:
    """One sync of one audience under way."""

    db: Database
    aside: sa.Connection
    platform: Platform
    audience: Audience
    now: datetime
    done: Done
    turn: threading.Lock = field(default_factory=threading.Lock)

    def all(self) -> bool:
        """Everything there is to do; False if it had to stop."""
        self._aside(wanted.WANTED, "ANALYZE wanted")
        with self.db.begin() as conn:
            self._settle(conn, "adding")
        self._aside(wanted.GOING, wanted.FORGOTTEN)
        return self.remove() and self.again() and self.add()

    def _aside(self, *statements: str) -> None:
        given = wanted.given(self.audience, now=self.now)
        for statement in statements:
            self.aside.execute(sa.text(statement), given)
        self.aside.commit()

    # ---------------------------------------------------------------------------------------------- out
    def remove(self) -> bool:
        """Takes out who has to go; False if it had to stop."""
        after = 0
        while rows := self._batch(_REMOVING, after):
            people = {row.id: Person(row.email_hash, row.phone_hash) for row in self._alone(rows)}
            if not self._hand_over(self.platform.remove, people, self._removed(rows)):
                return False
            after = rows[-1].id
        return True

    def _alone(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The rows without what somebody who stays in shares with them: a household's number, a twice known address."""
        if self.audience.state == "ending":
            return rows
        ids = {"audience": self.audience.id, "ids": [row.id for row in rows]}
        with self.db.begin() as conn:
            return conn.execute(sa.text(_ALONE), ids).all()

    def _removed(self, rows: Sequence[Any]) -> Callable[[sa.Connection, Sequence[int]], None]:
        bought = {row.id for row in rows if row.reason == "bought"}

        def confirmed(conn: sa.Connection, ids: Sequence[int]) -> None:
            gone = database.driver(conn).execute(_GONE, [self.audience.id, arrays.numbers(ids)]).rowcount
            self.done.removed += gone
            self.done.avoided += len(bought & set(ids))

        return confirmed

    # ----------------------------------------------------------------------------------------------- in
    def again(self) -> bool:
        """Hands over again who was being taken in when a sync was cut short; False if it had to stop."""
        after = 0
        while rows := self._batch(_ADDING, after):
            people = {row.id: Person(row.email_hash, row.phone_hash) for row in rows}
            if not self._hand_over(self.platform.add, people, self._added):
                return False
            after = rows[-1].id
        return True

    def add(self) -> bool:
        """Takes in who is missing; False if it had to stop."""
        self._aside(wanted.COMING)
        with ThreadPoolExecutor(HANDS) as hands:
            under_way = deque[Future[bool]]()
            for batch in self._noted():
                if len(under_way) == HANDS and not under_way.popleft().result():
                    return False
                under_way.append(hands.submit(self._take_in, *batch))
            return all([one.result() for one in under_way])

    def _noted(self) -> Iterator[tuple[int, Sequence[Person]]]:
        """Who is missing, a batch at a time, hashed and written down before anything leaves."""
        form, fetch = self.platform.rules, f"FETCH {self.platform.batch} FROM coming"
        while rows := database.driver(self.aside).execute(fetch).fetchall():
            self.aside.commit()
            ids, addresses, numbers, contacts = zip(*rows, strict=True)
            emails = [normalising.digest(form.email, address) for address in addresses]
            phones = [normalising.digest(form.phone, number) for number in numbers]
            columns = [self.audience.id, self.now, arrays.numbers(ids), arrays.numbers(contacts)]
            columns += [arrays.texts(map(_bytes, emails)), arrays.texts(map(_bytes, phones))]
            with self.db.begin() as conn:
                ((noted,),) = database.driver(conn).execute(_NOTED, columns).fetchall()
            yield noted, [Person(*pair) for pair in zip(emails, phones, strict=True)]

    def _take_in(self, noted: int, people: Sequence[Person]) -> bool:
        """Hands a batch over. Unless all of it is taken, each is a row of her own and tried again as such."""
        shown = [person for person in people if any(person)]
        reply = self.platform.add(self.audience.external_id or "", shown) if shown else Reply(Answer.TAKEN)
        with self.db.begin() as conn:
            gates.heard(conn, self.platform.name, reply, now=self.now)
            number = self._settle(conn, "in" if reply.answer is Answer.TAKEN else "adding", noted=noted)
        with self.turn:
            if reply.answer is Answer.TAKEN:
                self.done.added += number
                return True
            if reply.answer is Answer.ROWS:
                return self.again()
            self.done.stopped = reply
            return False

    def _settle(self, conn: sa.Connection, state: str, *, noted: int | None = None) -> int:
        """What was noted, or all that an earlier sync noted, as members in this state; how many."""
        return database.driver(conn).execute(_SETTLED, [self.audience.id, noted, noted, state]).rowcount

    def _added(self, conn: sa.Connection, ids: Sequence[int]) -> None:
        taken = database.driver(conn).execute(_TAKEN, [self.audience.id, arrays.numbers(ids)])
        self.done.added += taken.rowcount

    # -------------------------------------------------------------------------------------------- common
    def _batch(self, statement: str, after: int) -> Sequence[Any]:
        given = {"audience": self.audience.id, "after": after, "limit": self.platform.batch}
        with self.db.begin() as conn:
            return conn.execute(sa.text(statement), given).all()

    def _hand_over(
        self,
        call: Callable[[str, Sequence[Person]], Reply],
        people: Mapping[int, Person],
        confirmed: Callable[[sa.Connection, Sequence[int]], None],
    ) -> bool:
        """Calls the platform and keeps what it confirmed; False if nothing more can be done now.

        Where the rows are refused they are halved until the one at fault is found, and only that one is left out.
        """
        waiting = [list(people)]
        while waiting:
            ids = waiting.pop()
            shown = [people[one] for one in ids if any(people[one])]
            reply = call(self.audience.external_id or "", shown) if shown else Reply(Answer.TAKEN)
            if reply.answer is Answer.ROWS and len(ids) > 1:
                waiting += [ids[: len(ids) // 2], ids[len(ids) // 2 :]]
                continue
            with self.db.begin() as conn:
                gates.heard(conn, self.platform.name, reply, now=self.now)
                if reply.answer is Answer.TAKEN:
                    confirmed(conn, ids)
                elif reply.answer is Answer.ROWS:
                    self._refused(conn, ids)
            if reply.answer not in (Answer.TAKEN, Answer.ROWS):
                self.done.stopped = reply
                return False
        return True

    def _refused(self, conn: sa.Connection, ids: Sequence[int]) -> None:
        """Left out until her address or number changes."""
        self.done.refused += database.driver(conn).execute(_REFUSED, [self.audience.id, arrays.numbers(ids)]).rowcount


def _bytes(digest: bytes | None) -> str | None:
    return "\\x" + digest.hex() if digest else None


_REMOVING = """
SELECT id, email_hash, phone_hash, reason FROM audience_members
WHERE audience_id = :audience AND state = 'removing' AND id > :after ORDER BY id LIMIT :limit
"""
_ADDING = _REMOVING.replace("removing", "adding")
_ALONE = """
WITH leaving AS (
    SELECT id, email_hash, phone_hash FROM audience_members WHERE audience_id = :audience AND id = ANY(:ids)
), staying AS (
    SELECT email_hash, phone_hash FROM audience_members WHERE audience_id = :audience AND state IN ('in', 'adding')
), shared AS (
    SELECT email_hash AS hash FROM staying JOIN leaving USING (email_hash)
    UNION SELECT phone_hash FROM staying JOIN leaving USING (phone_hash)
)
SELECT id, CASE WHEN email_hash IN (SELECT hash FROM shared) THEN NULL ELSE email_hash END AS email_hash,
    CASE WHEN phone_hash IN (SELECT hash FROM shared) THEN NULL ELSE phone_hash END AS phone_hash
FROM leaving ORDER BY id
"""
_GONE = """
WITH gone AS (
    SELECT audience_id, id, asked IS NULL OR customer_id IS NULL AS forgotten FROM audience_members
    WHERE audience_id = %b AND id = ANY(%b::bigint[]) AND state = 'removing'
), out AS (
    UPDATE audience_members AS member SET state = 'out', reason = NULL, contact = NULL, email_hash = NULL,
        phone_hash = NULL
    FROM gone WHERE (member.audience_id, member.id) = (gone.audience_id, gone.id) AND NOT forgotten
), forgotten AS (
    DELETE FROM audience_members AS member USING gone
    WHERE (member.audience_id, member.id) = (gone.audience_id, gone.id) AND forgotten
)
SELECT id FROM gone
"""
_NOTED = """
INSERT INTO audience_handovers (audience_id, at, people, contacts, email_hashes, phone_hashes)
VALUES (%b, %b, %b::bigint[], %b::bigint[], %b::bytea[], %b::bytea[]) RETURNING id
"""
_SETTLED = """
WITH noted AS (
    DELETE FROM audience_handovers WHERE audience_id = %b AND (id = %b OR %b::bigint IS NULL) RETURNING *
), handed AS (
    SELECT audience_id, %b::text AS state, at, person.*
    FROM noted, unnest(people, contacts, email_hashes, phone_hashes) AS person (id, contact, email_hash, phone_hash)
), members AS (
    INSERT INTO audience_members AS member (audience_id, customer_id, state, since, contact, email_hash, phone_hash)
    SELECT audience_id, handed.id, state, at, contact, email_hash, phone_hash
    FROM handed JOIN customers ON customers.id = handed.id
    ON CONFLICT (customer_id, audience_id) DO UPDATE SET state = excluded.state, since = excluded.since,
        contact = excluded.contact, email_hash = excluded.email_hash, phone_hash = excluded.phone_hash
        WHERE member.state = 'out'
    RETURNING customer_id
), unknown AS (
    INSERT INTO audience_members (audience_id, state, reason, since, email_hash, phone_hash)
    SELECT audience_id, 'removing', 'erased', at, email_hash, phone_hash
    FROM handed WHERE id NOT IN (SELECT customer_id FROM members)
)
SELECT FROM members
"""
"""Whoever was erased meanwhile is taken out again: her hashes stay until that is confirmed."""
_TAKEN = """
UPDATE audience_members SET state = 'in'
WHERE audience_id = %b AND id = ANY(%b::bigint[]) AND state = 'adding'
"""
_REFUSED = """
UPDATE audience_members SET state = 'refused'
WHERE audience_id = %b AND id = ANY(%b::bigint[]) AND state IN ('adding', 'removing')
"""
