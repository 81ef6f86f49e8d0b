"""Promo codes at tills and checkouts: asked about, used once, refused for a reason, given back.

A redemption is one statement: the code is locked, the budget takes what it costs, and the use is written, or nothing
is. Terms are read before it, and it holds only if they still stand; so neither two tills, nor a till and an edit of the
offer, can each be right about something the other made wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeGuard

import sqlalchemy as sa
from psycopg.rows import namedtuple_row
from sqlalchemy.dialects import postgresql

from campaigns import codes, given, offers, promo_tables, tables, verdicts
from campaigns.definitions.offers import Offer
from campaigns.verdicts import Around, Basket, Goods, Held, Reason, Verdict
from foundation import database
from foundation.errors import Conflict, NotFound
from shop import catalogue, changes, money
from shop.catalogue import Product
from shop.changes import What

promo_codes, redemptions = tables.promo_codes, promo_tables.promo_redemptions
_TRIES = 3
"""Terms that change while a code is used are read again; nobody edits an offer thrice in a millisecond."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A code with everything that stands around it."""

    code: str
    offer_id: int
    revision: int
    terms: Offer
    held: Held
    around: Around
    order_id: str | None
    discount: int


def validate(conn: sa.Connection, code: str, basket: Basket, *, now: datetime) -> Verdict:
    """Whether the code may be used on this basket, and what it takes off; changes nothing."""
    known = _known(conn, code, basket, order_id="")
    return _verdict(known, basket, now) if known else Verdict(False, Reason.UNKNOWN)


def redeem(conn: sa.Connection, code: str, basket: Basket, *, order_id: str, channel: str, now: datetime) -> Verdict:
    """Uses the code for this order, at most once whatever happens at the same moment.

    The same order again gets the same answer. `Conflict` says why not; its transaction must not be committed, and
    what was refused is told to `refused` in another.
    """
    there = replace(basket, channel=channel)
    database.driver(conn).execute(_TURN, {"order": order_id})
    for _ in range(_TRIES):
        known = _known(conn, code, there, order_id=order_id)
        if known is None:
            raise Conflict(Reason.UNKNOWN)
        if known.order_id == order_id:
            return verdicts.granted(known.terms, known.discount)
        verdict = _verdict(known, there, now)
        if not verdict.valid:
            raise Conflict(verdict.reason or Reason.USED)
        if _use(conn, known, there, verdict, order_id=order_id, now=now):
            return verdict
    raise Conflict(Reason.USED)


_TURN = "SELECT pg_advisory_xact_lock(7269, hashtext(%(order)s))"
"""Two codes of one order are used one after the other: the second counts on what the first left to pay."""


def refused(
    conn: sa.Connection, code: str, basket: Basket, *, order_id: str, channel: str, reason: str, now: datetime
) -> None:
    """Keeps that a code there is was refused; the same refusal for the same order is counted, not written anew."""
    told = {
        "code": codes.normalise(code),
        "order_id": order_id,
        "reason": reason,
        "channel": channel,
        "store_id": basket.store_id,
        "named": basket.customer,
        "now": now,
    }
    conn.execute(_REFUSED, told)


def release(conn: sa.Connection, code: str, *, order_id: str, now: datetime) -> None:
    """The order was cancelled or returned whole: its code may be used again. A second call changes nothing."""
    plain = codes.normalise(code)
    used = redemptions.c.code == plain
    mine = used & (redemptions.c.order_id == order_id)
    if undo(conn, mine, now=now) or conn.scalar(sa.select(sa.exists().where(mine))):
        return
    if conn.scalar(sa.select(sa.exists().where(used, redemptions.c.undone_at.is_(None)))):
        raise Conflict("other_order", "the code was used for another order")
    if not conn.scalar(sa.select(sa.exists().where(promo_codes.c.code == plain))):
        raise NotFound("no such code")


def undo(conn: sa.Connection, chosen: "sa.ColumnElement[bool]", *, now: datetime) -> int:
    """Takes these redemptions back: codes are their holders' again, budgets have their money again; says how many.

    Who was given another code of the offer meanwhile keeps that one alone. One that nobody held, for it was used out of
    the pool, does not go back there: whoever used it knows it. It stays good as long as one given now would.
    """
    standing = chosen & redemptions.c.undone_at.is_(None)
    # Codes first, as tills lock them.
    mine = promo_codes.c.code.in_(sa.select(redemptions.c.code).where(standing))
    conn.execute(sa.select(promo_codes.c.code).where(mine).order_by(promo_codes.c.code).with_for_update())
    undone = (
        sa.update(redemptions)
        .where(standing)
        .values(undone_at=now)
        .returning(redemptions.c.code, redemptions.c.offer_id, redemptions.c.discount)
    )
    rows = conn.execute(undone).all()
    freed: Counter[int] = Counter()
    for row in rows:
        freed[row.offer_id] += row.discount
    for offer_id, amount in sorted(freed.items()):
        _pay(conn, offer_id, -amount)
    _told(conn, conn.scalars(_BACK, {"codes": [row.code for row in rows], "now": now}))
    return len(rows)


_BACK = sa.text("""
    WITH used AS (
        SELECT code, offer_id, customer_id,
            row_number() OVER (PARTITION BY offer_id, customer_id ORDER BY expires_at DESC, code) AS place
        FROM promo_codes WHERE code = ANY(CAST(:codes AS text[])) AND state = 'redeemed'
    ), mine AS (
        SELECT code, customer_id IS NOT NULL AND (place > 1 OR EXISTS (
            SELECT FROM promo_codes AS other WHERE other.offer_id = used.offer_id
                AND other.customer_id = used.customer_id AND other.state IN ('reserved', 'issued'))) AS beside,
            least(CAST(terms ->> 'ends_at' AS timestamptz),
                :now + make_interval(days => coalesce(CAST(terms ->> 'valid_days' AS int), 7))) AS fresh
        FROM used JOIN offers ON offers.id = used.offer_id
    )
    UPDATE promo_codes SET redeemed_at = NULL, moved_at = :now, issued_at = coalesce(issued_at, :now),
        state = CASE WHEN beside THEN 'expired' ELSE 'issued' END,
        expires_at = CASE WHEN beside THEN :now ELSE coalesce(expires_at, least(not_after, fresh)) END
    FROM mine WHERE promo_codes.code = mine.code
    RETURNING promo_codes.customer_id
""")


def mark_used(conn: sa.Connection, used: Mapping[str, datetime], *, now: datetime) -> set[str]:
    """These codes were used, as orders say that nobody asked us about; gives those that were not yet."""
    columns: dict[str, given.Column] = {
        "code": (sa.Text(), list(used)),
        "at": (given.Time, list(used.values())),
    }
    by = given.rows("used", columns)
    open_ = promo_codes.c.state.in_(("free", "reserved", "issued", "expired"))
    marked = sa.update(promo_codes).where(promo_codes.c.code == by.c.code, open_)
    marked = marked.values(state="redeemed", redeemed_at=by.c.at, moved_at=now)
    rows = conn.execute(marked.returning(promo_codes.c.code, promo_codes.c.customer_id)).all()
    _told(conn, [row.customer_id for row in rows])
    return {row.code for row in rows}


def use_afterwards(conn: sa.Connection, uses: Sequence[sa.RowMapping]) -> int:
    """Keeps uses that orders tell of; a budget pays for them whatever it has left, for the shop has given them."""
    if not uses:
        return 0
    rows = [{name: use[name] for name in _TOLD} | {"asked": False} for use in uses]
    insert = postgresql.insert(redemptions).on_conflict_do_nothing()
    kept = conn.execute(insert.returning(redemptions.c.offer_id, redemptions.c.discount), rows).all()
    paid: Counter[int] = Counter()
    for row in kept:
        paid[row.offer_id] += row.discount
    for offer_id, amount in sorted(paid.items()):
        _pay(conn, offer_id, amount)
    return len(kept)


_TOLD = ("code", "offer_id", "order_id", "channel", "store_id", "customer_id", "discount", "basket", "at", "leaked")


def _pay(conn: sa.Connection, offer_id: int, amount: int) -> None:
    """Adds to what a budget has paid; offers without one are not written to, so that their tills never wait."""
    table = tables.offers
    budgeted = (table.c.id == offer_id) & table.c.terms.has_key("budget")
    conn.execute(sa.update(table).where(budgeted).values(spent=table.c.spent + amount))


def _told(conn: sa.Connection, owners: Iterable[int | None]) -> None:
    changes.note(conn, [owner for owner in owners if owner is not None], What.CODES)


# ------------------------------------------------------------------------------------------------------ knowing
_KNOWN = """
    SELECT held.code, held.offer_id, held.state, held.origin, held.expires_at, holder.id AS holder,
        offers.revision, offers.spent, offers.terms::text AS terms, payer.id AS customer_id,
        used.order_id, used.discount, others.taken, others.alone, others.many,
        EXISTS (SELECT FROM promo_redemptions WHERE offer_id = held.offer_id AND customer_id = payer.id
            AND undone_at IS NULL AND order_id <> %(order)s) AS used_another
    FROM promo_codes AS held
    JOIN offers ON offers.id = held.offer_id
    LEFT JOIN LATERAL (SELECT coalesce(merged_into, id) AS id FROM customers WHERE id = held.customer_id) AS holder
        ON true
    LEFT JOIN LATERAL (SELECT customer_id AS id FROM identities
        WHERE kind = 'user_id' AND value = %(customer)s AND quarantined_at IS NULL) AS payer ON true
    LEFT JOIN LATERAL (SELECT order_id, discount FROM promo_redemptions WHERE code = held.code AND undone_at IS NULL
        AND (held.origin <> 'shared' OR order_id = %(order)s) ORDER BY order_id = %(order)s DESC LIMIT 1) AS used
        ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(discount), 0)::bigint AS taken, count(*) AS many,
            coalesce(bool_or(NOT coalesce((beside.terms -> 'stackable')::boolean, false)), false) AS alone
        FROM (
            SELECT offer_id, discount FROM promo_redemptions
                WHERE order_id = %(order)s AND code <> held.code AND undone_at IS NULL
            UNION ALL
            SELECT offer_id, 0 FROM promo_codes WHERE code = ANY(%(others)s::text[]) AND code <> held.code
        ) AS uses JOIN offers AS beside ON beside.id = uses.offer_id
    ) AS others
    WHERE held.code = %(code)s AND held.state NOT IN ('free', 'released')
"""
"""What nobody holds is as unknown as what never was."""


def _known(conn: sa.Connection, code: str, basket: Basket, *, order_id: str) -> _Known | None:
    plain = codes.normalise(code)
    beside = sorted({codes.normalise(other) for other in basket.codes} - {plain, ""})
    asked = {"code": plain, "customer": basket.customer, "order": order_id, "others": beside}
    with database.driver(conn).cursor(row_factory=namedtuple_row) as cursor:
        row: Any = cursor.execute(_KNOWN, asked).fetchone()
    if row is None:
        return None
    terms, is_shared = offers.read(row.terms), row.origin == "shared"
    used = row.state == "redeemed" or row.order_id is not None
    return _Known(
        code=row.code,
        offer_id=row.offer_id,
        revision=row.revision,
        terms=terms,
        held=Held(used, row.expires_at, row.holder, is_shared),
        around=Around(
            customer_id=row.customer_id,
            used_another=row.used_another,
            others=bool(beside) or row.many > 0,
            alone=row.alone,
            taken=row.taken,
            spent=row.spent,
            goods=_goods(conn, terms, basket),
        ),
        order_id=row.order_id,
        discount=row.discount or 0,
    )


def _goods(conn: sa.Connection, terms: Offer, basket: Basket) -> dict[str, Goods]:
    """What the catalogue says, where the terms ask for it."""
    if not terms.categories and terms.margin_floor is None:
        return {}
    found = catalogue.get_many(conn, {line.product_id for line in basket.lines})
    return {name: Goods(product.category, _cost(product)) for name, product in found.items()}


def _cost(product: Product) -> float | None:
    """In minor units: the attribute `cost` in the product's currency, else what `margin`, a share, leaves."""
    cost, margin = product.attributes.get("cost"), product.attributes.get("margin")
    if _number(margin) and product.price is not None:
        return product.price * (1 - margin)
    return cost * 10.0 ** money.exponent(product.currency) if _number(cost) else None


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _verdict(known: _Known, basket: Basket, now: datetime) -> Verdict:
    return verdicts.decide(known.terms, known.held, basket, known.around, now=now)


# -------------------------------------------------------------------------------------------------------- using
def _use(conn: sa.Connection, known: _Known, basket: Basket, verdict: Verdict, *, order_id: str, now: datetime) -> bool:
    """The one statement that counts. False if anything it was decided on has changed: then nothing was written."""
    terms, payer, holder = known.terms, known.around.customer_id, known.held.holder
    use = {
        "code": known.code,
        "offer": known.offer_id,
        "revision": known.revision,
        "order": order_id,
        "channel": basket.channel,
        "store": basket.store_id,
        "customer": payer,
        "discount": verdict.discount,
        "basket": basket.total,
        "leaked": not known.held.shared and payer is not None and payer != holder,
        "alone": not terms.stackable,
        "once_for": payer if terms.once_per_customer else None,
        "budget": terms.budget,
        "now": now,
    }
    statement = _USES[known.held.shared, terms.budget is not None]
    point = conn.begin_nested() if terms.budget is not None else None  # what the budget paid for nothing is taken back
    written = database.driver(conn).execute(statement, use).fetchone() is not None
    if point is not None:
        point.commit() if written else point.rollback()
    if written:
        _told(conn, [holder])
    return written


def _statement(*, is_shared: bool, budgeted: bool) -> str:
    """A shared code is locked by nobody, an offer without a budget by none against another: there tills never wait."""
    usable = "state = 'shared'" if is_shared else "state IN ('reserved', 'issued') AND expires_at > %(now)s FOR UPDATE"
    funded = (
        "UPDATE offers SET spent = spent + %(discount)s FROM held "
        "WHERE offers.id = %(offer)s AND revision = %(revision)s AND spent + %(discount)s <= %(budget)s "
        "RETURNING offers.id"
        if budgeted
        else "SELECT offers.id FROM offers, held "
        "WHERE offers.id = %(offer)s AND revision = %(revision)s FOR SHARE OF offers"
    )
    moved = (
        "SELECT code FROM put"
        if is_shared
        else "UPDATE promo_codes SET state = 'redeemed', redeemed_at = %(now)s, moved_at = %(now)s FROM put "
        "WHERE promo_codes.code = put.code RETURNING promo_codes.code"
    )
    return f"""
        WITH held AS (SELECT code FROM promo_codes WHERE code = %(code)s AND {usable}),
        funded AS ({funded}),
        put AS (
            INSERT INTO promo_redemptions (code, offer_id, order_id, channel, store_id, customer_id, discount, basket,
                at, asked, leaked, alone, once_for)
            SELECT held.code, %(offer)s, %(order)s, %(channel)s, %(store)s::text, %(customer)s::bigint, %(discount)s,
                %(basket)s, %(now)s, true, %(leaked)s, %(alone)s, %(once_for)s::bigint
            FROM held, funded ON CONFLICT DO NOTHING RETURNING code
        )
        {moved}
    """


_USES = {
    (is_shared, budgeted): _statement(is_shared=is_shared, budgeted=budgeted)
    for is_shared in (False, True)
    for budgeted in (False, True)
}

_REFUSED = sa.text("""
    INSERT INTO promo_refusals AS kept
        (code, order_id, reason, offer_id, channel, store_id, customer_id, given, first_at, last_at)
    SELECT code, :order_id, :reason, offer_id, :channel, :store_id, (SELECT customer_id FROM identities
        WHERE kind = 'user_id' AND value = :named AND quarantined_at IS NULL), false, :now, :now
    FROM promo_codes WHERE code = :code AND state NOT IN ('free', 'released')
    ON CONFLICT (code, order_id, reason) DO UPDATE SET times = kept.times + 1, last_at = excluded.last_at
""")
