"""What a customer may agree to on the preference page: each choice in the words she reads, and the consents it keeps.

A tick may be more than one consent (ads elsewhere need two), and one consent may be covered by a no said elsewhere.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import i18n
from campaigns import eligibility
from shop import consent

Pair = tuple[str, str]
"""A channel and a purpose of consent."""
Standing = Mapping[Pair, consent.State]
SOURCE, FORM = "preferences", "preferences/4"
"""The version of the form a consent was given in; changes with its words."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One tick for all its `pairs`, of which those in `given` stand. `topics` are choices within it, which its no
    covers."""

    pairs: tuple[Pair, ...]
    title: str
    text: str
    given: frozenset[Pair]
    idle: bool = False
    """Without effect: her no to personalised suggestions outweighs this yes."""
    topics: tuple["Choice", ...] = ()

    @property
    def name(self) -> str:
        """Its field in the form."""
        return ":".join(self.pairs[0])

    @property
    def granted(self) -> bool:
        """Whether it is ticked."""
        return len(self.given) == len(self.pairs)


_OFFERED: Mapping[tuple[Pair, ...], tuple[str, str]] = {
    (("email", "marketing"),): (
        i18n.N_("E-mails"),
        i18n.N_("Offers, and a word when you left something in your basket."),
    ),
    (("sms", "marketing"),): (i18n.N_("Text messages"), i18n.N_("Rare, and never at night.")),
    (("whatsapp", "marketing"),): (i18n.N_("WhatsApp"), i18n.N_("Rare, and never at night.")),
    (("push", "marketing"),): (i18n.N_("Notifications"), i18n.N_("On the devices where you allowed them.")),
    (("onsite", "marketing"),): (
        i18n.N_("On our pages"),
        i18n.N_("A word for you alone while you visit us, such as what you left in your basket."),
    ),
    (("any", "personalization"),): (
        i18n.N_("Suggestions for you"),
        i18n.N_("Choosing products from what you viewed and bought."),
    ),
    (("ads", "marketing"), ("ads", "personalization")): (
        i18n.N_("Advertising elsewhere"),
        i18n.N_("Showing you our products on other sites, chosen from what you viewed and bought."),
    ),
    (("email", "analytics"),): (i18n.N_("Knowing whether you read"), i18n.N_("Noting that you opened our e-mails.")),
}
_TOPICAL = {
    "email": i18n.N_("Among our e-mails."),
    "sms": i18n.N_("Among our text messages."),
    "whatsapp": i18n.N_("Among our WhatsApp messages."),
    "push": i18n.N_("Among our notifications."),
}
"""Channels whose messages she may choose by topic."""


def offered(standing: Standing, topics: Mapping[str, str]) -> list[Choice]:
    """Every choice, as it stands. `topics` are the merchant's, by their short word."""
    return [_choice(standing, pairs, topics) for pairs in _OFFERED]


def _choice(standing: Standing, pairs: tuple[Pair, ...], topics: Mapping[str, str]) -> Choice:
    title, text = (str(i18n.gettext(said)) for said in _OFFERED[pairs])
    channel, purpose = pairs[0]
    given = frozenset(pair for pair in pairs if _stands(standing, *pair))
    own = frozenset(pair for pair in pairs if standing.get(pair) == consent.State.GRANTED)
    idle = len(own) == len(pairs) and {pair[1] for pair in own - given} == {"personalization"}
    within = topics if channel in _TOPICAL and purpose == "marketing" else {}
    about = tuple(_topic(standing, channel, name, title, within=bool(given)) for name, title in within.items())
    return Choice(pairs, title, text, own if idle else given, idle, about)


def _topic(standing: Standing, channel: str, name: str, title: str, *, within: bool) -> Choice:
    pair = (channel, f"marketing/{name}")
    stands = within and standing.get(pair) != consent.State.DENIED
    return Choice((pair,), title, str(i18n.gettext(_TOPICAL[channel])), frozenset([pair] if stands else []))


def _stands(standing: Standing, channel: str, purpose: str) -> bool:
    """A no anywhere that covers it outweighs every yes; on our own pages none is asked for."""
    said = {standing.get((one, other)) for one in (channel, "any") for other in (purpose, "any")}
    agreed = consent.State.GRANTED in said or channel in eligibility.OWN_PAGES
    return agreed and consent.State.DENIED not in said


def said(
    choices: Sequence[Choice],
    wanted: Collection[str],
    *,
    customer_id: int,
    proof: Mapping[str, Any],
    everything: bool = False,
    now: datetime,
) -> list[consent.Said]:
    """What she changed by ticking `wanted`, each consent with the words she read; with `everything`, her no to all."""
    asked = _asked(choices, wanted)
    changed = [one for one in asked if everything or (not one.granted if one.name in wanted else one.given)]
    return [
        consent.Said(
            customer_id,
            *pair,
            consent.State.GRANTED if one.name in wanted else consent.State.DENIED,
            now,
            SOURCE,
            f"{one.title}. {one.text}",
            FORM,
            proof,
        )
        for one in changed
        for pair in one.pairs
    ]


def _asked(choices: Sequence[Choice], wanted: Collection[str]) -> Iterator[Choice]:
    """A topic of messages that all end is not asked about: the no to all of them covers it."""
    for one in choices:
        yield one
        if one.name in wanted:
            yield from one.topics
