"""The policy as forms: its parts, the fields of each with what they mean, and a form read back into values.

A field is named by the JSON pointer of what it holds (`/channel_caps/email`), so that each fault finds its field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app import i18n
from app.console import forms, sentences
from app.console.forms import Form
from app.i18n import N_
from campaigns import rules
from campaigns.rules import Policy
from foundation.errors import Fault

CHANNELS = ("email", "push", "sms", "whatsapp", "onsite")
TOPICS = 8
"""Lines for topics that a form has, filled or not."""
WARM_UP = ("begins", "first_day", "factor")


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the policy: how it is asked for, and what it means. `kind` is the macro that draws it."""

    name: str
    kind: str
    label: str
    hint: str = ""
    suffix: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One page of the policy: fields that are decided together and saved together."""

    name: str
    icon: str
    title: str
    lede: str
    fields: tuple[Field, ...] = field(default=())


PARTS = (
    Part(
        "shop",
        "store",
        N_("The shop"),
        N_("Who writes, and what every mail says of the sender."),
        (
            Field("shop_name", "text", N_("Name of the shop"), N_("as customers read it in messages")),
            Field(
                "sender",
                "text",
                N_("Sender"),
                N_("such as Maison Aubier &lt;bonjour@maison-aubier.fr&gt;; empty takes that of the installation"),
            ),
            Field("postal_address", "text", N_("Postal address"), N_("the law wants it at the foot of every mail")),
            Field("privacy_url", "text", N_("Privacy notice"), N_("its web address, linked at the foot of every mail")),
            Field(
                "timezone", "text", N_("Time zone"), N_("for customers whose own is not known, such as Europe/Paris")
            ),
            Field(
                "link_hosts",
                "lines",
                N_("Sites links may lead to"),
                N_("one host a line, such as shop.example; empty lets them lead wherever you and your catalogue say"),
            ),
        ),
    ),
    Part(
        "pressure",
        "scale",
        N_("Pressure"),
        N_("How often one customer may be written to, all campaigns together."),
        (
            Field(
                "cap_messages",
                "number",
                N_("At most"),
                N_("messages to one customer; 0 sends no marketing"),
                N_("messages"),
            ),
            Field("cap_days", "number", N_("Within"), N_("the days the cap counts over, ending now"), N_("days")),
            Field(
                "channel_caps",
                "channels",
                N_("Fewer by a channel"),
                N_("over the same days; empty leaves the cap above alone"),
            ),
            Field(
                "holdout_percent",
                "number",
                N_("Global holdout"),
                N_("of all customers get no marketing, always the same ones: so is measured what all of it causes"),
                "%",
            ),
        ),
    ),
    Part(
        "hours",
        "moon",
        N_("Hours"),
        N_("When nobody is disturbed, on the clock of each customer."),
        (
            Field(
                "quiet_from",
                "time",
                N_("Quiet from"),
                N_("what is due in between waits for the end; empty both for none"),
            ),
            Field("quiet_until", "time", N_("Quiet until")),
            Field(
                "sms_hours",
                "tick",
                N_("Text messages keep the legal hours"),
                N_("in France 8 to 20 h, and none on Sundays and public holidays"),
            ),
            Field(
                "alsace", "tick", N_("The holidays of Alsace and Moselle count too"), N_("Good Friday and 26 December")
            ),
            Field(
                "sms_stop",
                "text",
                N_("Number for STOP"),
                N_("people send STOP to it; empty when they answer the message itself"),
            ),
        ),
    ),
    Part(
        "measuring",
        "scan-eye",
        N_("Measuring"),
        N_("What may be known of who reads and clicks."),
        (
            Field(
                "opens",
                "choice",
                N_("Opens"),
                N_("a picture in the mail tells that it was opened; the French authority wants a yes for it"),
                options=(
                    ("off", N_("of nobody")),
                    ("hygiene", N_("the day of the last one alone, to leave silent addresses in peace")),
                    ("consent", N_("of who agreed")),
                ),
            ),
            Field(
                "silence_days",
                "number",
                N_("Silent after"),
                N_("no open, click, visit or order while mails came: then no more marketing mails; 0 for never"),
                N_("days"),
            ),
            Field(
                "track_clicks",
                "choice",
                N_("Clicks"),
                N_("without a link of her own a click is counted, but not whose it was"),
                options=(("everyone", N_("of everybody")), ("consent", N_("of who agreed"))),
            ),
            Field(
                "attribution_days",
                "number",
                N_("A click counts for"),
                N_("orders within so many days after it are credited to the message"),
                N_("days"),
            ),
        ),
    ),
    Part(
        "topics",
        "text",
        N_("Topics"),
        N_("What people may choose to hear about on their preference page."),
        (
            Field(
                "topics",
                "topics",
                N_("Topics"),
                N_("a short word campaigns know it by, and the title people read; an empty line takes a topic away"),
            ),
        ),
    ),
    Part(
        "sending",
        "send",
        N_("Sending"),
        N_("How fast messages leave, and what stops them."),
        (
            Field(
                "channel_rates",
                "channels",
                N_("Messages a second"),
                N_("the most a channel hands over; empty for its own pace"),
            ),
            Field(
                "host_rates",
                "hosts",
                N_("Mails a second, by mailbox host"),
                N_("the most one group of hosts gets; what is over it waits a moment, the others do not"),
            ),
            Field(
                "late_hours",
                "number",
                N_("Too late after"),
                N_("what should have left longer ago waits for somebody to decide"),
                N_("hours"),
            ),
            Field(
                "approval_above",
                "number",
                N_("A second yes above"),
                N_("messages in a day: another person has to approve such a campaign before it starts; 0 for never"),
                N_("messages"),
            ),
            Field(
                "warm_up",
                "warm_up",
                N_("Warm-up of a new sender"),
                N_("mailbox hosts distrust who sends much on the first day; empty once the sender is known"),
            ),
            Field("guard_bounces", "number", N_("Pause a campaign when"), N_("of what it sent has bounced"), "%"),
            Field("guard_complaints", "number", N_("Or when"), N_("was complained about"), "%"),
            Field("guard_failures", "number", N_("Or when "), N_("could not be sent"), "%"),
        ),
    ),
    Part(
        "money",
        "ticket-percent",
        N_("Costs"),
        N_("What reports reckon with."),
        (
            Field(
                "margin_percent",
                "number",
                N_("Margin"),
                N_("what you keep of a product whose cost the catalogue does not tell"),
                "%",
            ),
            Field(
                "message_prices",
                "channels",
                N_("A message costs"),
                N_("in cents; empty costs nothing by the piece"),
                N_("cents"),
            ),
        ),
    ),
    Part(
        "retention",
        "history",
        N_("Retention"),
        N_("How long what is kept for a time is kept. Customers and their orders stay until you erase them."),
        (
            Field(
                "keep_days",
                "days",
                N_("Forgotten after"),
                N_("every night at 4:20 UTC; empty for the days shown in grey"),
                N_("days"),
            ),
        ),
    ),
)
KEPT = {
    "refused_events": N_("Refused events"),
    "event_counts": N_("Counts of events by the minute"),
    "slates": N_("Recommendations shown, and what was clicked"),
    "segment_moves": N_("Who entered and left segments"),
    "calls": N_("Calls to other programs and ad platforms"),
    "change_log": N_("The log of changes"),
}


HOSTS = {
    "gmail": "Gmail",
    "outlook": "Outlook, Hotmail",
    "yahoo": "Yahoo",
    "apple": "Apple",
    "orange": "Orange, Wanadoo",
    "free": "Free",
    "sfr": "SFR",
    "laposte": "La Poste",
    "other": N_("All others"),
}
_NAMED: Mapping[str, tuple[str, ...]] = {
    "channels": CHANNELS,
    "hosts": tuple(HOSTS),
    "days": tuple(KEPT),
    "warm_up": WARM_UP,
}
"""Fields of several inputs, by the names of these."""


def part(name: str) -> Part | None:
    """The part of this name."""
    return next((one for one in PARTS if one.name == name), None)


def of_policy(policy: Policy, shown: Part) -> Form:
    """The form of one part as it stands."""
    values = rules.dump(policy)
    return Form({name: text for one in shown.fields for name, text in _inputs(one, values[one.name])})


def _inputs(one: Field, value: Any) -> Iterator[tuple[str, str]]:
    """Every input of a field, and what it shows."""
    place = f"/{one.name}"
    if one.kind in _NAMED:
        for name in _NAMED[one.kind]:
            yield f"{place}/{name}", _shown((value or {}).get(name))
    elif one.kind == "topics":
        lines = [*value.items(), *[("", "")] * TOPICS][: max(TOPICS, len(value) + 2)]
        for n, (word, title) in enumerate(lines):
            yield f"{place}/{n}/word", word
            yield f"{place}/{n}/title", title
    elif one.kind == "lines":
        yield place, "\n".join(value)
    elif one.kind == "tick":
        yield place, "on" if value else ""
    else:
        yield place, _shown(value)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def asked(given: Mapping[str, str], shown: Part) -> dict[str, Any]:
    """What a form of one part asks for, as JSON; what is no number stays text, so that its fault is found too."""
    return {one.name: _read(one, given) for one in shown.fields}


def _read(one: Field, given: Mapping[str, str]) -> Any:
    place = f"/{one.name}"
    text = given.get(place, "").replace("\r\n", "\n").strip()
    if one.kind == "tick":
        return text == "on"
    if one.kind == "lines":
        return [line.strip() for line in text.split("\n") if line.strip()]
    if one.kind == "number":
        return _number(text)
    if one.kind == "topics":
        pairs = (
            (given.get(f"{place}/{n}/word", "").strip(), given.get(f"{place}/{n}/title", "").strip()) for n in range(40)
        )
        return {word: title for word, title in pairs if word or title}
    if one.kind in _NAMED:
        parts = {name: given.get(f"{place}/{name}", "").strip() for name in _NAMED[one.kind]}
        told = {name: part if name == "begins" else _number(part) for name, part in parts.items() if part}
        return told or (None if one.kind == "warm_up" else {})
    return text


def _number(text: str) -> int | float | str:
    return forms.number(text.replace(" ", "").replace("\u202f", "").replace("\xa0", "").replace(",", "."))


def with_faults(given: Mapping[str, str], faults: Sequence[Fault], shown: Part) -> Form:
    """The form as it was sent, each fault at its field; `""` holds what concerns none of this part."""
    names = {one.name for one in shown.fields}
    placed: dict[str, str] = {}
    for fault in faults:
        name = fault.pointer.strip("/").split("/")[0]
        sentence = i18n.gettext("This value %(fault)s.", fault=sentences.said(fault.detail))
        placed.setdefault(f"/{name}" if name in names else "", sentence)
    return Form(dict(given), placed)


def changed(before: Policy, after: Policy, shown: Part) -> dict[str, list[Any]]:
    """The values of a part that differ: what each was and is."""
    old, new = rules.dump(before), rules.dump(after)
    return {one.name: [old[one.name], new[one.name]] for one in shown.fields if old[one.name] != new[one.name]}


def fingerprint(policy: Policy, shown: Part) -> str:
    """A short word for what a part holds: another one means that somebody changed it."""
    return forms.fingerprint([rules.dump(policy)[one.name] for one in shown.fields])
