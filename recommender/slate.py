"""Candidates in, slate out: what is for sale, not too much of one thing, and a reason for each product. Pure."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from recommender.algorithms.base import UNCATEGORISED, Kind

AHEAD = 3
"""Times as many products are ranked as are shown: some are not for sale, some too much of one thing."""

PER_CATEGORY = 3
"""Most products of one category, as long as there are others."""

REASONS = {
    "en": {
        "bought_often": "You bought this {times} times",
        "bought": "You bought this before",
        "carted": "You had this in your basket",
        "viewed": "You looked at this",
        "goes_with": "Goes with {title}",
        "chosen": "Chosen for you",
        "popular": "Popular this month",
        "new": "New in the shop",
    },
    "fr": {
        "bought_often": "Vous l’avez acheté {times} fois",
        "bought": "Vous l’avez déjà acheté",
        "carted": "Vous l’aviez mis au panier",
        "viewed": "Vous l’avez regardé",
        "goes_with": "Va bien avec {title}",
        "chosen": "Choisi pour vous",
        "popular": "Très demandé ce mois-ci",
        "new": "Nouveau en boutique",
    },
}
"""What a customer reads, by locale."""


@dataclass(frozen=True, slots=True)
class Product:
    """What a slate shows of a product for sale. `price` is in minor units of `currency`."""

    product_id: str
    title: str
    category: str | None
    price: int | None
    currency: str | None
    url: str | None
    image_url: str | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A product proposed, and what its reason is made of: orders of it, the strongest thing done, what it goes with.

    `personal`: it says something of who is asking.
    """

    product_id: str
    source: str
    score: float
    personal: bool = False
    orders: int = 0
    strongest: Kind = Kind.VIEW
    goes_with: str | None = None


@dataclass(frozen=True, slots=True)
class SlateItem:
    """One product shown, where it came from and why."""

    product_id: str
    title: str
    url: str | None
    image_url: str | None
    price: int | None
    currency: str | None
    reason: str
    source: str
    score: float
    personal: bool


def compose(
    proposals: Sequence[Proposal],
    for_sale: Mapping[str, Product],
    *,
    n: int,
    titles: Mapping[str, str],
    locale: str,
) -> tuple[SlateItem, ...]:
    """The first `n` proposals that are for sale, varied. Exactly `n` come back while `n` of them are for sale.

    :param titles: of products that reasons may name
    """
    eligible = [proposal for proposal in proposals if proposal.product_id in for_sale]
    chosen = spread([for_sale[proposal.product_id].category for proposal in eligible], n)
    words = REASONS.get(locale, REASONS["en"])
    return tuple(
        _item(eligible[place], for_sale[eligible[place].product_id], reason=_reason(eligible[place], titles, words))
        for place in chosen
    )


def told_to_strangers(item: SlateItem, *, locale: str) -> SlateItem:
    """The item without anything that tells what a customer did."""
    if not item.personal:
        return item
    return replace(item, reason=REASONS.get(locale, REASONS["en"])["chosen"], source="chosen", score=0.0)


def spread(categories: Sequence[Hashable], n: int) -> list[int]:
    """Places of the first `n`, at most three of a category; if that leaves fewer than `n`, the others in their turn."""
    taken: list[int] = []
    passed: list[int] = []
    seen: dict[Hashable, int] = {}
    for place, category in enumerate(categories):
        if len(taken) == n:
            return taken
        count = seen.get(category, 0)
        if count < PER_CATEGORY or category in (None, UNCATEGORISED):
            taken.append(place)
            seen[category] = count + 1
        else:
            passed.append(place)
    return taken + passed[: n - len(taken)]


def _item(proposal: Proposal, product: Product, *, reason: str) -> SlateItem:
    return SlateItem(
        product_id=product.product_id,
        title=product.title,
        url=product.url,
        image_url=product.image_url,
        price=product.price,
        currency=product.currency,
        reason=reason,
        source=proposal.source,
        score=round(proposal.score, 4),
        personal=proposal.personal,
    )


def _reason(proposal: Proposal, titles: Mapping[str, str], words: Mapping[str, str]) -> str:
    if proposal.source == "history":
        return _own(proposal, words)
    if proposal.goes_with and proposal.goes_with in titles:
        return words["goes_with"].format(title=titles[proposal.goes_with])
    return words[{"popularity": "popular", "new": "new"}.get(proposal.source, "chosen")]


def _own(proposal: Proposal, words: Mapping[str, str]) -> str:
    if proposal.orders > 1:
        return words["bought_often"].format(times=proposal.orders)
    return words[{Kind.VIEW: "viewed", Kind.ADD: "carted", Kind.ORDER: "bought"}[proposal.strongest]]
