"""What the merchant decided, as it is kept: rules, placements and experiments, with who changed what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from foundation.errors import Conflict, Fault, Invalid, NotFound
from recommender import placements, rules, tables
from recommender.placements import Experiment, Placement
from recommender.rules import Rule

MOST_RULES = 500

kept_rules, kept_placements, changes = tables.merchandising_rules, tables.placements, tables.merchandising_changes
experiments = tables.experiments


@dataclass(frozen=True, slots=True)
class Kept:
    """A rule and its number."""

    id: int
    rule: Rule


@dataclass(frozen=True, slots=True)
class Merchandising:
    """Everything that was decided, at one version."""

    version: int
    placements: Mapping[str, Placement]
    rules: tuple[Rule, ...]
    experiments: Mapping[str, Experiment]


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed what: a rule by its number, a placement or its experiment by name; None where there was nothing."""

    id: int
    at: datetime
    by: str
    what: str
    subject: str
    before: Any
    after: Any


def version(conn: sa.Connection) -> int:
    """Rises with every change."""
    return conn.scalar(sa.select(sa.func.coalesce(sa.func.max(changes.c.id), 0))) or 0


def load(conn: sa.Connection) -> Merchandising:
    """All of it."""
    at = version(conn)  # before the rest: a change that comes between is then loaded again, not missed
    running = conn.execute(sa.select(experiments).where(experiments.c.ended_at.is_(None))).mappings()
    return Merchandising(
        at,
        every_placement(conn),
        tuple(kept.rule for kept in every_rule(conn)),
        {row["placement"]: Experiment(row["id"], row["placement"], row["percent"]) for row in running},
    )


# --------------------------------------------------------------------------------------------------- rules
def every_rule(conn: sa.Connection) -> list[Kept]:
    """The rules in their order."""
    rows = conn.execute(sa.select(kept_rules).order_by(kept_rules.c.place, kept_rules.c.id))
    return [Kept(row.id, rules.parse(row.definition)) for row in rows]


def get_rule(conn: sa.Connection, rule_id: int) -> Rule:
    """One rule; raises `NotFound`."""
    definition = conn.scalar(sa.select(kept_rules.c.definition).where(kept_rules.c.id == rule_id))
    if definition is None:
        raise NotFound(f"no rule has the number {rule_id}")
    return rules.parse(definition)


def add_rule(conn: sa.Connection, rule: Rule, *, by: str, now: datetime) -> int:
    """A new rule after the others; gives its number."""
    _locked(conn)
    count, last = conn.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(kept_rules.c.place), 0)).select_from(kept_rules)
    ).one()
    if count >= MOST_RULES:
        raise Conflict("too_many_rules", f"there are {MOST_RULES} rules, and no more are kept")
    made = sa.insert(kept_rules).values(place=last + 1, definition=rules.dump(rule)).returning(kept_rules.c.id)
    rule_id: int = conn.execute(made).scalar_one()
    _note(conn, "rule", str(rule_id), after=rules.dump(rule), by=by, now=now)
    return rule_id


def change_rule(conn: sa.Connection, rule_id: int, rule: Rule, *, by: str, now: datetime) -> None:
    """Replaces a rule; the same again changes nothing."""
    before = get_rule(conn, rule_id)
    if before == rule:
        return
    conn.execute(sa.update(kept_rules).where(kept_rules.c.id == rule_id).values(definition=rules.dump(rule)))
    _note(conn, "rule", str(rule_id), before=rules.dump(before), after=rules.dump(rule), by=by, now=now)


def remove_rule(conn: sa.Connection, rule_id: int, *, by: str, now: datetime) -> None:
    """Takes a rule away; what it said stays in the history."""
    before = get_rule(conn, rule_id)
    conn.execute(sa.delete(kept_rules).where(kept_rules.c.id == rule_id))
    _note(conn, "rule", str(rule_id), before=rules.dump(before), by=by, now=now)


def order_rules(conn: sa.Connection, rule_ids: Sequence[int], *, by: str, now: datetime) -> None:
    """Puts the rules in this order; raises `Invalid` unless each is named once."""
    _locked(conn)
    before = [kept.id for kept in every_rule(conn)]
    if sorted(rule_ids) != sorted(before):
        raise Invalid(Fault("/rules", "must name every rule once"))
    if list(rule_ids) == before:
        return
    numbers = sa.cast(list(rule_ids), postgresql.ARRAY(sa.BigInteger))
    given = sa.func.unnest(numbers).table_valued("id", with_ordinality="place").render_derived()
    conn.execute(sa.update(kept_rules).where(kept_rules.c.id == given.c.id).values(place=given.c.place))
    _note(conn, "order", "rules", before=before, after=list(rule_ids), by=by, now=now)


def replace_rules(conn: sa.Connection, wanted: Sequence[Rule], *, by: str, now: datetime) -> None:
    """These rules instead of all there were; those that say the same keep their number."""
    _locked(conn)
    if len(wanted) > MOST_RULES:
        raise Invalid(Fault("/rules", f"must be at most {MOST_RULES}"))
    free = every_rule(conn)
    order = []
    for rule in wanted:
        same = next((kept for kept in free if kept.rule == rule), None)
        if same is not None:
            free.remove(same)
        order.append(same)
    for kept in free:
        remove_rule(conn, kept.id, by=by, now=now)
    numbers = [
        kept.id if kept else add_rule(conn, rule, by=by, now=now) for kept, rule in zip(order, wanted, strict=True)
    ]
    order_rules(conn, numbers, by=by, now=now)


# ---------------------------------------------------------------------------------------------- placements
def every_placement(conn: sa.Connection) -> dict[str, Placement]:
    """All placements as they stand, in the order of their defaults."""
    changed = {row.name: row.definition for row in conn.execute(sa.select(kept_placements))}
    return {
        name: placements.parse(name, changed[name]) if name in changed else standard
        for name, standard in placements.DEFAULTS.items()
    }


def change_placement(conn: sa.Connection, placement: Placement, *, by: str, now: datetime) -> None:
    """Sets a placement; the same again changes nothing."""
    before = placements.known(every_placement(conn), placement.name)
    if before == placement:
        return
    row = {"name": placement.name, "definition": placements.dump(placement)}
    database.upsert(conn, kept_placements, [row], key=["name"])
    dumped = placements.dump(before), placements.dump(placement)
    _note(conn, "placement", placement.name, before=dumped[0], after=dumped[1], by=by, now=now)


# --------------------------------------------------------------------------------------------- experiments
def start_experiment(conn: sa.Connection, placement: str, *, percent: int, by: str, now: datetime) -> int:
    """Shows popularity to a share of the customers from now on; one experiment runs at a placement at a time."""
    placements.known(placements.DEFAULTS, placement)
    if not 1 <= percent <= 50:
        raise Invalid(Fault("/percent", "must be a whole number from 1 to 50"))
    row = {"placement": placement, "percent": percent, "started_at": now, "started_by": by}
    made = postgresql.insert(experiments).values(row).on_conflict_do_nothing().returning(experiments.c.id)
    found = conn.execute(made).scalar_one_or_none()
    if found is None:
        raise Conflict("experiment_runs", f"an experiment runs at {placement} already")
    _note(conn, "experiment", placement, after={"percent": percent}, by=by, now=now)
    return int(found)


def end_experiment(conn: sa.Connection, placement: str, *, by: str, now: datetime) -> None:
    """Everyone is shown what the model says again; the results stay."""
    running = (experiments.c.placement == placement) & experiments.c.ended_at.is_(None)
    ended = sa.update(experiments).where(running).values(ended_at=now).returning(experiments.c.percent)
    percent = conn.execute(ended).scalar_one_or_none()
    if percent is None:
        raise Conflict("no_experiment", f"no experiment runs at {placement}")
    _note(conn, "experiment", placement, before={"percent": percent}, by=by, now=now)


# ------------------------------------------------------------------------------------------------- history
def history(conn: sa.Connection, *, limit: int = 50, before: int | None = None) -> list[Change]:
    """The latest changes, youngest first."""
    query = sa.select(changes).order_by(changes.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(changes.c.id < before)
    return database.read(conn, query, Change)


def _locked(conn: sa.Connection) -> None:
    """One writer at a time gives places."""
    conn.execute(sa.text("LOCK TABLE merchandising_rules IN SHARE ROW EXCLUSIVE MODE"))


def _note(
    conn: sa.Connection, what: str, subject: str, *, by: str, now: datetime, before: Any = None, after: Any = None
) -> None:
    row = {"at": now, "by": by, "what": what, "subject": subject, "before": before, "after": after}
    conn.execute(sa.insert(changes).values(row))
