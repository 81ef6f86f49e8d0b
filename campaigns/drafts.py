"""What a campaign will say while somebody writes it: every change kept at once, undone and redone, and never lost to
somebody else's: who changes what was changed meanwhile is told."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import plans, tables
from campaigns.definitions import campaign as definitions
from campaigns.definitions import edits
from campaigns.plans import Plan
from foundation.errors import Conflict, Fault, Invalid

drafts, kept = tables.campaign_drafts, tables.campaign_edits

LONGEST_PAST = 200
"""Edits that can be undone."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A campaign as it is being written. `revision` 0: nothing was changed yet, it says what its version says."""

    campaign_id: int
    definition: dict[str, Any]
    based_on: int
    revision: int
    shown: int
    last: int
    what: str
    step: str
    edited_at: datetime | None
    edited_by: str

    @property
    def undoable(self) -> bool:
        """Whether there is an edit to take back."""
        return self.shown > 1

    @property
    def redoable(self) -> bool:
        """Whether one was taken back."""
        return self.shown < self.last


class Stale(Conflict):
    """Somebody changed the draft meanwhile; `now` is how it stands."""

    def __init__(self, now: Draft) -> None:
        super().__init__("draft_changed", "somebody changed it meanwhile")
        self.now = now


def of(conn: sa.Connection, plan: Plan) -> Draft:
    """The draft of a campaign; if nobody writes one, what its version says."""
    every = kept.alias()
    last = sa.select(sa.func.max(every.c.number)).where(every.c.campaign_id == drafts.c.campaign_id)
    query = (
        sa.select(drafts, kept.c.definition, kept.c.what, kept.c.step, last.scalar_subquery().label("last"))
        .join(kept, (kept.c.campaign_id == drafts.c.campaign_id) & (kept.c.number == drafts.c.shown))
        .where(drafts.c.campaign_id == plan.id)
    )
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        said = definitions.dump(plan.definition)
        return Draft(plan.id, said, plan.version, 0, 1, 1, "began", "", None, "")
    return Draft(**row)


def written(conn: sa.Connection, campaign_ids: Collection[int]) -> dict[int, datetime]:
    """Of these campaigns, those somebody writes a draft of, with when it was last changed."""
    query = sa.select(drafts.c.campaign_id, drafts.c.edited_at)
    found = query.where(drafts.c.campaign_id.in_(campaign_ids), drafts.c.revision > 0)
    return {campaign: at for campaign, at in conn.execute(found)}


def change(
    conn: sa.Connection,
    plan: Plan,
    definition: Mapping[str, Any],
    *,
    revision: int,
    what: str,
    step: str = "",
    by: str,
    now: datetime,
) -> Draft:
    """Keeps the draft's next state; what had been undone is gone. Raises `Stale` unless `revision` is the newest."""
    current = _held(conn, plan, revision=revision, by=by, now=now)
    written = edits.trimmed(definition)
    if written == edits.trimmed(current.definition):
        return current
    number = current.shown + 1
    conn.execute(sa.delete(kept).where(kept.c.campaign_id == plan.id, kept.c.number >= number))
    conn.execute(sa.delete(kept).where(kept.c.campaign_id == plan.id, kept.c.number < number - LONGEST_PAST))
    _keep(conn, plan.id, number, written, what=what, step=step, by=by, now=now)
    return _stand(conn, plan, number, by=by, now=now)


def put(conn: sa.Connection, name: str, *, definition: Mapping[str, Any], by: str, now: datetime) -> Plan:
    """As `plans.put`, but a campaign that runs goes on as it is: what is put becomes its draft."""
    state = conn.scalar(sa.select(plans.campaigns.c.state).where(plans.campaigns.c.name == name))
    if state != "sending":
        return plans.put(conn, name, definition=definition, now=now)
    plan = plans.get(conn, name)
    plans.checked(conn, name, definition)
    change(conn, plan, definition, revision=of(conn, plan).revision, what="file", by=by, now=now)
    return plan


def undo(conn: sa.Connection, plan: Plan, *, revision: int, by: str, now: datetime) -> Draft:
    """Takes the last edit back."""
    return _step(conn, plan, -1, revision=revision, by=by, now=now)


def redo(conn: sa.Connection, plan: Plan, *, revision: int, by: str, now: datetime) -> Draft:
    """Makes an edit again that was taken back."""
    return _step(conn, plan, 1, revision=revision, by=by, now=now)


def discard(conn: sa.Connection, plan: Plan, *, revision: int, by: str, now: datetime) -> None:
    """Throws the draft away: what the campaign says stays as it is."""
    _held(conn, plan, revision=revision, by=by, now=now)
    conn.execute(sa.delete(drafts).where(drafts.c.campaign_id == plan.id))


def publish(conn: sa.Connection, plan: Plan, *, revision: int, now: datetime) -> Plan:
    """Makes the draft the version newcomers follow; raises `Invalid` with its faults."""
    current = of(conn, plan)
    if current.revision != revision:
        raise Stale(current)
    if current.revision == 0:
        return plan
    published = plans.update(conn, plan.name, definition=current.definition, now=now)
    conn.execute(sa.delete(drafts).where(drafts.c.campaign_id == plan.id))
    return published


def faults(conn: sa.Connection, plan: Plan, definition: Mapping[str, Any]) -> list[Fault]:
    """Everything wrong with what is written, each with its place."""
    try:
        plans.checked(conn, plan.name, definition)
    except Invalid as refused:
        return refused.faults
    return []


def fingerprint(definition: Mapping[str, Any]) -> str:
    """A short word for what a definition says; two that say the same have the same."""
    said = orjson.dumps(edits.trimmed(definition), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(said).hexdigest()[:24]


# -------------------------------------------------------------------------------------------------- parts
def _held(conn: sa.Connection, plan: Plan, *, revision: int, by: str, now: datetime) -> Draft:
    """The draft, locked, begun if there was none; raises `Stale` if it is not at the revision the writer saw."""
    row = {
        "campaign_id": plan.id,
        "based_on": plan.version,
        "revision": 0,
        "shown": 1,
        "edited_at": now,
        "edited_by": by,
    }
    begun = postgresql.insert(drafts).values(**row).on_conflict_do_nothing().returning(drafts.c.campaign_id)
    if conn.scalar(begun) is not None:
        _keep(conn, plan.id, 1, definitions.dump(plan.definition), what="began", step="", by=by, now=now)
    conn.execute(sa.select(drafts.c.revision).where(drafts.c.campaign_id == plan.id).with_for_update())
    current = of(conn, plan)
    if current.revision != revision:
        raise Stale(current)
    return current


def _keep(
    conn: sa.Connection,
    campaign_id: int,
    number: int,
    definition: Mapping[str, Any],
    *,
    what: str,
    step: str,
    by: str,
    now: datetime,
) -> None:
    row = {
        "campaign_id": campaign_id,
        "number": number,
        "definition": definition,
        "what": what,
        "step": step,
        "edited_at": now,
        "edited_by": by,
    }
    conn.execute(sa.insert(kept), row)


def _step(conn: sa.Connection, plan: Plan, by_steps: int, *, revision: int, by: str, now: datetime) -> Draft:
    current = _held(conn, plan, revision=revision, by=by, now=now)
    number = current.shown + by_steps
    known = sa.exists().where(kept.c.campaign_id == plan.id, kept.c.number == number)
    if not conn.scalar(sa.select(known)):
        return current
    return _stand(conn, plan, number, by=by, now=now)


def _stand(conn: sa.Connection, plan: Plan, number: int, *, by: str, now: datetime) -> Draft:
    values = {"shown": number, "revision": drafts.c.revision + 1, "edited_by": by, "edited_at": now}
    conn.execute(sa.update(drafts).where(drafts.c.campaign_id == plan.id).values(values))
    return of(conn, plan)
