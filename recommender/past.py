"""Who customers are, whether they did anything since, and what they did lately: of many at once, in one query.

Products travel as the hashes PostgreSQL makes of their ids and rows as bytes of one width, which numpy reads as they
are: nothing here is done once a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from foundation.database import array, driver
from recommender.algorithms import base
from recommender.algorithms.base import Ints
from recommender.model import RECENT

Version = tuple[int, int]
"""A customer and the last transaction that changed her profile; every event of hers does."""

_READ = f"""
WITH asked AS MATERIALIZED (
    SELECT place, owner, known, ranked, coalesce(
        (SELECT coalesce(merged_into, id) FROM customers WHERE id = given.customer),
        (SELECT customer_id FROM identities
         WHERE kind = given.kind AND value = given.value AND quarantined_at IS NULL)
    ) AS customer_id
    FROM unnest(%(customers)s::bigint[], %(kinds)s::text[], %(values)s::text[], %(owners)s::bigint[],
                %(known)s::bigint[], %(ranked)s::bool[])
        WITH ORDINALITY AS given (customer, kind, value, owner, known, ranked, place)
), versioned AS MATERIALIZED (
    SELECT place, customer_id, version, (owner, known) = (customer_id, version) AS unchanged, ranked
    FROM asked LEFT JOIN LATERAL (
        SELECT CAST(CAST(xmin AS text) AS bigint) AS version FROM profiles WHERE customer_id = asked.customer_id
    ) AS profile ON true
)
SELECT versioned.customer_id, versioned.version, unchanged IS TRUE, refused.channels, latest.packed, ahead.products,
    last.channel, last.store_id
FROM versioned
LEFT JOIN rankings AS ahead ON ranked AND unchanged IS NOT TRUE AND ahead.customer_id = versioned.customer_id
    AND ahead.version = versioned.version AND ahead.model_id = %(model)s AND ahead.made_at > %(oldest)s
LEFT JOIN LATERAL (
    SELECT array_agg(channel) AS channels FROM consents
    WHERE customer_id = versioned.customer_id AND purpose IN ('personalization', 'any') AND state = 'denied'
) AS refused ON true
LEFT JOIN LATERAL (
    SELECT string_agg(int8send(hashtextextended(product_id, 0)) || timestamptz_send(at) || kind, '') AS packed
    FROM (
        SELECT * FROM (
            (SELECT product_id, ordered_at AS at, '\\x02'::bytea AS kind FROM order_lines
             WHERE customer_id = versioned.customer_id AND unchanged IS NOT TRUE
               AND ordered_at <= %(now)s AND quantity > 0
               AND order_id <> ALL (ARRAY(
                   SELECT order_id FROM orders WHERE customer_id = versioned.customer_id AND state <> 'completed'))
             ORDER BY ordered_at DESC LIMIT {RECENT})
            UNION ALL
            (SELECT product_id, occurred_at, CASE name WHEN 'Product Added' THEN '\\x01'::bytea ELSE '\\x00'::bytea END
             FROM events
             WHERE customer_id = versioned.customer_id AND unchanged IS NOT TRUE AND occurred_at <= %(now)s
               AND name IN ('Product Viewed', 'Product Added') AND product_id IS NOT NULL
             ORDER BY occurred_at DESC LIMIT {RECENT})
        ) AS both_kinds ORDER BY at DESC LIMIT {RECENT}
    ) AS lately
) AS latest ON true
LEFT JOIN LATERAL (
    SELECT channel, store_id FROM (
        (SELECT occurred_at AS at, false AS ordered, channel, store_id FROM events
         WHERE customer_id = versioned.customer_id AND unchanged IS NOT TRUE AND occurred_at <= %(now)s
           AND name IN ('Product Viewed', 'Product Added') AND product_id IS NOT NULL
         ORDER BY occurred_at DESC LIMIT 1)
        UNION ALL
        (SELECT ordered_at, true, channel, store_id FROM orders
         WHERE customer_id = versioned.customer_id AND unchanged IS NOT TRUE AND ordered_at <= %(now)s
           AND state = 'completed'
         ORDER BY ordered_at DESC LIMIT 1)
    ) AS both_places ORDER BY at DESC, ordered DESC LIMIT 1
) AS last ON true
ORDER BY place
"""
"""The past of a customer whose version is known already is not read again."""

AHEAD_KEPT = timedelta(hours=26)
"""A ranking made ahead counts for so long: it is made every night, and what she is due for changes with the days."""

_ROW = np.dtype([("product", ">i8"), ("at", ">i8"), ("kind", "u1")])
_POSTGRES_EPOCH = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000, everyone else from 1970."""


@dataclass(frozen=True, slots=True)
class Handle:
    """How a request names its customer: an id of ours, else one the shop or the browser gave; or nothing at all.

    `version` is that of her past as the asker has it; `ranked`: a ranking made ahead would do.
    """

    customer_id: int | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    version: Version | None = None
    ranked: bool = False


@dataclass(frozen=True, slots=True)
class Who:
    """A customer, if she is known. `unchanged`: she did nothing since the version the asker has.

    `refused` are the channels on which she does not want what she did to be used; `any` means all.
    """

    customer_id: int | None
    version: Version | None
    unchanged: bool
    refused: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pasts:
    """What many customers did lately on all channels, latest first within each, as flat arrays; the rows of request r
    begin at `starts[r]`. `times` are microseconds since 1970, `products` the hashes of their ids. `ahead` are rankings
    made ahead for those who did nothing since. `channels` and `stores` are where each was last, by name."""

    who: tuple[Who, ...]
    ahead: tuple[bytes | None, ...]
    channels: tuple[str | None, ...]
    stores: tuple[str | None, ...]
    starts: Ints
    products: NDArray[np.int64]
    times: Ints
    kinds: Ints


NO_HANDLE = Handle()
NOBODY = Who(None, None, False, frozenset())


def read(conn: sa.Connection, handles: Sequence[Handle], *, model_id: int | None = None, now: datetime) -> Pasts:
    """Who each is and her latest interactions; orders that were undone left out.

    A handle nobody has, or too many have, is nobody's. The past of one who is unchanged is not read and comes empty.

    :param model_id: of which model rankings made ahead are wanted
    """
    named = [
        place for place, handle in enumerate(handles) if _key(handle) is not None or handle.customer_id is not None
    ]
    who, packed, ahead = [NOBODY] * len(handles), [b""] * len(handles), [None] * len(handles)
    channels, stores = [None] * len(handles), [None] * len(handles)
    if named:
        given = _given([handles[place] for place in named], model_id, now)
        rows = driver(conn).execute(_READ, given, prepare=True, binary=True).fetchall()
        for place, (customer_id, version, unchanged, refused, *found) in zip(named, rows, strict=True):
            known = None if customer_id is None or version is None else (customer_id, version)
            who[place] = Who(customer_id, known, unchanged, frozenset(refused or ()))
            past, ahead[place], channels[place], stores[place] = found
            packed[place] = past or b""
    table = np.frombuffer(b"".join(packed), _ROW)
    return Pasts(
        tuple(who),
        tuple(ahead),
        tuple(channels),
        tuple(stores),
        starts=base.offsets(np.array([len(each) for each in packed], np.int64) // _ROW.itemsize),
        products=table["product"].astype(np.int64),
        times=table["at"].astype(np.int64) + _POSTGRES_EPOCH,
        kinds=table["kind"].astype(np.int64),
    )


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _given(handles: Sequence[Handle], model_id: int | None, now: datetime) -> dict[str, object]:
    return {
        "customers": array(handle.customer_id for handle in handles),
        "kinds": array("anonymous_id" if handle.user_id is None else "user_id" for handle in handles),
        "values": array(_key(handle) for handle in handles),
        "owners": array(handle.version[0] if handle.version else None for handle in handles),
        "known": array(handle.version[1] if handle.version else None for handle in handles),
        "ranked": array("t" if handle.ranked else "f" for handle in handles),
        "model": model_id,
        "oldest": now - AHEAD_KEPT,
        "now": now,
    }


def _key(handle: Handle) -> str | None:
    if handle.customer_id is not None:
        return None
    return handle.user_id if handle.user_id is not None else handle.anonymous_id
