"""What an empty installation needs before its first page: the schema, and in demo mode a shop with a year behind it."""

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from app import tables, users
from app.demo import account, blocks, kept_back, past, purchases, storefront
from app.demo.kept_back import Bought
from app.parts import Parts
from campaigns import connections, files, policy
from recommender import training
from recommender.predictions import nightly

FIRST_BUDGET = 30.0
"""Seconds the first training may take: someone waits for the first page. The nightly run takes its time."""

Progress = Callable[[int, int | None], None]
Track = Callable[[str], Progress]
"""Starts a progress line with its title; gives the function that moves it."""


def prepare(parts: Parts, *, track: Track) -> None:
    """Brings the schema up to date and, in demo mode, loads the shop and trains once. Repeating it adds nothing."""
    parts.db.migrate()
    if not parts.config.demo:
        with parts.db.begin() as conn:
            files.ensure_demo(conn, now=datetime.now(UTC), demo=False)
        return
    if not _is_ready(parts):
        kept = _load_shop(parts, track)
        _train(parts, track)
        _play(parts, kept, track)
        _open(parts)
    now = datetime.now(UTC)
    with parts.db.begin() as conn:
        purchases.rehome(conn, parts.config.base_url)
        connections.ensure_demo(conn, keys=parts.config.secret_keys, now=now)
        blocks.ensure(conn, now=now)


def _is_ready(parts: Parts) -> bool:
    """The demo user is written last, so whoever has one has all the rest."""
    with parts.db.begin() as conn:
        return conn.scalar(sa.select(sa.func.count()).where(tables.users.c.email == account.USER)) == 1


def _load_shop(parts: Parts, track: Track) -> list[Bought]:
    """Loads it, but for the baskets its last weeks are played with; gives those."""
    now = datetime.now(UTC)
    kept = kept_back.choose(now)
    with tempfile.TemporaryDirectory(prefix="relance-demo-") as directory:
        there = Path(directory)
        left_out = kept_back.baskets(kept)
        purchases.load(parts.db, there, base_url=parts.config.base_url, now=now, track=track, left_out=left_out)
    return kept


def _train(parts: Parts, track: Track) -> None:
    progress = track("Training the recommender")
    training.run(parts.db, now=datetime.now(UTC), progress=progress, budget=FIRST_BUDGET)
    with parts.db.begin() as conn:
        zone = policy.load(conn).timezone
    nightly.run(parts.db, zone=zone, now=datetime.now(UTC))


def _play(parts: Parts, kept: Sequence[Bought], track: Track) -> None:
    now = datetime.now(UTC)
    with parts.db.begin() as conn:
        connections.ensure_demo(conn, keys=parts.config.secret_keys, now=now)
    past.play(parts, kept, now=now, progress=track("Playing the last five weeks"))


def _open(parts: Parts) -> None:
    now = datetime.now(UTC)
    with parts.db.begin() as conn:
        storefront.ensure(conn, parts.config.var, now=now)
        files.ensure_demo(conn, now=now, demo=True)
        users.create(
            conn,
            email=account.USER,
            name="Inès Moreau",
            role="admin",
            password=account.password(parts.config.var),
            now=now,
        )
