"""Launches that wait for a second person's yes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import tables
from foundation import database


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asked for a second yes to a campaign and nobody has given it."""

    campaign: str
    asked_by: str
    asked_at: datetime


def waiting(conn: sa.Connection) -> Sequence[Asked]:
    """The last thing asked of each campaign that is not launched, the oldest first."""
    asked, campaigns = tables.campaign_approvals, tables.campaigns
    latest = (
        sa.select(campaigns.c.name.label("campaign"), asked.c.asked_by, asked.c.asked_at, asked.c.approved_at)
        .join(campaigns, campaigns.c.id == asked.c.campaign_id)
        .where(campaigns.c.state == "draft")
        .ext(postgresql.distinct_on(asked.c.campaign_id))
        .order_by(asked.c.campaign_id, asked.c.asked_at.desc())
        .subquery()
    )
    wanted = sa.select(latest.c.campaign, latest.c.asked_by, latest.c.asked_at).where(latest.c.approved_at.is_(None))
    return database.read(conn, wanted.order_by(latest.c.asked_at), Asked)
