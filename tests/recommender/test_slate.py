"""Candidates in, slate out."""

from recommender import slate
from recommender.algorithms.base import Kind
from recommender.slate import Product, Proposal


def product(product_id: str, category: str | None = None) -> Product:
    return Product(product_id, product_id.title(), category, 500, "EUR", None, None)


def composed(*proposals: Proposal, n: int = 12, locale: str = "en", titles: dict[str, str] | None = None) -> list[str]:
    for_sale = {proposal.product_id: product(proposal.product_id) for proposal in proposals}
    items = slate.compose(proposals, for_sale, n=n, titles=titles or {}, locale=locale)
    return [item.reason for item in items]


class TestSpread:
    def test_takes_three_of_a_category_while_there_are_others(self) -> None:
        assert slate.spread(["a", "a", "a", "a", "b", "c"], 5) == [0, 1, 2, 4, 5]

    def test_takes_more_of_it_rather_than_leave_places_empty(self) -> None:
        assert slate.spread(["a", "a", "a", "a", "a", "b"], 5) == [0, 1, 2, 5, 3]

    def test_does_not_hold_products_without_category_for_one_category(self) -> None:
        assert slate.spread([None, None, None, None, None], 4) == [0, 1, 2, 3]


class TestReasons:
    def test_say_how_often_it_was_bought(self) -> None:
        assert composed(Proposal("p", "history", 1, orders=4, strongest=Kind.ORDER)) == ["You bought this 4 times"]

    def test_speak_french(self) -> None:
        bought = Proposal("p", "history", 1, orders=4, strongest=Kind.ORDER)
        assert composed(bought, locale="fr") == ["Vous l’avez acheté 4 fois"]

    def test_tell_a_view_from_a_basket_from_an_order(self) -> None:
        kinds = [Proposal(kind.name, "history", 1, strongest=kind, orders=kind is Kind.ORDER) for kind in Kind]
        assert composed(*kinds) == ["You looked at this", "You had this in your basket", "You bought this before"]

    def test_name_what_it_goes_with_if_that_has_a_name(self) -> None:
        pair = Proposal("p", "als", 1, goes_with="q")
        assert composed(pair, titles={"q": "Copper pan"}) == ["Goes with Copper pan"]
        assert composed(pair) == ["Chosen for you"]

    def test_exist_in_every_language_for_every_source(self) -> None:
        assert slate.REASONS["en"].keys() == slate.REASONS["fr"].keys()


def test_strangers_are_told_nothing_of_what_she_bought() -> None:
    for_sale = {name: product(name) for name in ("mine", "everyones")}
    mine = Proposal("mine", "history", 0.9, personal=True, orders=4, strongest=Kind.ORDER)
    items = slate.compose([mine, Proposal("everyones", "popularity", 0.5)], for_sale, n=2, titles={}, locale="en")
    told = [slate.told_to_strangers(item, locale="en") for item in items]
    assert [(item.reason, item.source, item.score) for item in told] == [
        ("Chosen for you", "chosen", 0.0),
        ("Popular this month", "popularity", 0.5),
    ]


def test_what_is_not_for_sale_is_not_shown() -> None:
    items = slate.compose(
        [Proposal("gone", "popularity", 1), Proposal("here", "popularity", 0.5)],
        {"here": product("here")},
        n=2,
        titles={},
        locale="en",
    )
    assert [item.product_id for item in items] == ["here"]
