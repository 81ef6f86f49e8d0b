"""What speaks against the messages of a campaign before it is launched: as they are written, and as they come out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import mail_checks, previews, sending, wording
from campaigns.definitions import content, edits, entries, steps
from campaigns.links import Links, Reach
from campaigns.mail_checks import Check, Setting
from campaigns.plans import Plan
from foundation.errors import Conflict, Invalid
from shop.tables import customers

FAULTS = ("bad", "warn")
"""States of a line that says something is wrong."""


@dataclass(frozen=True, slots=True)
class Press:
    """What messages are made with beside the database, to see how they come out."""

    recommender: sending.Recommends
    links: Links
    sender: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that speaks against the message of a step, in one language. `locales` are all it is true of."""

    step: str
    check: Check
    locales: tuple[str, ...]


def written(definition: Mapping[str, Any], *, reach: Reach) -> list[Fault]:
    """What can be said without rendering anything, the same fault of several languages once."""
    return _once(
        (step, locale, check)
        for step, locale, channel in _versions(definition)
        for check in _written(step, locale, channel, _setting(definition, step, reach))
    )


def come_out(
    conn: sa.Connection, plan: Plan, definition: Mapping[str, Any], press: Press, *, now: datetime
) -> list[Fault]:
    """What can be said of mails as somebody would get them: weight, contrast, pictures, unsubscribing, text. One that
    cannot be written says nothing here: it has a fault, or lacks a field, which is told elsewhere."""
    person = conn.scalar(_SOMEBODY)
    found = []
    for step, locale, channel in _versions(definition):
        if channel == "email":
            try:
                alone = previews.alone(plan, definition, step, locale=locale)
                made = _made(conn, alone, person, step=step["id"], locale=locale, press=press, now=now)
            except (wording.WordingError, Conflict, Invalid):
                continue
            checks = mail_checks.sent(mail_checks.Sent(made.html, made.text, made.headers))
            found += [(step, locale, check) for check in checks]
    return _once(found)


_SOMEBODY = (
    sa.select(customers.c.id).where(customers.c.first_name.is_not(None), customers.c.merged_into.is_(None)).limit(1)
)


def messages(definition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The steps that say something."""
    for found in edits.walk(edits.trimmed(dict(definition))):
        step = found.step
        if step.get("type") == "ask" or step.get("type") == "send" and step.get("channel", "email") in steps.SPEAKING:
            yield step


_Version = tuple[Mapping[str, Any], str, str]


def _versions(definition: Mapping[str, Any]) -> Iterator[_Version]:
    """Every message in every language it is written in, with the channel it is looked at for."""
    for step in messages(definition):
        channel = step.get("channel", "email")
        for locale in content.LOCALES:
            if locale in (step.get("words") or {}):
                yield step, locale, "email" if channel == "best" else channel


def _setting(definition: Mapping[str, Any], step: Mapping[str, Any], reach: Reach) -> Setting:
    about = entries.about(definition.get("entry") or {})
    return Setting(about, content.usable(str(step["type"]), about), reach)


def _written(step: Mapping[str, Any], locale: str, channel: str, of: Setting) -> list[Check]:
    if channel == "email":
        return mail_checks.written(step, locale, of)
    return mail_checks.noted(step, locale, of, channel=channel)


def _made(
    conn: sa.Connection, alone: Plan, person: int | None, *, step: str, locale: str, press: Press, now: datetime
) -> previews.Preview:
    return previews.render(
        conn,
        alone,
        person,
        step=step,
        locale=locale,
        recommender=press.recommender,
        links=press.links,
        sender=press.sender,
        now=now,
    )


def _once(found: Iterable[tuple[Mapping[str, Any], str, Check]]) -> list[Fault]:
    """The faults alone, each with every language it is true of; what holds a launch back comes first."""
    together: dict[tuple[str, str, str], tuple[Check, list[str]]] = {}
    for step, locale, check in found:
        if check.state in FAULTS:
            key = (str(step["id"]), check.word, repr((sorted(check.values.items()), check.block, check.name)))
            together.setdefault(key, (check, []))[1].append(locale)
    faults = [Fault(step, check, tuple(locales)) for (step, _, _), (check, locales) in together.items()]
    return sorted(faults, key=lambda fault: FAULTS.index(fault.check.state))
