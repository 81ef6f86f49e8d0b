"""Makes one customer of two, moves everything that was written for the one who is gone, and undoes it on request.

A merged customer's row stays, pointing at who it became, with what it was. Rows that moved keep `origin_id`, so an
undone merge gives each customer back what was theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from foundation import database
from foundation.errors import Conflict, NotFound
from shop import changes, consent, handles, profiles
from shop.changes import What
from shop.linking import Merge
from shop.tables import carts, consent_log, customers, events, identities, merges, orders

GRAPH_LOCK = 7263002
"""Whoever changes who is who holds this advisory lock until the transaction ends; everyone else only reads."""

MOVED = (identities, events, carts, orders, consent_log)
"""Tables whose rows follow their customer and remember for whom they were first written."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A merge as it was recorded."""

    id: int
    winner_id: int
    loser_id: int
    evidence: dict[str, Any]
    merged_at: datetime
    undone_at: datetime | None
    undone_by: str | None


def of_customer(conn: sa.Connection, customer_id: int) -> Sequence[Recorded]:
    """The merges that made this customer, newest first."""
    members = sa.select(customers.c.id).where(customers.c.merged_into == customer_id)
    query = sa.select(merges).where(sa.or_(merges.c.winner_id == customer_id, merges.c.winner_id.in_(members)))
    return database.read(conn, query.order_by(merges.c.id.desc()), Recorded)


def store(conn: sa.Connection, decided: Sequence[Merge], ids: Mapping[int, int], *, now: datetime) -> dict[int, int]:
    """Carries out merges in their order. Returns who each merged customer is now; the caller
    holds the graph lock and has locked every customer concerned."""
    if not decided:
        return {}
    pairs = [(ids.get(merge.winner, merge.winner), ids.get(merge.loser, merge.loser)) for merge in decided]
    became: dict[int, int] = {}
    for winner, loser in reversed(pairs):
        became[loser] = became.get(winner, winner)
    filled = _fill_gaps(conn, pairs)
    evidence = [_evidence(merge, gaps) for merge, gaps in zip(decided, filled, strict=True)]
    winners, losers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    database.driver(conn).execute(_RECORD, [winners, losers, evidence, now])
    _become(conn, became)
    changes.note(conn, sorted({customer for pair in became.items() for customer in pair}), What.MERGED)
    return became


_RECORD = """
INSERT INTO merges (winner_id, loser_id, evidence, merged_at)
SELECT winner_id, loser_id, evidence::jsonb, now FROM unnest(%b::bigint[], %b::bigint[], %b::text[])
    WITH ORDINALITY AS decided (winner_id, loser_id, evidence, n), (SELECT %b::timestamptz AS now) AS at ORDER BY n
"""


def _evidence(merge: Merge, filled: Sequence[str]) -> str:
    return orjson.dumps(
        {
            "kind": str(merge.handle.kind),
            "value": merge.handle.value,
            "event": str(merge.event.key),
            "event_name": merge.event.name,
            "source_id": merge.event.source_id,
            "filled": filled,
        }
    ).decode()


def _fill_gaps(conn: sa.Connection, pairs: Sequence[tuple[int, int]]) -> list[list[str]]:
    """What the winner does not say of itself it takes from the loser. Returns what was taken, by merge."""
    involved = sorted({customer for pair in pairs for customer in pair})
    rows = database.driver(conn).execute(_SAID, [involved])
    said = {row[0]: dict(zip((*handles.COLUMNS, "traits"), row[1:], strict=True)) for row in rows}
    filled = []
    for winner, loser in pairs:
        mine, theirs = said[winner], said[loser]
        taken = [name for name in handles.COLUMNS if mine[name] is None and theirs[name] is not None]
        mine |= {name: theirs[name] for name in taken}
        filled.append(taken + [f"traits.{name}" for name in theirs["traits"] if name not in mine["traits"]])
        mine["traits"] = theirs["traits"] | mine["traits"]
    changed = sorted({winner for (winner, _), taken in zip(pairs, filled, strict=True) if taken})
    if changed:
        columns = [[said[customer][name] for customer in changed] for name in handles.COLUMNS]
        traits = [orjson.dumps(said[customer]["traits"]).decode() for customer in changed]
        database.driver(conn).execute(_FILL, [changed, *columns, traits])
    return filled


_SAID = f"SELECT id, {', '.join(handles.COLUMNS)}, traits FROM customers WHERE id = ANY(%b)"
_FILL = (
    "UPDATE customers SET "
    + ", ".join(f"{name} = said.{name}" for name in handles.COLUMNS)
    + ", traits = said.traits::jsonb FROM unnest(%b::bigint[], "
    + ", ".join("%b::smallint[]" if name == "birth_year" else "%b::text[]" for name in handles.COLUMNS)
    + f", %b::text[]) AS said (id, {', '.join(handles.COLUMNS)}, traits) WHERE customers.id = said.id"
)


def _become(conn: sa.Connection, became: Mapping[int, int]) -> None:
    """Moves every row of the merged customers, adds their profiles up, and lets the stricter consent stand."""
    moves = {"losers": list(became), "winners": list(became.values())}
    pairs = "unnest(CAST(:losers AS bigint[]), CAST(:winners AS bigint[])) AS pair (loser, winner)"
    conn.execute(sa.text(f"UPDATE customers SET merged_into = winner FROM {pairs} WHERE merged_into = loser"), moves)
    conn.execute(sa.text(f"UPDATE customers SET merged_into = winner FROM {pairs} WHERE id = loser"), moves)
    for table in MOVED:
        conn.execute(
            sa.text(f"UPDATE {table.name} SET customer_id = winner FROM {pairs} WHERE customer_id = loser"), moves
        )
    conn.execute(sa.text(f"UPDATE order_lines SET customer_id = winner FROM {pairs} WHERE customer_id = loser"), moves)
    conn.execute(sa.text(_ADD_PROFILES.format(pairs=pairs)), moves)
    consent.combine(conn, sorted(set(became.values())))
    conn.execute(sa.text("DELETE FROM consents WHERE customer_id = ANY(:losers)"), {"losers": list(became)})


def _total(name: str) -> str:
    return "sum" if name in profiles.SUMS else "min" if name in profiles.FIRSTS else "max"


_ADD_PROFILES = (
    "WITH gone AS (DELETE FROM profiles USING {pairs} WHERE customer_id = loser RETURNING winner, profiles.*) "
    f"INSERT INTO profiles AS mine (customer_id, {', '.join(profiles.COLUMNS)}) SELECT winner, "
    + ", ".join(f"{_total(name)}({name})" for name in profiles.COLUMNS)
    + " FROM gone GROUP BY winner ON CONFLICT (customer_id) DO UPDATE SET "
    + profiles.GAIN
)


# --------------------------------------------------------------------------------------------------- undo
def undo(conn: sa.Connection, merge_id: int, *, by: str, now: datetime) -> int:
    """Gives the merged customer back what was theirs. Returns their id.

    The handle that tied the two is quarantined, or the next event would tie them again.
    """
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(GRAPH_LOCK)))
    merge = conn.execute(sa.select(merges).where(merges.c.id == merge_id).with_for_update()).one_or_none()
    if merge is None:
        raise NotFound(f"no merge {merge_id}")
    if merge.undone_at is not None:
        raise Conflict("already_undone", f"merge {merge_id} was undone at {merge.undone_at:%Y-%m-%d %H:%M}")
    members = list(conn.scalars(sa.text(_MEMBERS), {"loser": merge.loser_id, "merge": merge_id}))
    held_by = conn.scalars(sa.select(customers.c.merged_into).where(customers.c.id == merge.loser_id)).one()
    both = sorted({merge.loser_id, held_by})
    conn.execute(sa.text("SELECT FROM customers WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"), {"ids": both})
    conn.execute(
        sa.update(merges).where(merges.c.id == merge_id).values(undone_at=now, undone_by=by),
    )
    _quarantine(conn, merge.evidence, now)
    _give_back(conn, members, loser=merge.loser_id, held_by=held_by)
    _empty_gaps(conn, merge.evidence.get("filled", []), merge.loser_id, held_by)
    _rebuild_profiles(conn, both)
    consent.combine(conn, both)
    changes.note(conn, both, What.MERGED)
    return int(merge.loser_id)


_MEMBERS = """
WITH RECURSIVE member AS (
    SELECT CAST(:loser AS bigint) AS id
    UNION SELECT loser_id FROM merges JOIN member ON winner_id = member.id
        WHERE undone_at IS NULL AND merges.id < :merge
) SELECT id FROM member
"""
"""Who the merged customer was at that moment: all who had been merged into them before."""


def _quarantine(conn: sa.Connection, evidence: Mapping[str, Any], now: datetime) -> None:
    conn.execute(
        sa.update(identities)
        .where(
            identities.c.kind == evidence["kind"],
            identities.c.value == evidence["value"],
            identities.c.kind != handles.Kind.USER_ID,
        )
        .values(quarantined_at=now)
    )


def _give_back(conn: sa.Connection, members: Sequence[int], *, loser: int, held_by: int) -> None:
    moves = {"members": members, "loser": loser, "held_by": held_by}
    conn.execute(
        sa.text("UPDATE customers SET merged_into = nullif(:loser, id) WHERE id = ANY(:members)"),
        moves,
    )
    for table in MOVED:
        conn.execute(
            sa.text(
                f"UPDATE {table.name} SET customer_id = :loser "
                "WHERE customer_id = :held_by AND origin_id = ANY(:members)"
            ),
            moves,
        )
    conn.execute(
        sa.text(
            "UPDATE order_lines SET customer_id = :loser FROM orders "
            "WHERE orders.order_id = order_lines.order_id AND orders.customer_id = :loser"
        ),
        moves,
    )


def _empty_gaps(conn: sa.Connection, filled: Sequence[str], loser: int, held_by: int) -> None:
    """Takes back the traits the merge had filled in, where nobody has said otherwise since."""
    columns = [name for name in filled if name in handles.COLUMNS]
    for name in columns:
        conn.execute(
            sa.text(
                f"UPDATE customers SET {name} = NULL WHERE id = :held_by "
                f"AND {name} = (SELECT {name} FROM customers WHERE id = :loser)"
            ),
            {"held_by": held_by, "loser": loser},
        )
    traits = [name.removeprefix("traits.") for name in filled if name.startswith("traits.")]
    if traits:
        conn.execute(
            sa.text(
                "UPDATE customers mine SET traits = mine.traits - CAST(:names AS text[]) "
                "FROM customers theirs WHERE mine.id = :held_by AND theirs.id = :loser"
            ),
            {"names": traits, "held_by": held_by, "loser": loser},
        )


def _rebuild_profiles(conn: sa.Connection, ids: Sequence[int]) -> None:
    """The same sums, counted again from what is stored."""
    conn.execute(sa.text("DELETE FROM profiles WHERE customer_id = ANY(:ids)"), {"ids": ids})
    conn.execute(sa.text(_REBUILD), {"ids": ids})


_REBUILT = {name: f"coalesce({name}, 0)" for name in profiles.SUMS} | {
    "first_seen_at": "coalesce(first_seen_at, first_order_at)",
    "last_seen_at": "coalesce(last_seen_at, last_order_at)",
}
_REBUILD = f"""
WITH happened AS (
    SELECT customer_id, {", ".join(f"{rule} AS {name}" for name, rule in profiles.OF_EVENTS.items())}
    FROM events WHERE customer_id = ANY(:ids) GROUP BY customer_id
), bought AS (
    SELECT customer_id, {", ".join(f"{rule} AS {name}" for name, rule in profiles.OF_ORDERS.items())}
    FROM orders WHERE customer_id = ANY(:ids) GROUP BY customer_id
)
INSERT INTO profiles (customer_id, {", ".join(profiles.COLUMNS)})
SELECT customer_id, {", ".join(_REBUILT.get(name, name) for name in profiles.COLUMNS)}
FROM happened FULL JOIN bought USING (customer_id)
"""
