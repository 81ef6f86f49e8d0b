"""A campaign told in sentences: how customers come in, each step, and when it is over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app import i18n
from app.console import journey_words, words
from app.i18n import N_
from campaigns.definitions import steps
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
    return journey_words.lasting(duration)


def entry(of: Entry) -> str:
    """How customers come in."""
    return journey_words.plain(journey_words.entry(_said(of)))


def step_said(step: Step) -> tuple[str, str]:
    """A step as an icon and a sentence."""
    icon, said = journey_words.step(_said(step))
    return icon, journey_words.plain(said)


def _said(part: Entry | Step) -> dict[str, Any]:
    return part.model_dump(mode="json")


READY = {
    "cart-relaunch": N_("Basket relaunch in one message"),
    "basket-relaunch": N_("Basket relaunch in three steps"),
    "basket-everywhere": N_("A basket, by every channel"),
    "product-page": N_("Product page abandonment"),
    "double-opt-in": N_("Double opt-in: a yes said twice"),
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


def _steps(sequence: Sequence[Step], depth: int) -> Iterator[Sentence]:
    for step in sequence:
        icon, text = step_said(step)
        yield Sentence(depth, icon, text, step.id)
        names = journey_words.ways(_said(step))
        for name, inner in zip(names, (inner for _, inner in steps.branches(step)), strict=True):
            yield Sentence(depth + 1, "chevron-right", name)
            yield from _steps(inner, depth + 2)


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
