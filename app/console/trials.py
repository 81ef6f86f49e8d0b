"""Tests of a draft's messages by every channel, to whoever is signed in and to nobody else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa

from app.parts import current_parts
from campaigns import drafts, plans, previews, reachable, samples
from campaigns.definitions import content, edits
from campaigns.plans import Plan
from campaigns.samples import Sample
from foundation import database
from foundation.errors import Conflict
from shop import customers

EMAIL = "email"
BEST = ("email", "push", "sms")
"""What a message to the channel each answers best is tried by."""
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be tried: one message as a customer would get it, by one channel. `phone` is the asker's own, `form`
    the random identifier of the form that asks: sent twice, it asks once for the same."""

    step: str
    customer: int | None
    channel: str
    locale: str
    phone: str = ""
    form: UUID | None = None


def channels(step: Mapping[str, Any]) -> tuple[str, ...]:
    """The channels a message may be tried by; a note on the shop's pages is looked at, not sent."""
    channel = str(step.get("channel", EMAIL))
    return BEST if channel == "best" else () if channel == "onsite" else (channel,)


def send(name: str, asked: Asked, *, to: str, now: datetime | None = None) -> Sample:
    """Sends it to the asker, whose mail address is `to`; raises `WordingError`, `Invalid` or `Conflict` if it cannot
    be written, or reaches nobody."""
    parts, now = current_parts(), now or datetime.now(UTC)
    with parts.db.begin() as conn:
        plan = plans.get(conn, name)
        draft = drafts.of(conn, plan)
        step = edits.find(draft.definition, asked.step).step
        if asked.channel not in channels(step):
            raise Conflict("no_channel", "this message is not sent by that channel")
        alone = previews.alone(plan, draft.definition, step)
        if asked.channel == EMAIL:
            shown, sender = _mail(conn, alone, asked, now), parts.sender(conn)
        else:
            address = _address(conn, asked, to)
            row = _note(conn, alone, asked, now)
    made = _identifier(asked, f"{name} {draft.revision}")
    if asked.channel == EMAIL:
        return samples.send(
            parts.db, parts.email, plan, shown, made=made, step=asked.step, to=to, sender=sender, now=now
        )
    if asked.channel not in parts.channels:
        raise Conflict("not_connected", "nothing carries this channel yet")
    carrier = parts.channels[asked.channel]
    return samples.send_note(
        parts.db, carrier, plan, row, made=made, channel=asked.channel, step=asked.step, to=address, now=now
    )


def _identifier(asked: Asked, draft: str) -> UUID:
    """That of a test: the same form about the same draft, filled in alike, is the same test."""
    if asked.form is None:
        return database.new_id()
    return uuid5(asked.form, f"{draft} {asked.step} {asked.channel} {asked.customer} {asked.phone}")


def _address(conn: sa.Connection, asked: Asked, mail: str) -> str:
    """The number that was typed, or the devices of the customer who has the asker's own mail address."""
    if asked.channel in samples.PHONES:
        number = re.sub(r"[\s().-]", "", asked.phone)
        if not _PHONE.fullmatch(number):
            raise Conflict("no_phone", "a telephone number begins with + and its country, such as +33612345678")
        return number
    mine = customers.find(conn, email=mail)
    devices = reachable.addresses(conn, [mine], asked.channel).get(mine) if mine else None
    if not devices:
        raise Conflict("no_device", "no device takes notifications of the customer who has your e-mail address")
    return devices


def _mail(conn: sa.Connection, plan: Plan, asked: Asked, now: datetime) -> previews.Preview:
    parts = current_parts()
    return previews.render(
        conn,
        plan,
        asked.customer,
        step=asked.step,
        recommender=parts.recommender,
        links=parts.links,
        sender=parts.config.email_from,
        locale=asked.locale if asked.locale in content.LOCALES else None,
        now=now,
    )


def _note(conn: sa.Connection, plan: Plan, asked: Asked, now: datetime) -> dict[str, Any]:
    parts = current_parts()
    return previews.note(
        conn,
        plan,
        asked.customer,
        channel=asked.channel,
        step=asked.step,
        recommender=parts.recommender,
        links=parts.links,
        locale=asked.locale if asked.locale in content.LOCALES else None,
        now=now,
    )
