"""Campaigns, with the segments and offers they need, as files: read, applied all or nothing, and written back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Protocol

import orjson
import sqlalchemy as sa
from pydantic import Field, StringConstraints

from campaigns import offers, plans, policy, rules, segments, tables
from campaigns.audiences import kept
from campaigns.definitions import campaign as definitions
from campaigns.definitions import shapes
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.offers import Offer
from campaigns.definitions.shapes import Shape
from campaigns.segments import Definition
from foundation.errors import Conflict, Fault, Invalid, NotFound

READY = Path(__file__).resolve().parent / "ready_made"
DEMO = "cart-relaunch"
"""The campaign every installation begins with."""


class Named(Campaign):
    """A campaign with the short word it goes by in files and commands."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class File(Shape):
    """What one file may hold. It is applied in this order, all of it or nothing; a second time changes nothing."""

    offers: Annotated[tuple[Offer, ...], Field(max_length=100)] = ()
    segments: Annotated[tuple[Definition, ...], Field(max_length=100)] = ()
    audiences: Annotated[tuple[kept.Definition, ...], Field(max_length=100)] = ()
    campaigns: Annotated[tuple[Named, ...], Field(max_length=100)] = ()


def schema() -> dict[str, Any]:
    """The JSON Schema of a file, made from the very models that read it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **File.model_json_schema()}


def read(text: bytes) -> File:
    """A file's text; raises `Invalid` with every fault and its place."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(Fault("", f"is no JSON: {error}")) from None
    return shapes.read(File, value)


class Put(Protocol):
    """`plans.put`, or what does the same in another way."""

    def __call__(
        self, conn: sa.Connection, name: str, *, definition: Mapping[str, Any], now: datetime
    ) -> plans.Plan: ...


def apply(conn: sa.Connection, file: File, *, put: Put = plans.put, now: datetime) -> list[str]:
    """Puts everything in a file in its place; gives a line for each thing that changed. Raises `Invalid`."""
    parts: list[tuple[str, Callable[[], str | None]]] = [
        *((f"/offers/{n}", partial(_offer, conn, offer, now=now)) for n, offer in enumerate(file.offers)),
        *((f"/segments/{n}", partial(_segment, conn, segment, now=now)) for n, segment in enumerate(file.segments)),
        *((f"/audiences/{n}", partial(_audience, conn, one, now=now)) for n, one in enumerate(file.audiences)),
        *((f"/campaigns/{n}", partial(_campaign, conn, one, put, now=now)) for n, one in enumerate(file.campaigns)),
    ]
    changed: list[str] = []
    faults: list[Fault] = []
    for place, part in parts:
        try:
            changed += filter(None, [part()])
        except Invalid as refused:
            faults += [Fault(place + fault.pointer, fault.detail) for fault in refused.faults]
        except Conflict as refused:
            faults.append(Fault(place, str(refused)))
    if faults:
        raise Invalid(*faults)
    return changed


def _offer(conn: sa.Connection, offer: Offer, *, now: datetime) -> str | None:
    kept, changed = offers.put(conn, offer, now=now)
    if not changed:
        return None
    return f"offer {offer.name} created" if kept.revision == 1 else f"offer {offer.name} changed"


def _segment(conn: sa.Connection, segment: Definition, *, now: datetime) -> str | None:
    return f"segment {segment.name} changed" if segments.apply(conn, segment, now=now) else None


def _audience(conn: sa.Connection, audience: kept.Definition, *, now: datetime) -> str | None:
    return f"audience {audience.name} changed" if kept.apply(conn, kept.checked(audience), now=now) else None


def _campaign(conn: sa.Connection, campaign: Named, put: Put, *, now: datetime) -> str | None:
    definition = definitions.dump(campaign)
    name = definition.pop("name")
    try:
        before: int | None = plans.get(conn, name).version
    except NotFound:
        before = None
    plan = put(conn, name, definition=definition, now=now)
    if before is None:
        return f"campaign {name} created"
    return f"campaign {name} changed: version {plan.version}" if plan.version != before else None


def dump(plan: plans.Plan) -> dict[str, Any]:
    """A campaign as its file would say it."""
    return {"campaigns": [{"name": plan.name, **definitions.dump(plan.definition)}]}


# ---------------------------------------------------------------------------------------------- ready made
@dataclass(frozen=True, slots=True)
class Ready:
    """A campaign to start from."""

    name: str
    title: str
    file: File


@cache
def ready_made() -> tuple[Ready, ...]:
    """The campaigns that come with Relance, in the order of their names; they are edited like any other."""
    files = {path.stem: read(path.read_bytes()) for path in sorted(READY.glob("*.json"))}
    return tuple(Ready(name, file.campaigns[0].title, file) for name, file in files.items())


def start_from(conn: sa.Connection, name: str, *, now: datetime) -> plans.Plan:
    """Makes a draft of a ready-made campaign, with the offers and segments it needs; raises `NotFound`, `Conflict`."""
    found = next((ready for ready in ready_made() if ready.name == name), None)
    if found is None:
        raise NotFound(f"no ready-made campaign is named {name}")
    if name in {plan.name for plan in plans.every(conn)}:
        raise Conflict("name_taken", f"a campaign named {name} exists already")
    known = {offer.name for offer in offers.every(conn)}
    fresh = tuple(offer for offer in found.file.offers if offer.name not in known)  # the merchant's own word stands
    apply(conn, found.file.model_copy(update={"offers": fresh}), now=now)
    return plans.get(conn, name)


def ensure_demo(conn: sa.Connection, *, now: datetime, demo: bool) -> None:
    """The campaign every installation begins with, and its offer: launched in the demo shop, else a draft."""
    if conn.scalar(sa.select(tables.campaigns.c.id).where(tables.campaigns.c.name == DEMO)):
        return
    file = next(ready.file for ready in ready_made() if ready.name == DEMO)
    changes: Mapping[str, Any] = {"holdout_percent": 0.0} if demo else {}
    campaign = file.campaigns[0].model_copy(update=changes)
    if demo:
        campaign = campaign.model_copy(update={"entry": campaign.entry.model_copy(update={"delay": "1m"})})
    apply(conn, file.model_copy(update={"campaigns": (campaign,)}), now=now)
    if demo:
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=20), now=now)
        plans.launch(conn, DEMO, now=now)
