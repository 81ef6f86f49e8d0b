"""How often something may happen: counted in this process where losing count is harmless, else in PostgreSQL."""

import hashlib
import threading
import time
from datetime import datetime, timedelta
from typing import cast

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.dialects import postgresql

from app.tables import rate_limits

MOST_BUCKETS = 10_000


class Buckets:
    """Token buckets of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str, *, per_second: float, burst: float) -> bool:
        """Takes one token; False when none is left."""
        now = time.monotonic()
        with self._lock:
            if len(self._left) >= MOST_BUCKETS and name not in self._left:
                self._left.clear()  # a flood of addresses must not become a flood of memory
            tokens, since = self._left.get(name, (burst, now))
            tokens = min(burst, tokens + (now - since) * per_second)
            self._left[name] = (max(tokens - 1, 0.0), now) if tokens >= 1 else (tokens, now)
            return tokens >= 1


def buckets() -> Buckets:
    """The buckets of the current application."""
    return cast("Buckets", current_app.extensions.setdefault("relance_buckets", Buckets()))


def count(conn: sa.Connection, name: str, *, seconds: int, now: datetime) -> int:
    """Counts one more and gives how many there were in this window, over all processes."""
    old = rate_limits.c.started_at <= now - timedelta(seconds=seconds)
    statement = postgresql.insert(rate_limits).values(bucket=_bucket(name), started_at=now, hits=1)
    statement = statement.on_conflict_do_update(
        index_elements=["bucket"],
        set_={
            "hits": sa.case((old, 1), else_=rate_limits.c.hits + 1),
            "started_at": sa.case((old, now), else_=rate_limits.c.started_at),
        },
    )
    return int(conn.scalar(statement.returning(rate_limits.c.hits)) or 0)


def counted(conn: sa.Connection, name: str, *, seconds: int, now: datetime) -> int:
    """How many were counted in the current window."""
    return int(
        conn.scalar(
            sa.select(rate_limits.c.hits).where(
                rate_limits.c.bucket == _bucket(name), rate_limits.c.started_at > now - timedelta(seconds=seconds)
            )
        )
        or 0
    )


def _bucket(name: str) -> bytes:
    """Names hold addresses, so they are kept hashed."""
    return hashlib.sha256(name.encode(errors="replace")).digest()
