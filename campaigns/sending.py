"""What sending needs beside the database, handed to every part of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from campaigns.channels import base
from campaigns.journal import Journal
from campaigns.links import Links
from recommender import serving

IN_FLIGHT = 16


class Recommends(Protocol):
    """Who fills the product slot: `recommender.serving.Recommender`."""

    def recommend_many(
        self, conn: sa.Connection, requests: Sequence[serving.Request], *, now: datetime
    ) -> Sequence[serving.Slate]: ...


def passing(point: str) -> None:
    """Nothing happens at a checkpoint, unless a test of crashes puts something there."""


@dataclass(frozen=True, slots=True)
class Sending:
    """`channels` by their word (email, sms …). `lease` is at least three times what a provider call may take; `locale`
    is spoken to customers of whom no language is known.

    `batch` messages are prepared together; at most `in_flight` of them are on their way at once, which is as many as
    a crash can leave in doubt. Of a broadcast `together` may be, where one call carries many; batches then grow as far
    while they go quickly. `hands` work at once on a channel, each within these bounds.
    """

    channels: Mapping[str, base.Carrier[Any]]
    recommender: Recommends
    links: Links
    journal: Journal
    sender: str
    locale: str = "en"
    lease: timedelta = timedelta(seconds=60)
    batch: int = 50
    in_flight: int = IN_FLIGHT
    together: int = IN_FLIGHT
    hands: int = 1
    seconds: float = 20.0
    checkpoint: Callable[[str], None] = passing
