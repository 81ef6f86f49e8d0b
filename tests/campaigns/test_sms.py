"""Text messages before they leave and after they are answered: what they weigh, and what people mean."""

import pytest
from hypothesis import given, strategies

from campaigns import rules, sms_text, sms_words
from campaigns.sms_text import Alphabet
from campaigns.sms_words import Wish


@pytest.mark.parametrize(
    ("text", "alphabet", "places", "parts"),
    [
        ("", "gsm-7", 0, 1),
        ("a" * 160, "gsm-7", 160, 1),
        ("a" * 161, "gsm-7", 161, 2),
        ("a" * 306, "gsm-7", 306, 2),
        ("a" * 307, "gsm-7", 307, 3),
        ("é" * 160, "gsm-7", 160, 1),
        ("€" * 80, "gsm-7", 160, 1),
        ("€" * 81, "gsm-7", 162, 2),
        ("a" * 152 + "€" + "a" * 10, "gsm-7", 164, 2),
        ("ê" * 70, "ucs-2", 70, 1),
        ("ê" * 71, "ucs-2", 71, 2),
        ("ê" * 134, "ucs-2", 134, 2),
        ("ê" * 135, "ucs-2", 135, 3),
        ("😀" * 35, "ucs-2", 70, 1),
        ("😀" * 36, "ucs-2", 72, 2),
        ("a" * 66 + "😀" + "a" * 10, "ucs-2", 78, 2),
        ("ç", "ucs-2", 1, 1),
        ("Ç", "gsm-7", 1, 1),
    ],
)
def test_a_text_weighs_what_networks_count(text: str, alphabet: str, places: int, parts: int) -> None:
    weight = sms_text.weigh(text)
    assert (weight.alphabet, weight.places, weight.parts) == (alphabet, places, parts)


def test_a_letter_of_two_places_is_never_divided() -> None:
    """153 places a part: an escape at the end of one would cut the euro in two."""
    assert sms_text.weigh("a" * 152 + "€" * 80).parts == 3


def test_letters_that_force_unicode_are_named_and_cost_is_told_before_launch() -> None:
    weight = sms_text.weigh("Une fenêtre, ça s'ouvre ; reçu !" * 3)
    assert weight.alphabet is Alphabet.UNICODE and weight.forcing == ("ê", "ç")
    assert rules.Policy(message_prices={"sms": 5.0}).price("sms", weight.parts) == 10.0


def test_words_are_weighed_before_launch_with_what_will_stand_in_them() -> None:
    plain = sms_text.expected(
        "Bonjour {{ customer.first_name }}, votre panier attend.", shop="Aubier", closing="STOP au 36180"
    )
    assert (plain.alphabet, plain.parts, plain.forcing) == (Alphabet.GSM, 1, ())
    dear = sms_text.expected("{% if x %}Fenêtre{% endif %} " + "a" * 40, shop="Aubier", closing="STOP au 36180")
    assert (dear.alphabet, dear.parts, dear.forcing) == (Alphabet.UNICODE, 2, ("ê",))


def test_typographers_letters_are_written_as_a_telephone_has_them() -> None:
    said = sms_text.plain("«\u00a0L\u2019œuf\u00a0» \u2014 10\u202f% de remise\u2026")
    assert said == '" L\'oeuf " - 10 % de remise...'
    assert sms_text.weigh(said).alphabet is Alphabet.GSM


@given(strategies.text(max_size=500))
def test_every_text_has_a_weight_and_parts_hold_it(text: str) -> None:
    weight = sms_text.weigh(text)
    alone, each = sms_text.ROOM[weight.alphabet]
    assert weight.parts >= 1
    assert weight.places <= (alone if weight.parts == 1 else weight.parts * each)


STOPS = (
    "STOP stop Stop StOp STOP. stop! «STOP» 'stop' (stop) STOP\u00a0 \nstop S.T.O.P S-T-O-P s t o p st0p "
    "ARRET arrêt ARRÊT. Arrete Arrêter ARRETEZ stopall STOPSMS UNSUBSCRIBE Unsub CANCEL End QUIT optout "
    "désabonner DÉSABONNEMENT désinscription Désinscrire résilier REMOVE Revoke baja"
).split(" ")
SPELLINGS = [
    *[word for word in STOPS if word and word not in ("s", "t", "o", "p")],
    "s t o p",
    "stop pub",
    "STOP svp",
    "Stop merci de ne plus m'écrire",
    "stop all",
    "opt out",
    "opt-out",
    "Ne plus recevoir",
    "plus de sms",
    "no more",
    "Please stop",
    "ＳＴＯＰ",
    "STOP😡",
    "36180 STOP",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_stop_is_understood_however_it_is_spelt(text: str) -> None:
    assert sms_words.wish(text) is Wish.STOP, text


def test_forty_spellings_are_tried() -> None:
    assert len(set(SPELLINGS)) >= 40


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("START", Wish.START),
        ("oui", Wish.START),
        ("Bonjour, à quelle heure fermez-vous ?", Wish.OTHER),
        ("Je voudrais un stop de porte", Wish.OTHER),
        ("stopwatch en stock ?", Wish.OTHER),
        ("ende", Wish.OTHER),
        ("", Wish.OTHER),
        ("😀", Wish.OTHER),
        ("12345", Wish.OTHER),
        ("\0stop", Wish.STOP),
    ],
)
def test_what_is_not_a_stop_is_not_taken_for_one(text: str, wish: Wish) -> None:
    assert sms_words.wish(text) is wish


@given(strategies.text(max_size=2000))
def test_nothing_people_write_breaks_the_reading(text: str) -> None:
    assert sms_words.wish(text) in Wish
