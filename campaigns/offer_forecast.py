"""How many codes the campaigns of an offer are about to need, set against what its pool has."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from campaigns import dry_run, offer_figures, offers, plans
from campaigns.offers import Kept


@dataclass(frozen=True, slots=True)
class Need:
    """What one offer has to give. `has` is empty where codes are made here: there are always enough."""

    offer: str
    needed: int
    has: int | None

    @property
    def short(self) -> int:
        """How many codes are missing."""
        return 0 if self.has is None else max(self.needed - self.has, 0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The need of each campaign over as many days as were replayed, and of all together; `least` if more came in than
    were looked at."""

    days: int
    campaigns: Mapping[str, int]
    whole: Need
    least: bool = False


def of(conn: sa.Connection, offer: Kept, *, days: int, now: datetime) -> Forecast:
    """What every campaign that gives these codes would have used in the last days, as if each ran as it stands."""
    needed, least = {}, False
    for name in offers.used_by(conn).get(offer.name, []):
        outcome = dry_run.run(conn, plans.get(conn, name), days=days, now=now)
        needed[name] = outcome.codes_needed.get(offer.name, 0)
        least = least or outcome.cut
    return Forecast(days, needed, _need(conn, offer, sum(needed.values())), least)


def compare(conn: sa.Connection, needed: Mapping[str, int]) -> list[Need]:
    """What a campaign would need of each offer, against what there is."""
    found = [(offers.find(conn, name), number) for name, number in sorted(needed.items())]
    return [_need(conn, offer, number) for offer, number in found if offer is not None]


def _need(conn: sa.Connection, offer: Kept, needed: int) -> Need:
    has = offer_figures.of(conn, offer.id)[0].free if offer.terms.codes == "pool" else None
    return Need(offer.name, needed, has)
