"""Reading customers' orders as histories: one row a customer, made by set statements, never the orders themselves.

Cancelled orders are left out, returns are subtracted, orders of one day count once. A merged customer's orders are
those of who she is now. Whoever refuses personalization is not read at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from foundation.database import driver
from recommender.predictions.calibration import Hits
from recommender.predictions.forecast import Ints, Known
from recommender.predictions.lifetime import Floats, Histories

SAMPLE = 200_000
"""Customers from whom the shop's distributions are learned; more would not change their second digit."""

FAVOURITE_FROM = 3
"""Orders from which on a favourite is named."""

FAVOURITES = {
    "favourite_category": "category",
    "favourite_channel": "channel",
    "favourite_hour": "extract(hour FROM local)::smallint",
    "favourite_weekday": "extract(isodow FROM local)::smallint",
}
"""Each favourite and the value of an order, or of its lines, that it is the most frequent of."""

ORDERS = """
SELECT o.customer_id, o.order_id, o.channel, o.currency, greatest(o.total - o.refunded, 0) AS net,
    (o.ordered_at AT TIME ZONE %(zone)s)::date AS day,
    o.ordered_at AT TIME ZONE CASE WHEN c.timezone = ANY(%(zones)s::text[]) THEN c.timezone ELSE %(zone)s END AS local
FROM orders o JOIN customers c ON c.id = o.customer_id
WHERE o.state <> 'cancelled' AND o.ordered_at <= %(now)s AND c.merged_into IS NULL AND NOT EXISTS (
    SELECT FROM consents no WHERE no.customer_id = c.id AND no.state = 'denied'
        AND no.channel = 'any' AND no.purpose IN ('personalization', 'any'))
"""
"""Days are the shop's, hours and weekdays those of the customer's own clock."""

HISTORY = """
by_currency AS (
    SELECT customer_id, currency, count(*) AS orders, count(DISTINCT day) AS days, sum(net) AS net,
        min(day) AS first, max(day) AS last
    FROM chosen WHERE day <= %(until)s GROUP BY customer_id, currency
), history AS (
    SELECT DISTINCT ON (customer_id) customer_id, sum(orders) OVER hers AS orders, sum(days) OVER hers AS days,
        min(first) OVER hers AS first, max(last) OVER hers AS last, currency, days AS spent_days, net AS spent
    FROM by_currency WINDOW hers AS (PARTITION BY customer_id)
    ORDER BY customer_id, by_currency.orders DESC, currency
)"""
"""What she spent is told in the currency of most of her orders."""

NUMBERS = """
    customer_id, (days - 1)::bigint, (last - first)::bigint, (%(until)s::date - first)::bigint,
    coalesce(array_position(%(currencies)s::text[], currency), 0)::bigint, spent_days, spent::bigint"""
COLUMNS = ("customer", "repeats", "recency", "age", "currency", "days", "spent")

_SAMPLED = "AND (hashint8extended(o.customer_id, 7) & 65535) < %(share)s"
_SAMPLE = f"""
COPY (
    WITH chosen AS ({ORDERS} {_SAMPLED}), {HISTORY}, later AS (
        SELECT customer_id, min(day) - %(until)s::date AS later_days, sum(net) AS later_net
        FROM chosen WHERE day > %(until)s GROUP BY customer_id
    )
    SELECT {NUMBERS}, coalesce(later_days, 0)::bigint, coalesce(later_net, 0)::bigint
    FROM history LEFT JOIN later USING (customer_id) ORDER BY customer_id
) TO STDOUT (FORMAT binary)
"""
_HITS = """
WITH chosen AS ({orders} {sampled}), valued AS ({rows}), before AS (
    SELECT customer_id, mode() WITHIN GROUP (ORDER BY value) AS favourite
    FROM valued WHERE day <= %(until)s GROUP BY customer_id HAVING count(DISTINCT order_id) >= {least}
), shop AS (
    SELECT mode() WITHIN GROUP (ORDER BY value) AS favourite FROM valued WHERE day <= %(until)s
)
SELECT count(DISTINCT order_id), count(DISTINCT order_id) FILTER (WHERE value = before.favourite),
    count(DISTINCT order_id) FILTER (WHERE value = shop.favourite)
FROM valued JOIN before USING (customer_id), shop WHERE day > %(until)s
"""
_ORDER_VALUES = "SELECT customer_id, order_id, day, {value} AS value FROM chosen"
_LINE_VALUES = """
SELECT chosen.customer_id, order_id, day, {value} AS value
FROM chosen JOIN order_lines USING (order_id) JOIN products USING (product_id)
WHERE category IS NOT NULL AND quantity > 0"""


@dataclass(frozen=True, slots=True)
class Frame:
    """What reading needs to know of the shop, looked up once a run. `zone`: its clock, an IANA name; `zones`: those
    this server knows; `currencies`: those it sells in, numbered from 1; `share` of 65536 customers are sampled."""

    now: datetime
    zone: str
    zones: list[str]
    currencies: list[str]
    share: int

    @property
    def today(self) -> date:
        """The shop's day."""
        return self.now.astimezone(ZoneInfo(self.zone)).date()

    def given(self, *, until: date) -> dict[str, Any]:
        """The values the statements name."""
        return {
            "now": self.now,
            "zone": self.zone,
            "zones": self.zones,
            "currencies": self.currencies,
            "share": self.share,
            "until": until,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """Histories until a day, and what followed it: days until the next order (0 for none) and money spent."""

    known: Known
    later_days: Floats
    later_net: Floats


def frame(conn: sa.Connection, *, zone: str, now: datetime) -> Frame:
    """Looks up what stays the same during a run. Of a shop imported a moment ago PostgreSQL knows no sizes yet, and
    would read it the slow way."""
    conn.execute(sa.text("ANALYZE customers, consents, orders, order_lines, products"))
    buyers = conn.scalar(sa.text("SELECT count(*) FROM profiles WHERE orders > 0")) or 0
    currencies = sa.text("SELECT DISTINCT currency FROM orders WHERE currency IS NOT NULL ORDER BY 1")
    return Frame(
        now=now,
        zone=zone,
        zones=list(conn.scalars(sa.text("SELECT name FROM pg_timezone_names"))),
        currencies=list(conn.scalars(currencies)),
        share=65536 * SAMPLE // max(buyers, SAMPLE),
    )


def sample(conn: sa.Connection, of: Frame, *, until: date) -> Sample:
    """Customers drawn by a hash of their number, as they stood on a day, and what they did since."""
    names = (*COLUMNS, "later_days", "later_net")
    rows = copied(conn, _SAMPLE, given=of.given(until=until), columns=names)
    return Sample(known(rows), rows["later_days"].astype(float), rows["later_net"].astype(float))


def known(rows: Mapping[str, Ints]) -> Known:
    """Columns as they are read, as what is known."""
    days = rows["days"].astype(float)
    return Known(
        histories=Histories(*(rows[name].astype(float) for name in ("repeats", "recency", "age"))),
        currencies=rows["currency"],
        days=days,
        mean=rows["spent"] / np.maximum(days, 1.0),
    )


def hits(conn: sa.Connection, of: Frame, *, favourite: str, until: date) -> Hits:
    """How often orders after a day were in what had been the customer's favourite until then."""
    rows = _LINE_VALUES if favourite == "favourite_category" else _ORDER_VALUES
    statement = _HITS.format(
        orders=ORDERS, sampled=_SAMPLED, rows=rows.format(value=FAVOURITES[favourite]), least=FAVOURITE_FROM
    )
    (row,) = driver(conn).execute(statement, of.given(until=until)).fetchall()
    orders, same, shop = row
    return Hits((of.today - until).days, orders, same / max(orders, 1), shop / max(orders, 1))


_HEADER, _TRAILER = 19, 2


def copied(
    conn: sa.Connection, statement: str, *, given: Mapping[str, Any], columns: tuple[str, ...]
) -> dict[str, NDArray[np.int64]]:
    """The bigint columns of a binary COPY, viewed as arrays without parsing a row."""
    fields = [("fields", ">i2")] + [(f"{name}{part}", kind) for name in columns for part, kind in _FIELD]
    received = bytearray()
    with driver(conn).cursor() as cursor, cursor.copy(statement, given) as copy:
        for block in copy:
            received += block
    rows = np.frombuffer(memoryview(received)[_HEADER : len(received) - _TRAILER], np.dtype(fields))
    return {name: rows[name].astype(np.int64) for name in columns}


_FIELD = (("_size", ">i4"), ("", ">i8"))
