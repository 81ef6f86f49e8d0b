"""A campaign told in sentences: how customers come in, each step, and when it is over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app import i18n
from app.console import words
from app.i18n import N_
from campaigns.definitions import entries, steps
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.entries import Entry
from campaigns.definitions.steps import Step


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of the story: how deep in branches it stands, its icon, and the id of its step."""

    depth: int
    icon: str
    text: str
    step: str = ""


def told(definition: Campaign) -> list[Sentence]:
    """The whole campaign, a line a step."""
    return [
        Sentence(0, "log-in", entry(definition.entry)),
        *_steps(definition.steps, 0),
        *_end(definition),
    ]


def lasting(duration: str) -> str:
    """A length of time in words."""
    number, unit = int(duration[:-1]), duration[-1]
    said = {
        "m": i18n.ngettext("%(n)s minute", "%(n)s minutes", number),
        "h": i18n.ngettext("%(n)s hour", "%(n)s hours", number),
        "d": i18n.ngettext("%(n)s day", "%(n)s days", number),
        "w": i18n.ngettext("%(n)s week", "%(n)s weeks", number),
    }
    return said[unit]


def entry(of: Entry) -> str:
    """How customers come in."""
    match of:
        case entries.CartAbandoned(delay=delay):
            return i18n.gettext("A basket is left behind for %(time)s and not bought anywhere", time=lasting(delay))
        case entries.EventEntry(event=event):
            return i18n.gettext("It happens: %(event)s", event=_event(event))
        case entries.SegmentEntry(type=kind, segment=name):
            return i18n.gettext(_SEGMENT[kind], name=name)
        case entries.Schedule(every=every, on=day, at=at):
            return i18n.gettext(EVERY[every], day=day, at=at)
        case entries.DateEntry(days_before=days, trait=trait, at=at):
            return i18n.gettext(
                "%(days)s days before the date in “%(trait)s”, at %(at)s", days=days, trait=trait, at=at
            )
    return _of_product(of)


def _of_product(of: Entry) -> str:
    match of:
        case entries.ProductAbandoned(delay=delay):
            return i18n.gettext("A product was looked at and left for %(time)s", time=lasting(delay))
        case entries.PriceDropped(percent=percent):
            return i18n.gettext("A product looked at lately costs at least %(percent)s %% less", percent=percent)
    return i18n.gettext("A product looked at lately can be had again")


_SEGMENT = {
    "segment_entered": N_("Somebody enters the segment “%(name)s”"),
    "segment_left": N_("Somebody leaves the segment “%(name)s”"),
}
READY = {
    "cart-relaunch": N_("Basket relaunch in one message"),
    "basket-relaunch": N_("Basket relaunch in three steps"),
    "product-page": N_("Product page abandonment"),
    "welcome": N_("Welcome"),
    "review-request": N_("Review request after a purchase"),
    "replenishment": N_("Replenishment"),
    "win-back": N_("Win-back"),
    "birthday": N_("Birthday"),
    "back-in-stock": N_("Back in stock"),
    "price-drop": N_("Price drop"),
    "loyalty-tier": N_("Loyalty tier reached"),
}


def ready_title(name: str) -> str:
    """A ready-made campaign's title in the reader's language."""
    return i18n.gettext(READY[name])


EVERY = {
    "once": N_("Once, on %(day)s at %(at)s, for everybody of its audience"),
    "day": N_("Every day from %(day)s at %(at)s, for everybody of its audience"),
    "week": N_("Every week from %(day)s at %(at)s, for everybody of its audience"),
    "month": N_("Every month from %(day)s at %(at)s, for everybody of its audience"),
}


def _steps(sequence: Sequence[Step], depth: int) -> Iterator[Sentence]:
    for step in sequence:
        icon, text = step_said(step)
        yield Sentence(depth, icon, text, step.id)
        for name, inner in zip(_ways(step), (inner for _, inner in steps.branches(step)), strict=True):
            yield Sentence(depth + 1, "chevron-right", name)
            yield from _steps(inner, depth + 2)


def step_said(step: Step) -> tuple[str, str]:
    """A step as an icon and a sentence."""
    match step:
        case steps.Wait(duration=duration):
            return "clock", i18n.gettext("Wait %(time)s", time=lasting(duration))
        case steps.WaitUntil(at=at):
            return "clock", i18n.gettext("Wait until it is %(at)s", at=at)
        case steps.WaitFor(event=event, timeout=timeout):
            event = _event(event)
            return "hourglass", i18n.gettext(
                "Wait for: %(event)s, at most %(time)s", event=event, time=lasting(timeout)
            )
        case steps.Split():
            return "route", i18n.gettext("Go different ways")
        case steps.Experiment():
            return "route", i18n.gettext("Try variants, drawn by chance")
    return _act_said(step)


def _act_said(step: Step) -> tuple[str, str]:
    match step:
        case steps.Send(channel=by):
            return "send", i18n.gettext("Send by %(channel)s", channel=channel(by))
        case steps.Ask(channel=by):
            return "message-square", i18n.gettext("Ask a question by %(channel)s", channel=channel(by))
        case steps.SetTrait(trait=trait, value=value):
            return "id-card", i18n.gettext("Set “%(trait)s” to %(value)s", trait=trait, value=value)
        case steps.Webhook(url=url):
            return "globe", i18n.gettext("Tell %(url)s", url=url)
    return "log-in", i18n.gettext("The journey ends here")


def channel(name: str) -> str:
    """A channel of a step in words."""
    own = {
        "best": i18n.gettext("the channel each answers best"),
        "audience_in": i18n.gettext("adding to an audience"),
        "audience_out": i18n.gettext("removing from an audience"),
    }
    return own.get(name) or words.word(words.CHANNEL, name).word


def _ways(step: Step) -> list[str]:
    """What each branch of a step is for."""
    match step:
        case steps.WaitFor():
            return [i18n.gettext("If it comes"), i18n.gettext("If it does not")]
        case steps.Split():
            return [*(branch.name for branch in step.branches), i18n.gettext("Everybody else")]
        case steps.Experiment():
            total = sum(variant.weight for variant in step.variants)
            return [f"{variant.name}, {100 * variant.weight // total} %" for variant in step.variants]
    return []


def _end(definition: Campaign) -> Iterator[Sentence]:
    if definition.goal:
        goal = definition.goal
        said = i18n.gettext("Goal, which ends it at any time: %(event)s", event=_event(goal.event))
        within = i18n.gettext("counted for %(time)s", time=lasting(goal.within)) if goal.within else ""
        yield Sentence(0, "target", ", ".join(filter(None, [said, within])))
    for watch in definition.exit_on:
        yield Sentence(0, "ban", i18n.gettext("It also ends when it happens: %(event)s", event=_event(watch.event)))


def _event(name: str) -> str:
    return words.word(words.EVENT, name).word
