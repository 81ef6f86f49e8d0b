"""What was shown, written in the background: a slate waits for no disk.

A thread of this process writes what gathered, five times a second. A clean stop loses nothing; `kill -9` loses at most
the slates of the last 200 ms, which were shown but cannot then be judged. When too many wait, the caller writes.
"""

import atexit
import logging
import queue
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from foundation.database import Database

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
MOST_WAITING = 5_000


@dataclass(frozen=True, slots=True)
class Shown:
    """One slate as it was shown."""

    id: UUID
    shown_at: datetime
    customer_id: int | None
    placement: str
    model_id: int | None
    items: list[dict[str, Any]]
    arm: str | None = None


class Shelf:
    """Slates on their way to the database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: queue.SimpleQueue[Shown] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._writer: threading.Thread | None = None

    def put(self, shown: Shown) -> None:
        """Takes a slate. Returns at once, unless too many wait."""
        self._waiting.put(shown)
        if self._writer is None:
            self._start()
        if self._waiting.qsize() > MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Writes all that wait; when this returns they are in the database."""
        with self._writing:
            batch: list[Shown] = []
            while len(batch) < MOST_WAITING and not self._waiting.empty():
                batch.append(self._waiting.get())
            if batch:
                self._write(batch)

    def close(self) -> None:
        """Writes all that wait and stops."""
        self._stop.set()
        if self._writer is not None:
            self._writer.join()
        self.flush()

    def _start(self) -> None:
        """The thread starts with the first slate, so in the process that serves, not in one that forks it."""
        with self._starting:
            if self._writer is None:
                self._writer = threading.Thread(target=self._run, name="slates", daemon=True)
                self._writer.start()
                atexit.register(self.close)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                self.flush()
            except Exception:
                log.exception("slates not written")

    def _write(self, batch: Sequence[Shown]) -> None:
        try:
            write(self._db, batch)
        except sa.exc.OperationalError:
            for shown in batch:
                self._waiting.put(shown)  # the database is away: they wait for it
            raise


_WRITE = sa.text("""
WITH kept AS (
    INSERT INTO slates (id, shown_at, customer_id, placement, model_id, items, arm)
    SELECT given.*
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given
        (id uuid, shown_at timestamptz, customer_id bigint, placement text, model_id bigint, items jsonb, arm text)
    WHERE customer_id IS NULL OR EXISTS (SELECT FROM customers WHERE id = given.customer_id FOR KEY SHARE)
    ON CONFLICT DO NOTHING
    RETURNING CAST(timezone('UTC', shown_at) AS date) AS day, placement, coalesce(model_id, 0) AS model_id,
        coalesce(arm, '') AS arm, items
)
INSERT INTO slate_counts AS counts (day, placement, model_id, arm, source, shown)
SELECT day, placement, model_id, arm, source, count(*)
FROM kept,
LATERAL (SELECT '' UNION ALL SELECT item ->> 'source' FROM jsonb_array_elements(items) AS item) AS each(source)
GROUP BY day, placement, model_id, arm, source
ORDER BY day, placement, model_id, arm, source
ON CONFLICT (day, placement, model_id, arm, source) DO UPDATE SET shown = counts.shown + excluded.shown
""")
"""One of a customer erased meanwhile is left out. Counted in one order, so that two writers never wait for each other
in a ring."""

_LATEST = sa.text("""
SELECT asked.customer_id, array_agg(item ->> 'product_id') AS product_ids
FROM unnest(CAST(:customers AS bigint[])) AS asked(customer_id),
LATERAL (
    SELECT items FROM slates
    WHERE slates.customer_id = asked.customer_id AND placement = :placement
    ORDER BY shown_at DESC LIMIT :slates
) AS latest,
jsonb_array_elements(latest.items) AS item
GROUP BY asked.customer_id
""")


def write(db: Database, batch: Sequence[Shown]) -> None:
    """Writes slates in one statement, and counts them. Manages its own transaction, as it runs beside requests'."""
    with db.begin() as conn:
        conn.execute(_WRITE, {"rows": orjson.dumps(batch).decode()})


def latest(
    conn: sa.Connection, customer_ids: Sequence[int], *, placement: str, slates: int
) -> dict[int, frozenset[str]]:
    """The products on each customer's latest slates of a placement, so that the next may show others."""
    if not customer_ids or not slates:
        return {}
    asked = {"customers": list(customer_ids), "placement": placement, "slates": slates}
    return {row.customer_id: frozenset(row.product_ids) for row in conn.execute(_LATEST, asked)}


def products_at(conn: sa.Connection, pages: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], str]:
    """The product of a slate whose page each is; what is no such page is missing."""
    if not pages:
        return {}
    asked = {"slates": [slate_id for slate_id, _ in pages], "urls": [url for _, url in pages]}
    return {(row.slate, row.url): row.product_id for row in conn.execute(_PRODUCTS_AT, asked)}


_PRODUCTS_AT = sa.text("""
SELECT DISTINCT ON (slate, asked.url) slate, asked.url, products.product_id
FROM unnest(CAST(:slates AS uuid[]), CAST(:urls AS text[])) AS asked (slate, url)
JOIN slates ON slates.id = asked.slate CROSS JOIN jsonb_array_elements(items) AS item
JOIN products ON products.product_id = item ->> 'product_id' AND products.url = asked.url
ORDER BY slate, asked.url, products.product_id
""")
