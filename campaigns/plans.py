"""Campaigns as they are kept: created, changed, launched, paused, cancelled; every version of what they say."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import intents, late_tables, membership, offers, segments, tables
from campaigns.audiences import kept as audiences
from campaigns.definitions import campaign as definitions
from campaigns.definitions import flow, shapes
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.entries import EventEntry, ProductAbandoned, Schedule, SegmentEntry, Watch
from campaigns.definitions.flow import Flow
from campaigns.definitions.steps import Ask, Send, WaitFor, Webhook
from campaigns.journeys import Leave
from campaigns.states import Reason, State
from foundation import database, outward
from foundation.errors import Conflict, Fault, Invalid, NotFound
from shop.tables import listened_events
from shop.vocabulary import Name

campaigns, versions = tables.campaigns, tables.campaign_versions

ZONES_APART = timedelta(hours=26)
"""The same hour of the same day has come everywhere on Earth by then."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One campaign: what it says to newcomers and where it stands (draft sending paused cancelled done)."""

    id: int
    name: str
    state: str
    definition: Campaign
    version: int
    created_at: datetime
    updated_at: datetime
    launched_at: datetime | None
    pause_reason: str | None
    pause_detail: Mapping[str, Any] | None

    @property
    def flow(self) -> Flow:
        """Its steps as a map."""
        return flow.lay(self.definition.steps)


# ------------------------------------------------------------------------------------------------ reading
def get(conn: sa.Connection, name: str) -> Plan:
    """The campaign of that name; raises `NotFound`."""
    row = conn.execute(_PLANS.where(campaigns.c.name == name)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no campaign is named {name}")
    return _plan(row)


def named(conn: sa.Connection, names: Collection[str]) -> list[Plan]:
    """The campaigns of these names, by name; one there is not is left out."""
    query = _PLANS.where(campaigns.c.name.in_(names)).order_by(campaigns.c.name)
    return [_plan(row) for row in conn.execute(query).mappings()]


def by_id(conn: sa.Connection, campaign_id: int) -> Plan:
    """The campaign of that number; raises `NotFound`."""
    row = conn.execute(_PLANS.where(campaigns.c.id == campaign_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no campaign {campaign_id}")
    return _plan(row)


def titles(conn: sa.Connection) -> dict[int, str]:
    """What each campaign goes by, by its number."""
    return {key: name for key, name in conn.execute(sa.select(campaigns.c.id, campaigns.c.name))}


def every(conn: sa.Connection) -> list[Plan]:
    """All campaigns, the youngest first."""
    return [_plan(row) for row in conn.execute(_PLANS.order_by(campaigns.c.id.desc())).mappings()]


def page(
    conn: sa.Connection, *, text: str = "", state: str = "", after: int | None = None, limit: int = 50
) -> list[Plan]:
    """A page of campaigns, the youngest first: of a state, with these words in title or name, behind one of that id."""
    query = _PLANS.order_by(campaigns.c.id.desc()).limit(limit)
    if state:
        query = query.where(campaigns.c.state == state)
    if text:
        title = versions.c.definition["title"].astext
        query = query.where(title.icontains(text, autoescape=True) | campaigns.c.name.icontains(text, autoescape=True))
    if after is not None:
        query = query.where(campaigns.c.id < after)
    return [_plan(row) for row in conn.execute(query).mappings()]


def running(conn: sa.Connection, *, now: datetime) -> list[Plan]:
    """Those that take customers in at this moment."""
    found = [_plan(row) for row in conn.execute(_PLANS.where(campaigns.c.state == "sending")).mappings()]
    return [plan for plan in found if _open(plan.definition, now)]


def _open(definition: Campaign, now: datetime) -> bool:
    begun = definition.starts_at is None or definition.starts_at <= now
    return begun and (definition.ends_at is None or now < definition.ends_at)


def version(conn: sa.Connection, campaign_id: int, number: int) -> Campaign:
    """What a campaign said in that version; raises `NotFound`."""
    of = (versions.c.campaign_id == campaign_id) & (versions.c.version == number)
    text = conn.scalar(sa.select(sa.cast(versions.c.definition, sa.Text)).where(of))
    if text is None:
        raise NotFound(f"there is no version {number}")
    return _read(text)


@dataclass(frozen=True, slots=True)
class Said:
    """The step a message was made by, and the campaign as it was then."""

    step: Send | Ask
    campaign: Campaign


def said(conn: sa.Connection, keys: Collection[tuple[int, int, str]]) -> dict[tuple[int, int, str], Said]:
    """What messages are made of, by campaign, version and step."""
    wanted = {(campaign, number) for campaign, number, _ in keys}
    held = sa.tuple_(versions.c.campaign_id, versions.c.version).in_(wanted)
    query = sa.select(versions.c.campaign_id, versions.c.version, sa.cast(versions.c.definition, sa.Text)).where(held)
    found = {}
    for campaign, number, text in conn.execute(query) if wanted else ():
        definition = _read(text)
        for _, step in flow.walk(definition.steps):
            if isinstance(step, Send | Ask):
                found[campaign, number, step.id] = Said(step, definition)
    return {key: found[key] for key in keys if key in found}


_PLANS = sa.select(campaigns, sa.cast(versions.c.definition, sa.Text).label("definition")).join(
    versions, (versions.c.campaign_id == campaigns.c.id) & (versions.c.version == campaigns.c.version)
)


def _plan(row: sa.RowMapping) -> Plan:
    return Plan(**{name: row[name] for name in Plan.__slots__} | {"definition": _read(row["definition"])})


@lru_cache(maxsize=256)
def _read(text: str) -> Campaign:
    """A kept definition; it was checked when it was kept, and stays readable when the checks grow stricter."""
    return shapes.read(Campaign, orjson.loads(text))


# ------------------------------------------------------------------------------------------------ keeping
def create(conn: sa.Connection, name: str, *, definition: Mapping[str, Any], now: datetime) -> Plan:
    """A new draft; raises `Invalid` with its faults, `Conflict` if the name is taken."""
    parsed = checked(conn, name, definition)
    row = {"name": name, "state": "draft", "created_at": now, "updated_at": now}
    if not database.insert_once(conn, campaigns, row):
        raise Conflict("name_taken", f"a campaign named {name} exists already")
    kept = conn.scalar(sa.select(campaigns.c.id).where(campaigns.c.name == name))
    _keep(conn, kept, 1, parsed, now=now)
    return get(conn, name)


def update(conn: sa.Connection, name: str, *, definition: Mapping[str, Any], now: datetime) -> Plan:
    """A new version for those who enter from now on; a definition that says the same changes nothing."""
    current, parsed = get(conn, name), checked(conn, name, definition)
    if current.state == "cancelled":
        raise Conflict("cancelled", f"{name} was cancelled and cannot be changed")
    if parsed != current.definition:
        _keep(conn, current.id, current.version + 1, parsed, now=now)
        values = {"version": current.version + 1, "updated_at": now}
        conn.execute(sa.update(campaigns).where(campaigns.c.id == current.id).values(values))
        listen(conn)
    return get(conn, name)


def put(conn: sa.Connection, name: str, *, definition: Mapping[str, Any], now: datetime) -> Plan:
    """Creates it, or changes it if it exists."""
    known = conn.scalar(sa.select(campaigns.c.id).where(campaigns.c.name == name))
    keep = update if known else create
    return keep(conn, name, definition=definition, now=now)


def _keep(conn: sa.Connection, campaign_id: int | None, number: int, parsed: Campaign, *, now: datetime) -> None:
    row = {"campaign_id": campaign_id, "version": number, "definition": definitions.dump(parsed), "created_at": now}
    conn.execute(sa.insert(versions), row)


def launch(conn: sa.Connection, name: str, *, now: datetime) -> Plan:
    """Starts, or takes up again after a pause; everything it names must be there."""
    current = get(conn, name)
    if current.state == "cancelled":
        raise Conflict("cancelled", f"{name} was cancelled and cannot be launched again")
    entry = checked(conn, name, definitions.dump(current.definition)).entry
    if (
        current.launched_at is None  # else people may be under way, and a moment that was missed is asked about
        and isinstance(entry, Schedule)
        and entry.every == "once"
        and date.fromisoformat(entry.on) < (now - ZONES_APART).date()
    ):
        raise Invalid(Fault("/entry/on", "has passed already"))
    canary = current.definition.canary if current.launched_at is None else None
    values = {
        "state": "sending",
        "updated_at": now,
        "launched_at": current.launched_at or now,
        "pause_reason": None,
        "pause_detail": None,
        # Whoever takes it up again has seen what its canary said.
        "canary_left": canary.messages if canary else None,
        "canary_since": None,
    }
    conn.execute(sa.update(campaigns).where(campaigns.c.id == current.id).values(values))
    listen(conn)
    return get(conn, name)


def pause(conn: sa.Connection, name: str, *, now: datetime) -> int:
    """No message of it is begun once this is committed; gives how many were already on their way."""
    current = get(conn, name)
    if current.state != "sending":
        raise Conflict("not_sending", f"{name} is {current.state}")
    return _pause(conn, current, {"state": "paused", "updated_at": now})


def pause_itself(conn: sa.Connection, current: Plan, *, reason: str, detail: Mapping[str, Any], now: datetime) -> None:
    """The same, without anybody asking for it: why, and the figures behind it, are kept with the campaign."""
    values = {"state": "paused", "updated_at": now, "pause_reason": reason, "pause_detail": dict(detail)}
    _pause(conn, current, values)


def _pause(conn: sa.Connection, current: Plan, values: Mapping[str, Any]) -> int:
    intents.stop(conn, current.id)
    conn.execute(sa.update(campaigns).where(campaigns.c.id == current.id).values(values))
    listen(conn)
    return in_flight(conn, current.id)


def cancel(conn: sa.Connection, name: str, *, now: datetime) -> int:
    """Ends it for good: what has not left never will. Gives how many were already on their way."""
    current = get(conn, name)
    intents.stop(conn, current.id)
    conn.execute(sa.update(campaigns).where(campaigns.c.id == current.id).values(state="cancelled", updated_at=now))
    messages, enrolments, calls = tables.messages, tables.enrolments, tables.webhook_calls
    conn.execute(
        sa.update(messages)
        .where(messages.c.campaign_id == current.id, messages.c.state.in_((State.PENDING, State.HELD, State.CLAIMED)))
        .values(
            state=State.CANCELLED,
            reason=Reason.CAMPAIGN_CANCELLED,
            resolved_at=now,
            resolved_by="operator",
            lease_until=None,
        )
    )
    conn.execute(
        sa.update(enrolments)
        .where(enrolments.c.campaign_id == current.id, enrolments.c.state == "waiting")
        .values(state="left", left_at=now, reason=Leave.CANCELLED, wake_at=None)
    )
    conn.execute(
        sa.update(calls)
        .where(calls.c.campaign_id == current.id, calls.c.state == "pending")
        .values(state="cancelled", resolved_at=now)
    )
    for kept in (tables.arrivals, late_tables.latecomers):
        conn.execute(sa.delete(kept).where(kept.c.campaign_id == current.id))
    listen(conn)
    return in_flight(conn, current.id)


def finish(conn: sa.Connection, *, now: datetime) -> list[str]:
    """Campaigns whose time is over, and in which nobody is under way any more, are done. Gives their names."""
    over = []
    for plan in every(conn):
        waiting = sa.exists().where(tables.enrolments.c.campaign_id == plan.id, tables.enrolments.c.state == "waiting")
        if plan.state == "sending" and _over(conn, plan, now) and not conn.scalar(sa.select(waiting)):
            over.append(plan.name)
    conn.execute(sa.update(campaigns).where(campaigns.c.name.in_(over)).values(state="done", updated_at=now))
    if over:
        listen(conn)
    return over


def _over(conn: sa.Connection, plan: Plan, now: datetime) -> bool:
    """A broadcast whose one moment was missed is not over before somebody said whether it is still wanted."""
    if plan.definition.ends_at and plan.definition.ends_at <= now:
        return True
    entry, runs = plan.definition.entry, tables.campaign_runs
    if not isinstance(entry, Schedule) or entry.every != "once":
        return False
    asked = sa.func.bool_or(runs.c.state.in_(("missed", "wanted")))
    last, open_ = conn.execute(sa.select(sa.func.max(runs.c.due_at), asked).where(runs.c.campaign_id == plan.id)).one()
    return last is not None and last < now - ZONES_APART and not open_


def written_at(conn: sa.Connection, plan: Plan) -> datetime:
    """When the version newcomers follow was published."""
    mine = (versions.c.campaign_id == plan.id) & (versions.c.version == plan.version)
    found: datetime = conn.execute(sa.select(versions.c.created_at).where(mine)).scalar_one()
    return found


def in_flight(conn: sa.Connection, campaign_id: int) -> int:
    """Messages handed to a provider right now; they cannot be called back."""
    messages = tables.messages
    where = (messages.c.campaign_id == campaign_id) & (messages.c.state == State.SUBMITTING)
    return conn.scalar(sa.select(sa.func.count()).where(where)) or 0


# ----------------------------------------------------------------------------------------------- listening
@dataclass(frozen=True, slots=True)
class Followed:
    """A version of a campaign that newcomers or people under way follow."""

    campaign_id: int
    name: str
    state: str
    version: int
    definition: Campaign
    flow: Flow


def followed(conn: sa.Connection) -> list[Followed]:
    """Every version somebody is under way in, or may come into, of campaigns that are not over."""
    waiting = sa.exists().where(
        tables.enrolments.c.campaign_id == versions.c.campaign_id,
        tables.enrolments.c.version == versions.c.version,
        tables.enrolments.c.state == "waiting",
    )
    query = (
        sa.select(
            campaigns.c.id,
            campaigns.c.name,
            campaigns.c.state,
            versions.c.version,
            sa.cast(versions.c.definition, sa.Text),
        )
        .join(campaigns, campaigns.c.id == versions.c.campaign_id)
        .where(campaigns.c.state.in_(("sending", "paused")), (campaigns.c.version == versions.c.version) | waiting)
        .order_by(campaigns.c.id, versions.c.version)
    )
    return [
        Followed(key, name, state, number, _read(text), _laid(text))
        for key, name, state, number, text in conn.execute(query)
    ]


@lru_cache(maxsize=256)
def _laid(text: str) -> Flow:
    return flow.lay(_read(text).steps)


def listen(conn: sa.Connection) -> None:
    """Tells the shop which events running campaigns wait for, in every version somebody still follows."""
    running = [one.definition for one in followed(conn) if one.state == "sending"]
    heard = [pair for definition in running for pair in (*awaited(definition), *_called(definition))]
    names = {name for name, _ in heard}
    conn.execute(sa.delete(listened_events).where(listened_events.c.name.not_in(names)))
    if names:
        rows = [{"name": name} for name in sorted(names)]
        conn.execute(postgresql.insert(listened_events).on_conflict_do_nothing(), rows)
    membership.announce(conn, {segment for _, segment in heard if segment})


def _called(definition: Campaign) -> Iterator[tuple[str, str | None]]:
    """The events that bring somebody in, with the segment where it is about one."""
    entry = definition.entry
    if isinstance(entry, EventEntry):
        yield entry.event, _segment(entry)
    elif isinstance(entry, SegmentEntry):
        yield SEGMENT_EVENTS[entry.type], entry.segment
    elif isinstance(entry, ProductAbandoned):
        yield Name.PRODUCT_VIEWED, None


def awaited(definition: Campaign) -> Iterator[tuple[str, str | None]]:
    """The events that wake or stop somebody under way, with the segment where it is about one."""
    for _, watch in definitions.watched(definition):
        yield watch.event, _segment(watch)


def _segment(watch: Watch | WaitFor | EventEntry) -> str | None:
    """The segment an own event is about, if it is one of these and names it."""
    named = [test.value for test in watch.where if test.property == "segment" and test.test == "is"]
    return str(named[0]) if watch.event in SEGMENT_EVENTS.values() and named else None


SEGMENT_EVENTS = {"segment_entered": "Segment Entered", "segment_left": "Segment Left"}


# ------------------------------------------------------------------------------------------------- checking
def checked(conn: sa.Connection, name: str, definition: Mapping[str, Any]) -> Campaign:
    """The definition, once nothing is wrong with it and everything it names is there; raises `Invalid`."""
    faults = []
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        faults.append(Fault("/name", "must be small letters, digits and dashes, at most 63"))
    try:
        parsed = definitions.parse(definition)
    except Invalid as error:
        raise Invalid(*faults, *error.faults) from None
    faults += _unknown(conn, parsed)
    if faults:
        raise Invalid(*faults)
    return parsed


def _unknown(conn: sa.Connection, definition: Campaign) -> Iterator[Fault]:
    """What it names and is not there: offers, segments, hosts nobody may be led to."""
    for place, step in flow.walk(definition.steps):
        if isinstance(step, Send) and step.offer and offers.find(conn, step.offer) is None:
            yield Fault(f"{place}/offer", f"is not the name of an offer: {step.offer}")
        if isinstance(step, Send) and step.audience and audiences.find(conn, step.audience) is None:
            yield Fault(f"{place}/audience", f"is not the name of an audience: {step.audience}")
        if isinstance(step, Webhook) and (wrong := outward.wrong(step.url)):
            yield Fault(f"{place}/url", wrong)
    for place, condition in definitions.ruled(definition):
        for fault in segments.check(conn, condition):
            yield Fault(place + fault.pointer, fault.detail)
    missing = [(place, name) for place, name in _heard_of(definition) if segments.find(conn, name) is None]
    yield from (Fault(place, f"is not the name of a segment: {name}") for place, name in missing)


def _heard_of(definition: Campaign) -> Iterator[tuple[str, str]]:
    """Segments whose coming and going it listens for, with the places that name them."""
    place = "/entry/segment" if isinstance(definition.entry, SegmentEntry) else "/entry/where"
    yield from ((place, segment) for _, segment in _called(definition) if segment)
    for place, watch in definitions.watched(definition):
        if segment := _segment(watch):
            yield f"{place}/where", segment
