"""Customers come into a campaign: whoever is named once, by one statement, whatever their number."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import eligibility, experiments, given, policy, tables
from campaigns.definitions import entries, flow, shapes
from campaigns.definitions.entries import CartAbandoned, ProductAbandoned
from campaigns.definitions.steps import Ask, Send
from campaigns.plans import Plan
from campaigns.states import Reason
from shop.tables import carts, customers, events, order_lines, orders
from shop.vocabulary import Name

enrolments, arrivals = tables.enrolments, tables.arrivals

LATE = timedelta(hours=24)
"""What is heard of this long after it happened brings nobody in by itself: an outage must not end in a flood. Who
would have entered is kept among the `latecomers`, and somebody decides."""
_FIELDS = ("customer_id", "entry_key", "happened_at", "cart_ref", "context")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody an event brings in."""

    customer_id: int
    key: str
    happened_at: datetime
    cart_id: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


def enrol(conn: sa.Connection, plan: Plan, chosen: sa.FromClause, *, once: bool = False, now: datetime) -> int:
    """Takes in whom `chosen` names (customer_id, entry_key, happened_at, cart_ref, context), as re-entry allows.

    `once`: it names no customer twice. Two of these for one campaign go one after the other.
    """
    take_turn(conn, plan)
    rule, alone = plan.definition.reentry.rule, everywhere(conn, plan)
    reachable = _reachable(plan)
    key = sa.literal("once", sa.Text) if rule == "never" else chosen.c.entry_key
    query = (
        sa.select(
            sa.literal(plan.id, sa.BigInteger),
            sa.literal(plan.version, sa.Integer),
            chosen.c.customer_id,
            key,
            _arm(plan, chosen.c.customer_id, alone=alone),
            sa.case((reachable, "waiting"), else_="left"),
            sa.case((reachable, None), else_=Reason.NO_ADDRESS.value),
            sa.literal(plan.flow.first, sa.Text),
            sa.literal(now, _TIME) if isinstance(plan.definition.entry, _COUNTED_FROM_NOW) else chosen.c.happened_at,
            chosen.c.happened_at,
            sa.literal(now, _TIME),
            sa.case((reachable, sa.literal(now, _TIME))),
            sa.case((sa.not_(reachable), sa.literal(now, _TIME))),
            chosen.c.cart_ref,
            chosen.c.context,
        )
        .join_from(chosen, customers, customers.c.id == chosen.c.customer_id)
        .where(*may_enter(plan, chosen, now=now))
    )
    if not once:
        apart = distinct(plan, chosen)
        query = query.ext(postgresql.distinct_on(*apart)).order_by(*apart, chosen.c.happened_at)
    names = (
        *("campaign_id", "version", "customer_id", "entry_key", "arm", "state", "reason", "step", "step_since"),
        *("happened_at", "entered_at", "wake_at", "left_at", "cart_ref", "context"),
    )
    insert = postgresql.insert(enrolments).from_select(names, query)
    insert = insert.on_conflict_do_update(
        index_elements=["campaign_id", "customer_id", "entry_key"],
        set_={name: insert.excluded[name] for name in names},
        where=(enrolments.c.reason == Reason.NO_ADDRESS) & (insert.excluded.state == "waiting"),
    )
    return conn.execute(insert, execution_options={"preserve_rowcount": True}).rowcount


_TIME = enrolments.c.entered_at.type
_KNOWN_LATER = (*entries.OF_CARTS, *entries.OF_PRODUCTS)
"""Whoever left a cart or looked at a product, and is nobody we can write to, may still say who she is in a while."""
_COUNTED_FROM_NOW = (*entries.OF_CARTS, *entries.OF_PRODUCTS, *entries.TIMED)
"""The first wait of these begins when she enters; that of an event's entry, when the event happened."""
_TURN = sa.text("SELECT pg_advisory_xact_lock(7268, (:campaign % 2147483647)::int)")


def take_turn(conn: sa.Connection, plan: Plan) -> None:
    """Waits until nobody else is being taken into this campaign, to the end of the transaction."""
    conn.execute(_TURN, {"campaign": plan.id})


def may_enter(plan: Plan, chosen: sa.FromClause, *, now: datetime) -> list[sa.ColumnElement[bool]]:
    """Of whom `chosen` names, joined with who they are: those who may enter at this moment."""
    quietly = isinstance(plan.definition.entry, _KNOWN_LATER)
    known = [_reachable(plan)] if quietly else []
    return [customers.c.merged_into.is_(None), *known, *_welcome(plan, chosen, now=now)]


def distinct(plan: Plan, chosen: sa.FromClause) -> tuple[sa.ColumnElement[Any], ...]:
    """What two entries of this campaign must differ in to be two."""
    if plan.definition.reentry.rule == "each_key":
        return chosen.c.customer_id, chosen.c.entry_key
    return (chosen.c.customer_id,)


def everywhere(conn: sa.Connection, plan: Plan) -> float:
    """The share of customers no marketing goes to; what they ordered is told to everybody."""
    return 0 if plan.definition.purpose == eligibility.TRANSACTIONAL else policy.load(conn).holdout_percent


def _arm(plan: Plan, customer: sa.ColumnElement[int], *, alone: float) -> sa.ColumnElement[str]:
    """`experiments.assign`, for every customer at once."""
    return sa.case(
        (_falls(experiments.EVERYONE, customer, alone), experiments.EVERYWHERE),
        (_falls(plan.name, customer, plan.definition.holdout_percent), experiments.HOLDOUT),
        else_=experiments.TREATED,
    )


def _falls(salt: str, customer: sa.ColumnElement[int], percent: float) -> sa.ColumnElement[bool]:
    digest = sa.func.md5(sa.func.concat(f"{salt}:", customer))
    number = sa.cast(sa.cast(sa.func.concat("x", sa.func.left(digest, 8)), postgresql.BIT(32)), sa.BigInteger)
    return sa.func.mod(number, experiments.SHARES) < percent * experiments.SHARES / 100


def _reachable(plan: Plan) -> sa.ColumnElement[bool]:
    """With an address on one of the channels the campaign speaks on; those without need no address of ours."""
    says = [step.channel for _, step in flow.walk(plan.definition.steps) if isinstance(step, Send | Ask)]
    if not says or set(says) - {"email", "sms"}:
        return sa.true()
    held = {"email": customers.c.email, "sms": customers.c.phone}
    return sa.or_(*(held[channel].is_not(None) for channel in sorted(set(says))))


def _welcome(plan: Plan, chosen: sa.FromClause, *, now: datetime) -> list[sa.ColumnElement[bool]]:
    """Whether she may come in (again). A cart or an order comes in once, whoever it belongs to by then."""
    known, reentry = enrolments.alias("known"), plan.definition.reentry
    here, in_earnest = known.c.campaign_id == plan.id, known.c.reason.is_distinct_from(Reason.NO_ADDRESS)
    if reentry.rule == "never":
        return none_of(known, chosen.c.customer_id, here, in_earnest)
    if reentry.rule == "after":
        lately = known.c.entered_at > now - timedelta(days=reentry.days or 0)
        return none_of(known, chosen.c.customer_id, here, in_earnest, lately)
    same = here & (known.c.entry_key == chosen.c.entry_key)
    if entries.keyed(plan.definition.entry) in ("cart", "order"):
        return [~sa.exists().where(same)]
    # Her own of the same key is the conflict of the statement; that of whom was merged into her is not.
    return none_of(known, chosen.c.customer_id, same, in_earnest)[1:]


def none_of(
    kept: sa.FromClause, customer: sa.ColumnElement[int], *such: sa.ColumnElement[bool]
) -> list[sa.ColumnElement[bool]]:
    """That there is no such row of hers, and none of anybody who was merged into her since.

    Rows stay with whom they were written for, so that undoing a merge gives each her own past. Two conditions, not one
    on either: each is then a join of sets.
    """
    was = customers.alias("was")
    before = sa.exists().where(was.c.merged_into == customer, kept.c.customer_id == was.c.id, *such)
    return [~sa.exists().where(kept.c.customer_id == customer, *such), ~before]


def newcomers(conn: sa.Connection, plan: Plan, found: Sequence[Newcomer], *, now: datetime) -> int:
    """Takes in customers found one by one, in one statement."""
    return enrol(conn, plan, named(found).subquery("chosen"), now=now) if found else 0


def named(found: Sequence[Newcomer]) -> sa.Select[Any]:
    """Customers found one by one, as `enrol` wants them."""
    rows = _rows(found)
    return sa.select(
        rows.c.customer_id,
        rows.c.entry_key,
        rows.c.happened_at,
        carts.c.id.label("cart_ref"),
        sa.cast(rows.c.context, postgresql.JSONB).label("context"),
    ).outerjoin_from(rows, carts, carts.c.cart_id == rows.c.cart_id)


def _rows(found: Sequence[Newcomer]) -> sa.FromClause:
    return given.rows(
        "found",
        {
            "customer_id": (sa.BigInteger(), [one.customer_id for one in found]),
            "entry_key": (sa.Text(), [one.key for one in found]),
            "happened_at": (given.Time, [one.happened_at for one in found]),
            "cart_id": (sa.Text(), [one.cart_id for one in found]),
            "context": (sa.Text(), [orjson.dumps(one.context).decode() for one in found]),
        },
    )


# ------------------------------------------------------------------------------------- carts and products
def abandoned_carts(conn: sa.Connection, plan: Plan, entry: CartAbandoned, *, now: datetime) -> int:
    """Carts quiet long enough and not for too long. Those that went quiet while nobody was looking, longer ago than a
    message would still be welcome, are left to `latecomers`."""
    quiet_since = now - shapes.length(entry.delay)
    chosen = quiet_carts(since=quiet_since - shapes.length(entry.within), until=quiet_since)
    return enrol(conn, plan, chosen.subquery("chosen"), now=now)


def quiet_carts(*, since: datetime, until: datetime) -> sa.Select[Any]:
    """Carts last touched in that time, left alone since, as `enrol` wants them."""
    return sa.select(
        carts.c.customer_id,
        sa.cast(carts.c.id, sa.Text).label("entry_key"),
        carts.c.touched_at.label("happened_at"),
        carts.c.id.label("cart_ref"),
        sa.func.jsonb_build_object("cart_id", carts.c.cart_id).label("context"),
    ).where(
        carts.c.touched_at <= until,
        carts.c.touched_at > since,
        *cart_left(),
    )


def cart_left() -> list[sa.ColumnElement[bool]]:
    """A cart with something in it, not ordered on any channel since it was touched."""
    return [
        carts.c.state == "open",
        sa.func.jsonb_array_length(carts.c.lines) > 0,
        ~sa.exists().where(
            orders.c.customer_id == carts.c.customer_id,
            orders.c.ordered_at >= carts.c.touched_at,
            orders.c.state != "cancelled",
        ),
    ]


def viewed(conn: sa.Connection, plan: Plan, entry: ProductAbandoned, found: Collection[Newcomer]) -> None:
    """Products looked at: she will enter if she stays quiet; looking again begins the time anew."""
    latest: dict[tuple[int, str], tuple[int, datetime]] = {}
    for one in found:
        times, last = latest.get((one.customer_id, one.key), (0, one.happened_at))
        latest[one.customer_id, one.key] = times + 1, max(last, one.happened_at)
    rows = [
        {
            "campaign_id": plan.id,
            "customer_id": customer,
            "entry_key": key,
            "times": times,
            "happened_at": last,
            "due_at": last + shapes.length(entry.delay),
        }
        for (customer, key), (times, last) in sorted(latest.items())
    ]
    if not rows:
        return
    insert = postgresql.insert(arrivals)
    again = {
        "times": arrivals.c.times + insert.excluded.times,
        "happened_at": sa.func.greatest(arrivals.c.happened_at, insert.excluded.happened_at),
        "due_at": sa.func.greatest(arrivals.c.due_at, insert.excluded.due_at),
    }
    conn.execute(
        insert.on_conflict_do_update(index_elements=["campaign_id", "customer_id", "entry_key"], set_=again), rows
    )


_KNOWN_NOW = """
WITH due AS (
    SELECT DISTINCT coalesce(merged_into, id) AS person, entry_key
    FROM arrivals JOIN customers ON id = customer_id WHERE campaign_id = :campaign AND due_at <= :now
), gone AS (
    DELETE FROM arrivals USING customers, due WHERE campaign_id = :campaign AND customers.id = customer_id
        AND merged_into = due.person AND arrivals.entry_key = due.entry_key
    RETURNING merged_into, arrivals.entry_key, times, happened_at, arrivals.due_at
)
INSERT INTO arrivals (campaign_id, customer_id, entry_key, times, happened_at, due_at)
SELECT :campaign, merged_into, entry_key, sum(times), max(happened_at), max(due_at) FROM gone
GROUP BY merged_into, entry_key
ON CONFLICT (campaign_id, customer_id, entry_key) DO UPDATE SET times = arrivals.times + excluded.times,
    happened_at = greatest(arrivals.happened_at, excluded.happened_at),
    due_at = greatest(arrivals.due_at, excluded.due_at)
"""


def known_now(conn: sa.Connection, plan: Plan, *, now: datetime) -> None:
    """Who looked at products before she was known goes on as who she is: what both looked at is one arrival, due when
    the later of them is. Only of what one of them is due for: until then neither needs to know of the other."""
    conn.execute(sa.text(_KNOWN_NOW), {"campaign": plan.id, "now": now})


def abandoned_products(conn: sa.Connection, plan: Plan, entry: ProductAbandoned, *, now: datetime) -> int:
    """Products looked at and left: neither put in a cart nor bought since, nor shortly before."""
    quiet = (
        sa.delete(arrivals)
        .where(arrivals.c.campaign_id == plan.id, arrivals.c.due_at <= now)
        .returning(arrivals.c.customer_id, arrivals.c.entry_key, arrivals.c.happened_at, arrivals.c.times)
        .cte("quiet")
    )
    chosen = looked_at(quiet, entry).where(quiet.c.happened_at > too_late(entry, now=now))
    return enrol(conn, plan, chosen.subquery("chosen"), now=now)


def too_late(entry: ProductAbandoned, *, now: datetime) -> datetime:
    """Whoever last looked at a product by then has been quiet for too long."""
    return now - shapes.length(entry.delay) - LATE


def looked_at(quiet: sa.FromClause, entry: ProductAbandoned) -> sa.Select[Any]:
    """Those of `quiet` who looked often enough and left the product, as `enrol` wants them."""
    return sa.select(
        quiet.c.customer_id,
        quiet.c.entry_key,
        quiet.c.happened_at,
        sa.cast(sa.null(), sa.BigInteger).label("cart_ref"),
        sa.func.jsonb_build_object("product_id", quiet.c.entry_key).label("context"),
    ).where(quiet.c.times >= entry.views, *product_left(quiet, entry))


def product_left(quiet: sa.FromClause, entry: ProductAbandoned) -> list[sa.ColumnElement[bool]]:
    """The product was neither put in a cart nor bought since she looked at it, nor shortly before."""
    before = quiet.c.happened_at - sa.literal(shapes.length(entry.delay), sa.Interval)
    return [
        ~sa.exists().where(
            events.c.customer_id == quiet.c.customer_id,
            events.c.occurred_at >= before,
            events.c.product_id == quiet.c.entry_key,
            events.c.name.in_((Name.PRODUCT_ADDED, Name.WISH_ADDED_TO_CART)),
        ),
        ~sa.exists().where(
            order_lines.c.customer_id == quiet.c.customer_id,
            order_lines.c.ordered_at >= before,
            order_lines.c.product_id == quiet.c.entry_key,
        ),
    ]
