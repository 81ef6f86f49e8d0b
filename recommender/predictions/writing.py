"""Writes what is expected of everybody: a stretch of customers at a time, and only the rows that differ.

Customers are gone through by number. Memory stays the same however many there are, and a run that is killed has
written whole stretches. Names of categories and channels never leave the database: numbers are copied out, foretold
from, and copied in beside them.
"""

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from foundation.database import Database, driver
from recommender.predictions import forecast, histories
from recommender.predictions.forecast import Basis, Forecast, Outlook
from recommender.predictions.histories import COLUMNS, FAVOURITE_FROM, FAVOURITES, HISTORY, NUMBERS, ORDERS, Frame
from recommender.predictions.lifetime import Floats
from shop import changes
from shop.changes import What

STRETCH = 20_000
"""Customers at a time."""

NEVER = -1
"""Days until the next order, where it is not within a year."""

_NEXT = """
SELECT max(id) FROM (SELECT id FROM customers WHERE id > %(after)s ORDER BY id LIMIT %(stretch)s) AS stretch
"""
_MODES = ", ".join(
    f"CASE WHEN count(*) >= {FAVOURITE_FROM} THEN mode() WITHIN GROUP (ORDER BY {value}) END AS {name}"
    for name, value in FAVOURITES.items()
    if name != "favourite_category"
)
_FACTS = f"""
CREATE TEMPORARY TABLE facts ON COMMIT DROP AS
WITH chosen AS ({ORDERS} AND o.customer_id > %(after)s AND o.customer_id <= %(upto)s), {HISTORY}, favourites AS (
    SELECT customer_id, {_MODES} FROM chosen GROUP BY customer_id
), categories AS (
    SELECT line.customer_id, mode() WITHIN GROUP (ORDER BY category) AS favourite_category
    FROM order_lines line JOIN products USING (product_id)
    WHERE line.customer_id > %(after)s AND line.customer_id <= %(upto)s AND line.ordered_at <= %(now)s
        AND category IS NOT NULL AND quantity > 0
        AND NOT EXISTS (SELECT FROM orders gone WHERE gone.order_id = line.order_id AND gone.state = 'cancelled')
    GROUP BY line.customer_id HAVING count(DISTINCT order_id) >= {FAVOURITE_FROM}
)
SELECT * FROM history JOIN favourites USING (customer_id) LEFT JOIN categories USING (customer_id)
"""
_READ = f"COPY (SELECT {NUMBERS} FROM facts) TO STDOUT (FORMAT binary)"
_FORETOLD = """
CREATE TEMPORARY TABLE foretold (customer_id bigint, next_days bigint, soon bigint, churn bigint, value bigint)
ON COMMIT DROP
"""
_COPY_IN = "COPY foretold FROM STDIN (FORMAT binary)"
_KEPT = ("next_order_at", "order_probability_30d", "churn_risk", "expected_value_12m", "currency", *FAVOURITES)


def _each(pattern: str) -> str:
    return ", ".join(pattern.format(name) for name in _KEPT)


_WRITE = f"""
INSERT INTO customer_predictions AS kept (customer_id, as_of, {", ".join(_KEPT)})
SELECT customer_id, %(now)s,
    CASE WHEN next_days <> {NEVER} THEN (%(until)s::date + next_days::int)::timestamp AT TIME ZONE %(zone)s END,
    soon / 100.0, churn / 100.0, value, currency, {", ".join(FAVOURITES)}
FROM facts JOIN foretold USING (customer_id)
WHERE EXISTS (SELECT FROM customers WHERE id = customer_id)
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET as_of = excluded.as_of, {_each("{0} = excluded.{0}")}
WHERE ({_each("kept.{0}")}) IS DISTINCT FROM ({_each("excluded.{0}")})
"""
_FORGET = """
DELETE FROM customer_predictions gone WHERE gone.customer_id > %(after)s AND gone.customer_id <= %(upto)s
    AND NOT EXISTS (SELECT FROM foretold WHERE foretold.customer_id = gone.customer_id)
"""
_FIELDS = [("fields", ">i2")] + [
    (f"{name}{part}", kind)
    for name in ("customer", "next_days", "soon", "churn", "value")
    for part, kind in (("_size", ">i4"), ("", ">i8"))
]
_ROW = np.dtype(_FIELDS)
_HEADER, _TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"


def write(db: Database, learned: Forecast, *, frame: Frame) -> tuple[int, int]:
    """Brings everybody's row up to date; without a basis, or for who refuses it, there is none. Returns how many
    customers have predictions and how many rows were written. Manages its own transactions, one a stretch."""
    after, customers, written = 0, 0, 0
    while True:
        with db.begin() as conn:
            upto = driver(conn).execute(_NEXT, {"after": after, "stretch": STRETCH}).fetchone()
            if upto is None or upto[0] is None:
                changes.everybody(conn, What.PREDICTIONS)
                return customers, written
            here = _stretch(conn, learned, frame=frame, after=after, upto=upto[0])
        after, customers, written = upto[0], customers + here[0], written + here[1]


def _stretch(conn: sa.Connection, learned: Forecast, *, frame: Frame, after: int, upto: int) -> tuple[int, int]:
    given = frame.given(until=frame.today) | {"after": after, "upto": upto}
    cursor = driver(conn)
    cursor.execute(_FORETOLD)
    if learned.basis is Basis.NONE:
        cursor.execute(_FORGET, given)
        return 0, 0
    cursor.execute(_FACTS, given)
    rows = histories.copied(conn, _READ, given=given, columns=COLUMNS)
    foretold = forecast.outlook(learned, histories.known(rows))
    with cursor.cursor() as into, into.copy(_COPY_IN) as copy:
        copy.write(_packed(rows["customer"], foretold))
    cursor.execute(_FORGET, given)
    return len(rows["customer"]), cursor.execute(_WRITE, given).rowcount


def _packed(customers: NDArray[np.int64], foretold: Outlook) -> bytes:
    """The rows as PostgreSQL's binary COPY reads them. Shares to the hundredth and amounts to two digits: more would
    pretend to more than is known, and write rows anew every night for nothing."""
    rows = np.zeros(len(customers), _ROW)
    rows["fields"] = 5
    for name in ("customer", "next_days", "soon", "churn", "value"):
        rows[f"{name}_size"] = 8
    rows["customer"] = customers
    rows["next_days"] = np.where(np.isnan(foretold.next_days), NEVER, np.ceil(foretold.next_days))
    rows["soon"], rows["churn"] = np.rint(foretold.soon * 100), np.rint(foretold.churn * 100)
    rows["value"] = two_digits(foretold.value)
    return _HEADER + rows.tobytes() + _TRAILER


def two_digits(amounts: Floats) -> Floats:
    """Amounts rounded to two significant digits: 12,345 is 12,000."""
    unit = 10.0 ** np.maximum(np.floor(np.log10(np.maximum(amounts, 1.0))) - 1, 0)
    rounded: Floats = np.rint(amounts / unit) * unit
    return rounded
