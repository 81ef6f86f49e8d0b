"""Why a product is shown, in words."""

import string

import pytest

from recommender import reasons
from recommender.algorithms.base import Kind
from recommender.reasons import Around, Done, Evidence
from recommender.slate import Mark

HARD = "\u00a0"


def regular(every: float, orders: int = 4) -> Evidence:
    return Evidence(done=Done(orders=orders, every=every, strongest=Kind.ORDER))


@pytest.mark.parametrize(
    ("evidence", "english", "french"),
    [
        (regular(12.2), f"You buy this about every 12{HARD}days", f"Vous l’achetez environ tous les 12{HARD}jours"),
        (regular(1.2), "You buy this about every day", "Vous l’achetez environ tous les jours"),
        (regular(28), f"You buy this about every 4{HARD}weeks", f"Vous l’achetez environ toutes les 4{HARD}semaines"),
        (regular(91), f"You buy this about every 3{HARD}months", f"Vous l’achetez environ tous les 3{HARD}mois"),
        (regular(12, orders=2), "You bought this 2 times", f"Vous l’avez acheté 2{HARD}fois"),
        (regular(0, orders=1), "You bought this before", "Vous l’avez déjà acheté"),
        (
            Evidence(done=Done(strongest=Kind.VIEW, views=3)),
            "You looked at this 3 times this month",
            f"Vous l’avez regardé 3{HARD}fois ce mois-ci",
        ),
        (Evidence(done=Done(strongest=Kind.VIEW, views=1)), "You looked at this", "Vous l’avez regardé"),
        (Evidence(done=Done(strongest=Kind.ADD)), "You had this in your basket", "Vous l’aviez mis au panier"),
        (
            Evidence(goes_with="Moka", around=Around.BASKET),
            "Goes with Moka in your basket",
            "Va bien avec Moka, dans votre panier",
        ),
        (Evidence(goes_with="Moka", around=Around.PRODUCT), "Goes with Moka", "Va bien avec Moka"),
        (
            Evidence(goes_with="Moka", around=Around.PAST),
            "Goes with Moka, which you know",
            "Va bien avec Moka, que vous connaissez",
        ),
        (
            Evidence(popular=True, store="Aubier Lyon", category="Pots"),
            "Popular at Aubier Lyon this week",
            "Très demandé cette semaine chez Aubier Lyon",
        ),
        (Evidence(popular=True, category="Pots"), "Popular in Pots", "Très demandé au rayon Pots"),
        (Evidence(popular=True), "Popular this week", "Très demandé cette semaine"),
        (Evidence(mark=Mark.EXPLORED, category="Pots"), "New in Pots", "Nouveau au rayon Pots"),
        (Evidence(mark=Mark.EXPLORED, store="Aubier Lyon"), "New in the shop", "Nouveau en boutique"),
        (Evidence(filled=True), "On our shelves", "Dans nos rayons"),
        (Evidence(filled=True, category="Pots"), "On our shelves, Pots", "Au rayon Pots"),
        (Evidence(mark=Mark.PINNED), "Picked by the shop", "Le choix de la boutique"),
        (Evidence(), "Chosen for you", "Choisi pour vous"),
    ],
)
def test_says_the_strongest_thing_known_in_both_languages(evidence: Evidence, english: str, french: str) -> None:
    assert reasons.say(evidence, "en-GB") == english
    assert reasons.say(evidence, "fr-FR") == french


def test_both_languages_have_the_same_words_with_the_same_gaps() -> None:
    def gaps(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert reasons.WORDS["en"].keys() == reasons.WORDS["fr"].keys()
    for name, text in reasons.WORDS["en"].items():
        assert gaps(text) == gaps(reasons.WORDS["fr"][name]), name


def test_beside_a_basket_what_goes_with_it_is_said_before_what_she_bought() -> None:
    both = Evidence(done=Done(5, 7, 3, Kind.ORDER), goes_with="Moka", around=Around.BASKET)
    assert reasons.say(both, "en") == "Goes with Moka in your basket"


class TestStrangers:
    """Anyone may hold a write key, so what it answers tells nothing of what a customer did."""

    def test_are_told_nothing_of_her_past(self) -> None:
        own = Evidence(done=Done(5, 7, 3, Kind.ORDER), popular=True)
        past = Evidence(goes_with="Moka", around=Around.PAST)
        assert reasons.is_personal(own) and reasons.is_personal(past)
        assert reasons.say(reasons.impersonal(own), "en") == "Popular this week"
        assert reasons.say(reasons.impersonal(past), "en") == "Chosen for you"

    def test_are_told_what_the_page_shows_anyway(self) -> None:
        page = Evidence(goes_with="Moka", around=Around.PRODUCT)
        assert not reasons.is_personal(page) and reasons.impersonal(page) == page
        assert not reasons.is_personal(Evidence(popular=True))
