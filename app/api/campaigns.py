"""`/v1/campaigns`: what a given customer would get of a campaign, rendered; nothing is kept, counted or sent."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import pydantic
import sqlalchemy as sa
from flask import Blueprint

from app import parts, security
from app.api.endpoint import Body, Reply, Word, operation
from campaigns import plans, previews
from campaigns.definitions.content import Locale
from campaigns.plans import Plan
from campaigns.previews import Shown
from campaigns.wording import WordingError
from foundation.errors import Conflict, Fault, Invalid, NotFound
from shop import customers

bp = Blueprint("api_campaigns", __name__, url_prefix="/v1")
bp.before_request(security.require_key(security.Kind.SECRET))

Definition = Annotated[dict[str, Any], pydantic.Field(max_length=50)]


class Asked(Body):
    """Whose message to show: without a customer, that of a stranger with a basket made of what is for sale.

    `step` names one of its messages, else it is the first; `locale` a language, else it is the customer's. With
    `definition`, a campaign as files say it, that is shown in place of what is kept.
    """

    customer: Word | None = None
    step: Word | None = None
    locale: Locale | None = None
    definition: Definition | None = None


class Message(Reply):
    """One message as it would be; a code in it is a dummy no till accepts, and its links count nothing.

    `html` is a mail's alone; `details` are a mail's headers, and of every other channel what it carries beside words.
    """

    campaign: str
    step: str
    channel: str
    customer: str | None
    subject: str
    text: str
    html: str | None
    details: dict[str, Any]


@bp.post("/campaigns/<campaign>/preview")
@operation("What a given customer would get of a campaign, rendered; nothing is kept, counted or sent.",
           tag="campaigns")  # fmt: skip
def preview(conn: sa.Connection, campaign: str, *, body: Asked, now: datetime) -> Message:
    """A campaign has the name it goes by in files and commands. What cannot be written is a 409 that says why."""
    plan, person = _meant(conn, campaign, body), None
    if body.customer is not None and (person := customers.find(conn, user_id=body.customer)) is None:
        raise NotFound("No customer has this id.")
    try:
        shown = _shown(conn, plan, person, body, now=now)
    except WordingError as refused:
        raise Conflict("cannot_be_written", str(refused)) from None
    return Message(
        campaign=plan.name,
        step=shown.step,
        channel=shown.channel,
        customer=body.customer,
        subject=shown.subject,
        text=shown.text,
        html=shown.html,
        details=dict(shown.details),
    )


def _meant(conn: sa.Connection, name: str, body: Asked) -> Plan:
    """The campaign as it is kept, or as the caller would have it; its name is the address's."""
    plan = plans.get(conn, name)
    if body.definition is None:
        return plan
    if body.definition.get("name", name) != name:
        raise Invalid(Fault("/definition/name", "is not the name in the address"))
    said = {field: value for field, value in body.definition.items() if field != "name"}
    try:
        return replace(plan, definition=plans.checked(conn, name, said))
    except Invalid as refused:
        faults = (Fault("/definition" + fault.pointer, fault.detail) for fault in refused.faults)
        raise Invalid(*faults) from None


def _shown(conn: sa.Connection, plan: Plan, person: int | None, body: Asked, *, now: datetime) -> Shown:
    ours = parts.current_parts()
    return previews.shown(
        conn,
        plan,
        person,
        step=body.step,
        recommender=ours.recommender,
        links=ours.links,
        sender=ours.config.email_from,
        locale=body.locale,
        now=now,
    )
