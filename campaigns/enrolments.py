"""Customers on their way through campaigns: taken in, advanced, and out again."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import orjson
import sqlalchemy as sa

from campaigns import (
    acting,
    eligibility,
    entering,
    given,
    hearing,
    journeys,
    latecomers,
    passages,
    plans,
    policy,
    segments,
    sending,
    shelf,
    tables,
    timing,
    watching,
)
from campaigns.definitions import shapes
from campaigns.definitions.entries import TIMED, CartAbandoned, ProductAbandoned
from campaigns.definitions.flow import END
from campaigns.definitions.steps import Split, WaitFor
from campaigns.evidence import winners
from campaigns.journeys import Facts, Place, Turn
from campaigns.plans import Followed
from foundation import database
from foundation.database import Database
from shop import arrays
from shop.tables import carts, customers

enrolments = tables.enrolments

BATCH = 2_000
LOOK_EVERY = timedelta(seconds=60)


# ------------------------------------------------------------------------------------------------ taking in
def admit_due(db: Database, *, now: datetime, checkpoint: Callable[[str], None] = sending.passing) -> str | None:
    """Takes in whom events and quiet carts bring. Manages its own transactions: one a batch of signals, one a
    campaign."""
    heard = hearing.hear(db, now=now, checkpoint=checkpoint)
    with db.begin() as conn:
        running = plans.running(conn, now=now)
    admitted = {"events": heard}
    for plan in running:
        entry = plan.definition.entry
        with db.begin() as conn:
            if isinstance(entry, CartAbandoned):
                latecomers.left_carts(conn, plan, entry, now=now)
                admitted[plan.name] = entering.abandoned_carts(conn, plan, entry, now=now)
            elif isinstance(entry, ProductAbandoned):
                entering.known_now(conn, plan, now=now)
                latecomers.left_products(conn, plan, entry, now=now)
                admitted[plan.name] = entering.abandoned_products(conn, plan, entry, now=now)
            checkpoint("enrolling")
    checkpoint("enrolled")
    return _told(admitted)


def admit_timed(db: Database, *, now: datetime) -> str | None:
    """Takes in the audiences whose moment has come. Manages its own transactions: one a moment and zone."""
    admitted: dict[str, int] = {}
    with db.begin() as conn:
        running = [plan for plan in plans.running(conn, now=now) if isinstance(plan.definition.entry, TIMED)]
    for plan in running:
        entry = plan.definition.entry
        if not isinstance(entry, TIMED):
            continue
        with db.begin() as conn:
            slots = timing.due(conn, plan, entry, now=now)
        for slot in slots:
            with db.begin() as conn:
                taken = timing.take_in(conn, plan, entry, slot, now=now)
            admitted[plan.name] = admitted.get(plan.name, 0) + taken
    with db.begin() as conn:
        plans.finish(conn, now=now)
    return _told(admitted)


def admit_for_products(db: Database, *, now: datetime) -> str | None:
    """Looks at the shelf, and takes in who waits for what changed on it. Manages its own transaction."""
    with db.begin() as conn:
        running = plans.running(conn, now=now)
        return _told(shelf.look(conn, running, now=now))


def _told(admitted: Mapping[str, int]) -> str | None:
    return ", ".join(f"{number} into {name}" for name, number in admitted.items() if number) or None


# ---------------------------------------------------------------------------------------------- advancing
def advance_due(db: Database, *, now: datetime) -> str | None:
    """Takes everyone whose turn it is one turn further. Manages its own transactions: one a batch."""
    moved = 0
    with db.begin() as conn:
        due = [followed for followed in plans.followed(conn) if _anyone(conn, followed, now=now)]
    for followed in due:
        while True:
            with db.begin() as conn:
                taken = _advance_batch(conn, followed, now=now)
            moved += taken
            if taken < BATCH:
                break
    return f"{moved} advanced" if moved else None


def _due(followed: Followed, now: datetime) -> sa.ColumnElement[bool]:
    """Whoever is paused waits until the campaign goes on; those behind the last step are only watched."""
    due = (
        (enrolments.c.campaign_id == followed.campaign_id)
        & (enrolments.c.version == followed.version)
        & (enrolments.c.state == "waiting")
        & (enrolments.c.wake_at <= now)
    )
    return due if followed.state == "sending" else due & (enrolments.c.step == END)


def _anyone(conn: sa.Connection, followed: Followed, *, now: datetime) -> bool:
    return bool(conn.scalar(sa.select(sa.exists().where(_due(followed, now)))))


def _advance_batch(conn: sa.Connection, followed: Followed, *, now: datetime) -> int:
    """Turns and what they bring about are kept together or not at all. The number of statements depends on the
    definition, never on how many are on their way."""
    rows = _batch(conn, followed, now=now)
    if not rows:
        return 0
    rules = policy.load(conn)
    window = timedelta(days=rules.attribution_days)
    goal = followed.definition.goal
    within = (shapes.length(goal.within) if goal.within else window) if goal else None
    standing = _standing(conn, followed, rows, shop_zone=rules.timezone)
    turns: dict[int, Turn] = {}
    said: Counter[int] = Counter()
    asking = {row["id"]: row for row in rows}
    while asking:
        found = {key: journeys.advance(followed.flow, *standing[key], window=within, now=now) for key in asking}
        turns |= {key: journeys.joined(turns[key], turn) if key in turns else turn for key, turn in found.items()}
        # What a split asks of her may be what she was given a step before it.
        said += acting.act(conn, followed, [(row, found[key].acts) for key, row in asking.items()], now=now)
        asking = {key: row for key, row in asking.items() if turns[key].asks}
        _answer(conn, followed, standing, {key: turns[key] for key in asking}, now=now)
    _store(conn, rows, turns, said, now=now)
    passages.count(conn, followed, [(row["arm"], turns[row["id"]]) for row in rows])
    winners.expose(conn, followed, [(row, turns[row["id"]].place.choices) for row in rows], now=now)
    return len(rows)


def _batch(conn: sa.Connection, followed: Followed, *, now: datetime) -> Sequence[sa.RowMapping]:
    """A batch of enrolments, locked, with who their customers are by now."""
    held, person = customers.alias("held"), customers.alias("person")
    query = (
        sa.select(
            enrolments,
            person.c.id.label("person"),
            person.c.timezone,
            carts.c.state.label("cart_state"),
        )
        .join(held, held.c.id == enrolments.c.customer_id)
        .join(person, person.c.id == sa.func.coalesce(held.c.merged_into, held.c.id))
        .outerjoin(carts, carts.c.id == enrolments.c.cart_ref)
        .where(_due(followed, now))
        .order_by(enrolments.c.wake_at)
        .limit(BATCH)
        .with_for_update(of=enrolments, skip_locked=True)
    )
    return conn.execute(query).mappings().all()


_Standing = dict[int, tuple[Place, Facts]]


def _standing(conn: sa.Connection, followed: Followed, rows: Sequence[sa.RowMapping], *, shop_zone: str) -> _Standing:
    """Each one's place and facts: the goal, the exits and the event she waits for are asked once for all."""
    definition, ours = followed.definition, eligibility.zone(shop_zone)
    reached = watching.happened(conn, definition.goal, rows, since="happened_at") if definition.goal else set()
    stopped: set[int] = set()
    for watch in definition.exit_on:
        stopped |= watching.happened(conn, watch, rows, since="happened_at")
    heard: set[int] = set()
    for name, node in followed.flow.nodes.items():
        if isinstance(node.step, WaitFor):
            here = [row for row in rows if row["step"] == name]
            heard |= watching.happened(conn, node.step, here, since="step_since")
    about_cart = isinstance(definition.entry, CartAbandoned)
    better = winners.standing(conn, followed)
    return {
        row["id"]: (
            _place(followed, row),
            Facts(
                reached=row["id"] in reached or about_cart and row["cart_state"] == "ordered",
                stopped=row["id"] in stopped,
                cart_open=not about_cart or row["cart_state"] == "open",
                heard=row["id"] in heard,
                zone=eligibility.zone(row["timezone"], shop_zone),
                shop_zone=ours,
                winners=better,
            ),
        )
        for row in rows
    }


def _place(followed: Followed, row: sa.RowMapping) -> Place:
    return Place(
        step=row["step"],
        since=row["step_since"],
        entered_at=row["entered_at"],
        arm=row["arm"],
        salt=followed.name,
        customer_id=row["customer_id"],
        choices=row["choices"],
    )


def _answer(
    conn: sa.Connection, followed: Followed, standing: _Standing, asking: Mapping[int, Turn], *, now: datetime
) -> None:
    """Which way each takes at the split she stands before: one statement a branch, for all who come to it."""
    by_split: dict[str, list[int]] = {}
    for key, turn in asking.items():
        by_split.setdefault(turn.asks or "", []).append(key)
    for name, keys in by_split.items():
        split = followed.flow.nodes[name].step
        if isinstance(split, Split):
            ways = _ways(conn, split, keys, now=now)
            for key in keys:
                _, facts = standing[key]
                standing[key] = (asking[key].place, replace(facts, ways={**facts.ways, name: ways[key]}, heard=False))


def _ways(conn: sa.Connection, split: Split, keys: Sequence[int], *, now: datetime) -> dict[int, int]:
    person = sa.func.coalesce(customers.c.merged_into, customers.c.id)
    query = (
        sa.select(enrolments.c.id, person, enrolments.c.context["event"])
        .join(customers, customers.c.id == enrolments.c.customer_id)
        .where(enrolments.c.id == given.any_of(keys))
    )
    left = {key: (customer, event or {}) for key, customer, event in conn.execute(query)}
    ways = dict.fromkeys(left, len(split.branches))
    for number, branch in enumerate(split.branches):
        fits = {key for key, (_, event) in left.items() if all(shapes.holds(test, event) for test in branch.where)}
        if branch.when is not None and fits:
            found = segments.matching(conn, branch.when, {left[key][0] for key in fits}, now=now)
            fits = {key for key in fits if left[key][0] in found}
        for key in fits:
            ways[key] = number
            del left[key]
    return ways


_STORE = """
UPDATE enrolments SET state = turned.state, step = turned.step, step_since = turned.since, wake_at = turned.wake_at,
    left_at = turned.left_at, reason = turned.reason, choices = turned.choices::jsonb, said = said + turned.more
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[],
    %s::text[], %s::int[]) AS turned (id, state, step, since, wake_at, left_at, reason, choices, more)
WHERE enrolments.id = turned.id
"""


def _store(
    conn: sa.Connection,
    rows: Iterable[sa.RowMapping],
    turns: Mapping[int, Turn],
    said: Mapping[int, int],
    *,
    now: datetime,
) -> None:
    found = [(row["id"], turns[row["id"]]) for row in rows]
    columns = [
        arrays.numbers(key for key, _ in found),
        arrays.texts("left" if turn.leave else "waiting" for _, turn in found),
        arrays.texts(turn.place.step for _, turn in found),
        arrays.times(turn.place.since for _, turn in found),
        arrays.times(turn.wake_at for _, turn in found),
        arrays.times(now if turn.leave else None for _, turn in found),
        arrays.texts(turn.leave for _, turn in found),
        arrays.texts(orjson.dumps(turn.place.choices).decode() for _, turn in found),
        arrays.numbers(said.get(key, 0) for key, _ in found),
    ]
    database.driver(conn).execute(_STORE, columns)
