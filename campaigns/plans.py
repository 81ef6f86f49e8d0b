"""Campaigns as they are kept: created, changed, launched, paused, cancelled."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import policy, promotions, rules, tables
from campaigns.definitions import campaign as definitions
from campaigns.definitions.campaign import CartAbandonment
from campaigns.journeys import Exit
from campaigns.states import Reason, State
from foundation import database
from foundation.errors import Conflict, Fault, Invalid, NotFound

campaigns = tables.campaigns


@dataclass(frozen=True, slots=True)
class Plan:
    """One campaign: its definition and where it stands (draft sending paused cancelled)."""

    id: int
    name: str
    state: str
    definition: CartAbandonment
    version: int
    created_at: datetime
    updated_at: datetime
    launched_at: datetime | None


def create(conn: sa.Connection, name: str, *, definition: Mapping[str, Any], now: datetime) -> Plan:
    """A new draft; raises `Invalid` with its faults, `Conflict` if the name is taken."""
    parsed = _parsed(conn, name, definition)
    row = {"name": name, "state": "draft", "definition": definitions.dump(parsed), "created_at": now, "updated_at": now}
    if not database.insert_once(conn, campaigns, row):
        raise Conflict("name_taken", f"a campaign named {name} exists already")
    return get(conn, name)


def update(conn: sa.Connection, name: str, *, definition: Mapping[str, Any], now: datetime) -> Plan:
    """Changes the definition; a definition that says the same changes nothing."""
    current, parsed = get(conn, name), _parsed(conn, name, definition)
    if current.state == "cancelled":
        raise Conflict("cancelled", f"{name} was cancelled and cannot be changed")
    if parsed != current.definition:
        values = {"definition": definitions.dump(parsed), "version": current.version + 1, "updated_at": now}
        conn.execute(sa.update(campaigns).where(campaigns.c.id == current.id).values(values))
    return get(conn, name)


def get(conn: sa.Connection, name: str) -> Plan:
    """The campaign of that name; raises `NotFound`."""
    row = conn.execute(sa.select(campaigns).where(campaigns.c.name == name)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no campaign is named {name}")
    return plan(row)


def every(conn: sa.Connection) -> list[Plan]:
    """All campaigns, the youngest first."""
    rows = conn.execute(sa.select(campaigns).order_by(campaigns.c.id.desc())).mappings()
    return [plan(row) for row in rows]


def plan(row: sa.RowMapping) -> Plan:
    """A row of `campaigns` as a value."""
    return Plan(**{**row, "definition": definitions.parse(row["definition"])})


def launch(conn: sa.Connection, name: str, *, now: datetime) -> Plan:
    """Starts, or takes up again after a pause."""
    current = get(conn, name)
    if current.state == "cancelled":
        raise Conflict("cancelled", f"{name} was cancelled and cannot be launched again")
    _parsed(conn, name, definitions.dump(current.definition))
    values = {"state": "sending", "updated_at": now, "launched_at": current.launched_at or now}
    conn.execute(sa.update(campaigns).where(campaigns.c.id == current.id).values(values))
    return get(conn, name)


def pause(conn: sa.Connection, name: str, *, now: datetime) -> int:
    """No message of it is begun once this is committed; gives how many were already on their way."""
    current = get(conn, name)
    if current.state != "sending":
        raise Conflict("not_sending", f"{name} is {current.state}")
    conn.execute(sa.update(campaigns).where(campaigns.c.id == current.id).values(state="paused", updated_at=now))
    return in_flight(conn, current.id)


def cancel(conn: sa.Connection, name: str, *, now: datetime) -> int:
    """Ends it for good: what has not left never will. Gives how many were already on their way."""
    current = get(conn, name)
    conn.execute(sa.update(campaigns).where(campaigns.c.id == current.id).values(state="cancelled", updated_at=now))
    messages, enrolments = tables.messages, tables.enrolments
    conn.execute(
        sa.update(messages)
        .where(messages.c.campaign_id == current.id, messages.c.state.in_((State.PENDING, State.CLAIMED)))
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
        .values(state="left", left_at=now, reason=Exit.CANCELLED, wake_at=None)
    )
    return in_flight(conn, current.id)


def in_flight(conn: sa.Connection, campaign_id: int) -> int:
    """Messages handed to a provider right now; they cannot be called back."""
    messages = tables.messages
    where = (messages.c.campaign_id == campaign_id) & (messages.c.state == State.SUBMITTING)
    return conn.scalar(sa.select(sa.func.count()).where(where)) or 0


def _parsed(conn: sa.Connection, name: str, definition: Mapping[str, Any]) -> CartAbandonment:
    faults = []
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        faults.append(Fault("/name", "must be small letters, digits and dashes, at most 63"))
    try:
        parsed = definitions.parse(definition)
    except Invalid as error:
        raise Invalid(*faults, *error.faults) from None
    if parsed.offer and promotions.find_offer(conn, parsed.offer) is None:
        faults.append(Fault("/offer", f"is not the name of an offer: {parsed.offer}"))
    if faults:
        raise Invalid(*faults)
    return parsed


DEMO = "cart-relaunch"

_TITLE_FR = (
    "{% if customer.first_name %}{{ customer.first_name }}, votre{% else %}Votre{% endif %} panier vous attend"
    "{% if code.offer %}, avec {{ code.offer }} de moins{% endif %}"
)
_TITLE_EN = (
    "{% if customer.first_name %}{{ customer.first_name }}, your{% else %}Your{% endif %} basket is waiting"
    "{% if code.offer %}, with {{ code.offer }} off{% endif %}"
)
DEMO_WORDS = {
    "en": {
        "subject": _TITLE_EN,
        "heading": _TITLE_EN,
        "intro": "You chose “{{ cart.first_title }}” on {{ cart.left_on }}. We have kept your basket"
        "{% if code.saving %}, and the code below saves you {{ code.saving }} until {{ code.expires }}{% endif %}.",
    },
    "fr": {
        "subject": _TITLE_FR,
        "heading": _TITLE_FR,
        "intro": "Vous aviez choisi « {{ cart.first_title }} » {{ cart.left_on }}. Nous avons gardé votre panier"
        "{% if code.saving %}, et le code plus bas vous fait gagner {{ code.saving }} jusqu'au {{ code.expires }}"
        "{% endif %}.",
    },
}


def ensure_demo(conn: sa.Connection, *, now: datetime, demo: bool) -> None:
    """The campaign every installation begins with, and its offer: launched in the demo shop, else a draft."""
    if conn.scalar(sa.select(campaigns.c.id).where(campaigns.c.name == DEMO)):
        return
    if promotions.find_offer(conn, "WELCOME-BACK") is None:
        promotions.create_offer(
            conn,
            promotions.OfferTerms(name="WELCOME-BACK", kind="percentage", value=1000, prefix="AUBIER", valid_days=7),
            now=now,
        )
    definition = {
        "delay_minutes": 1 if demo else 60,
        "expires_hours": 48,
        "holdout_percent": 0 if demo else 10,
        "offer": "WELCOME-BACK",
        "products": 3,
        "words": DEMO_WORDS,
    }
    create(conn, DEMO, definition=definition, now=now)
    if demo:
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=20), now=now)
        launch(conn, DEMO, now=now)
