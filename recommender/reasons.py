"""Why a product is shown, as one would say it at the counter, in French and in English; built from evidence. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from foundation.format import HARD
from recommender.algorithms.base import Kind
from recommender.slate import Mark

RHYTHM_ORDERS = 3
"""Orders from which a customer is told how often she buys a thing: two have one gap, which is no habit."""


class Around(StrEnum):
    """What a slate is shown beside."""

    PRODUCT = "product"
    BASKET = "basket"
    PAST = "past"  # her own past, as nothing is being looked at


@dataclass(frozen=True, slots=True)
class Done:
    """What a customer did with one product. `every` is the mean of days between its orders, 0 for fewer than two."""

    orders: int = 0
    every: float = 0.0
    since: float = 0.0
    strongest: Kind | None = None
    views: int = 0


NOTHING_DONE = Done()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of why a product is on a slate.

    `goes_with` is the title of the product it goes with, and `around` where that is. `popular`: it is there because
    many want it; `filled`: because the shop has it and places were left. `store` is the name of the shop and `category`
    the last part of the path the reason may name.
    """

    mark: Mark = Mark.RANKED
    done: Done = NOTHING_DONE
    goes_with: str | None = None
    around: Around = Around.PAST
    popular: bool = False
    filled: bool = False
    store: str | None = None
    category: str | None = None


def is_personal(evidence: Evidence) -> bool:
    """Whether the reason tells something of what this customer did."""
    own = evidence.done.strongest is not None
    return evidence.mark is Mark.RANKED and (own or (evidence.goes_with is not None and evidence.around is Around.PAST))


def impersonal(evidence: Evidence) -> Evidence:
    """The same without anything that tells what this customer did."""
    known = replace(evidence, done=NOTHING_DONE)
    return replace(known, goes_with=None) if evidence.around is Around.PAST else known


def say(evidence: Evidence, locale: str) -> str:
    """The strongest thing that can be said, in the customer's language."""
    words = WORDS["fr" if locale.startswith("fr") else "en"]
    if evidence.mark is Mark.PINNED:
        return words["pinned"]
    if evidence.mark is Mark.EXPLORED:
        return _placed(words, "new", evidence)
    if evidence.goes_with and evidence.around is not Around.PAST:
        return words[f"with_{evidence.around}"].format(title=evidence.goes_with)
    if evidence.done.strongest is not None:
        return _own(evidence.done, words)
    if evidence.goes_with:
        return words["with_past"].format(title=evidence.goes_with)
    if evidence.popular:
        return _placed(words, "popular", evidence)
    if evidence.filled:
        return _placed(words, "shelf", evidence)
    return words["chosen"]


def _placed(words: Mapping[str, str], name: str, evidence: Evidence) -> str:
    """With the shop or the department, if one is known."""
    if evidence.store and f"{name}_store" in words:
        return words[f"{name}_store"].format(store=evidence.store)
    if evidence.category:
        return words[f"{name}_category"].format(category=evidence.category)
    return words[name]


def _own(done: Done, words: Mapping[str, str]) -> str:
    if done.orders >= RHYTHM_ORDERS and done.every >= 1:
        return words["rhythm"].format(every=_every(done.every, words))
    if done.orders > 1:
        return words["times"].format(times=done.orders)
    if done.strongest is Kind.VIEW and done.views > 2:
        return words["views"].format(times=done.views)
    return words[{Kind.VIEW: "viewed", Kind.ADD: "carted", Kind.ORDER: "bought"}[done.strongest or Kind.VIEW]]


def _every(days: float, words: Mapping[str, str]) -> str:
    """A span as people say it: days up to three weeks, then weeks up to two months, then months."""
    for limit, unit, name in ((21, 1.0, "day"), (60, 7.0, "week"), (math.inf, 30.44, "month")):
        if days < limit:
            count = max(1, round(days / unit))
            return words[name] if count == 1 else words[f"{name}s"].format(n=f"{count}{HARD}")
    raise AssertionError("every span has a unit")


WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "rhythm": "You buy this about {every}",
        "day": "every day",
        "days": "every {n}days",
        "week": "every week",
        "weeks": "every {n}weeks",
        "month": "every month",
        "months": "every {n}months",
        "times": "You bought this {times} times",
        "bought": "You bought this before",
        "carted": "You had this in your basket",
        "viewed": "You looked at this",
        "views": "You looked at this {times} times this month",
        "with_basket": "Goes with {title} in your basket",
        "with_product": "Goes with {title}",
        "with_past": "Goes with {title}, which you know",
        "popular": "Popular this week",
        "popular_store": "Popular at {store} this week",
        "popular_category": "Popular in {category}",
        "shelf": "On our shelves",
        "shelf_category": "On our shelves, {category}",
        "new": "New in the shop",
        "new_category": "New in {category}",
        "pinned": "Picked by the shop",
        "chosen": "Chosen for you",
    },
    "fr": {
        "rhythm": "Vous l’achetez environ {every}",
        "day": "tous les jours",
        "days": "tous les {n}jours",
        "week": "toutes les semaines",
        "weeks": "toutes les {n}semaines",
        "month": "tous les mois",
        "months": "tous les {n}mois",
        "times": f"Vous l’avez acheté {{times}}{HARD}fois",
        "bought": "Vous l’avez déjà acheté",
        "carted": "Vous l’aviez mis au panier",
        "viewed": "Vous l’avez regardé",
        "views": f"Vous l’avez regardé {{times}}{HARD}fois ce mois-ci",
        "with_basket": "Va bien avec {title}, dans votre panier",
        "with_product": "Va bien avec {title}",
        "with_past": "Va bien avec {title}, que vous connaissez",
        "popular": "Très demandé cette semaine",
        "popular_store": "Très demandé cette semaine chez {store}",
        "popular_category": "Très demandé au rayon {category}",
        "shelf": "Dans nos rayons",
        "shelf_category": "Au rayon {category}",
        "new": "Nouveau en boutique",
        "new_category": "Nouveau au rayon {category}",
        "pinned": "Le choix de la boutique",
        "chosen": "Choisi pour vous",
    },
}
"""What a customer reads, by locale."""
