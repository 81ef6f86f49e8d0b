"""What was credited to a campaign's messages, by day, channel and shop; what its codes and messages cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

import sqlalchemy as sa

from campaigns import frozen
from campaigns.evidence.measures import IN_SCOPE, Scope
from campaigns.rules import Policy
from campaigns.states import SENT


@dataclass(frozen=True, slots=True)
class Place:
    """Orders credited, of one source channel or one shop; money in minor units. `store` is empty but for a shop."""

    channel: str
    store: str | None
    orders: int
    gross: int
    returned: int

    @property
    def net(self) -> int:
        """What was kept."""
        return self.gross - self.returned


@dataclass(frozen=True, slots=True)
class Day:
    """What was credited on a day, by source channel, net of returns, in minor units."""

    day: date
    net: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Costs:
    """Codes given and used, what they took off, and what the messages cost; money in minor units."""

    codes_issued: int
    codes_used: int
    discounts: int
    messages: int
    sending: float


@dataclass(frozen=True, slots=True)
class Earned:
    """What was credited. `by_kind` counts orders by what led to them: a click or a code. `elsewhere` are orders in
    other currencies, which are in no sum."""

    currency: str | None
    places: Sequence[Place]
    days: Sequence[Day]
    by_kind: Mapping[str, int]
    elsewhere: int

    @property
    def orders(self) -> int:
        """How many orders."""
        return sum(place.orders for place in self.places)

    @property
    def gross(self) -> int:
        """All of it, as it was paid."""
        return sum(place.gross for place in self.places)

    @property
    def returned(self) -> int:
        """What was sent back of it."""
        return sum(place.returned for place in self.places)

    @property
    def net(self) -> int:
        """All of it, net of returns."""
        return sum(place.net for place in self.places)


def credited(conn: sa.Connection, campaign_id: int, *, currency: str | None, zone: tzinfo, scope: Scope) -> Earned:
    """What a campaign's messages are credited with; a cancelled order is none."""
    given = {"campaign": campaign_id, "currency": currency, "zone": str(zone), **_scoped(scope)}
    places = [Place(**row) for row in conn.execute(sa.text(_PLACES), given).mappings()]
    days: dict[date, dict[str, int]] = {}
    for day, channel, net in conn.execute(sa.text(_DAYS), given):
        days.setdefault(day, {})[channel] = net
    kinds = {kind: number for kind, number in conn.execute(sa.text(_KINDS), given)}
    elsewhere = conn.scalar(sa.text(_ELSEWHERE), given) or 0
    return Earned(currency, places, [Day(day, net) for day, net in days.items()], kinds, elsewhere)


def costs(conn: sa.Connection, campaign_id: int, *, policy: Policy, scope: Scope) -> Costs:
    """What it took."""
    given = {"campaign": campaign_id, "sent": list(SENT), **_scoped(scope)}
    issued, used, discounts = conn.execute(sa.text(_CODES), given).one()
    sent = conn.execute(sa.text(_SENT), given).all()
    paid = sum(policy.price(channel, parts) for channel, _, parts in sent)
    return Costs(issued, used, discounts, sum(number for _, number, _ in sent), paid)


def _scoped(scope: Scope) -> dict[str, object]:
    return {"from": scope.since, "until": scope.until, "version": scope.version}


_CREDITED = f"""
    FROM attributions JOIN orders USING (order_id) JOIN messages ON messages.id = attributions.message_id
    JOIN enrolments ON enrolments.id = messages.enrolment_id
    WHERE attributions.campaign_id = :campaign AND orders.state <> 'cancelled' AND {IN_SCOPE}
"""
_SAME = "AND orders.currency IS NOT DISTINCT FROM :currency"

_PLACES = f"""
SELECT orders.channel, coalesce(stores.name, orders.store_id) AS store, count(*) AS orders,
    sum(orders.total)::bigint AS gross, sum(orders.refunded)::bigint AS returned
{_CREDITED.replace("WHERE", "LEFT JOIN stores ON stores.store_id = orders.store_id WHERE")} {_SAME}
GROUP BY 1, 2 ORDER BY 1, count(*) DESC, 2
"""
_DAYS = f"""
SELECT CAST(timezone(:zone, orders.ordered_at) AS date), orders.channel, sum(orders.total - orders.refunded)::bigint
{_CREDITED} {_SAME} GROUP BY 1, 2 ORDER BY 1, 2
"""
_KINDS = f"SELECT attributions.kind, count(*) {_CREDITED} {_SAME} GROUP BY 1"
_ELSEWHERE = f"SELECT count(*) {_CREDITED} AND orders.currency IS DISTINCT FROM :currency"

_CODES = f"""
WITH given AS (
    SELECT DISTINCT message_contents.promo_code AS code
    FROM messages JOIN message_contents ON message_contents.message_id = messages.id
    JOIN enrolments ON enrolments.id = messages.enrolment_id
    WHERE messages.campaign_id = :campaign AND messages.state = ANY(:sent)
        AND message_contents.promo_code IS NOT NULL AND {IN_SCOPE}
)
SELECT count(*), count(*) FILTER (WHERE state = 'redeemed'), coalesce(sum(taken), 0)::bigint
FROM given JOIN promo_codes USING (code) LEFT JOIN LATERAL (
    SELECT sum(discount) AS taken FROM promo_redemptions AS used WHERE used.code = promo_codes.code
        AND origin <> 'shared' AND undone_at IS NULL) AS uses ON true
"""
_SENT = f"""
SELECT messages.channel, count(*), sum({frozen.PARTS})::bigint
FROM messages JOIN enrolments ON enrolments.id = messages.enrolment_id
WHERE messages.campaign_id = :campaign AND messages.state = ANY(:sent) AND {IN_SCOPE} GROUP BY 1
"""
