"""What follows when nobody is looking: leases that lapsed, doubts that resolve, messages too late; and what the end of
each message brings about."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import moves, overdue, own_events, promotions, resending
from campaigns.channels import base
from campaigns.sending import passing
from foundation.database import Database


def sweep(
    db: Database,
    *,
    channels: Mapping[str, base.Carrier[Any]] | None = None,
    now: datetime,
    checkpoint: Callable[[str], None] = passing,
) -> str | None:
    """What dead workers, silent providers and time left behind: each rule one UPDATE that may be repeated.

    What `channels` can do decides which doubts may be resolved by sending again.
    """
    swept = {}
    for word, rule in _rules(channels or {}).items():
        with db.begin() as conn:
            swept[word] = rule(conn, now)
        checkpoint("swept")
    settle(db, now=now)
    return ", ".join(f"{number} {word}" for word, number in swept.items() if number) or None


Rule = Callable[[sa.Connection, datetime], int]


def _rules(channels: Mapping[str, base.Carrier[Any]]) -> dict[str, Rule]:
    keeping = {one.provider: one.keeps_for for one in channels.values() if one.keeps_for is not None}
    telling = [one.provider for one in channels.values() if one.tells]
    return {
        "waiting again": lambda conn, now: moves.reopen(conn),
        "in doubt": lambda conn, now: moves.doubt(conn),
        "asked again": lambda conn, now: resending.recognised(conn, keeping, now=now),
        "sent again": lambda conn, now: resending.quiet(conn, telling, now=now),
        "unconfirmed": lambda conn, now: moves.give_up(conn, telling, now=now),
        "too late": lambda conn, now: moves.expire(conn, now=now),
        "held for a decision": lambda conn, now: overdue.hold(conn, now=now),
    }


def settle(db: Database, *, now: datetime) -> None:
    """Draws the consequences of messages that ended: their codes are issued or released, and `Message Sent` told."""
    while True:
        with db.begin() as conn:
            rows = moves.unsettled(conn, limit=500)
            if not rows:
                return
            sent = [row for row in rows if moves.was_sent(row["state"])]
            promotions.issue(conn, _ids(sent), now=now)
            promotions.release_reserved(conn, _ids(row for row in rows if moves.never_left(row)), now=now)
            own_events.tell(conn, [own_events.sent(row) for row in sent], now=now)
            moves.settle(conn, _ids(rows), now=now)


def _ids(rows: Iterable[sa.RowMapping]) -> list[UUID]:
    return [row["id"] for row in rows]
