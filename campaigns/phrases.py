"""The fixed words of our message layouts, in each language; what a marketer writes is not here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Phrases:
    """One language's words, of which there is one object. Those with braces are filled by `str.format` with our own
    values alone."""

    resume: str
    total: str
    your_code: str
    to_pay: str
    to_pay_shipped: str
    quantity: str
    code_intro: str
    code_where: str
    barcode: str
    square: str
    online: str
    map: str
    terms: str
    terms_minimum: str
    free_shipping: str
    gift: str
    sample: str
    only_on: str
    only_in_stores: str
    only_online: str
    products: str
    products_alone: str
    see_product: str
    visit: str
    answer: str
    confirm: str
    lowest: str
    reviews: str
    why: str
    why_since: str
    why_alone: str
    why_alone_since: str
    why_asked: str
    why_confirm: str
    unsubscribe: str
    preferences: str
    privacy: str


_EN = Phrases(
    resume="Back to my basket",
    total="Total",
    your_code="Your code",
    to_pay="To pay",
    to_pay_shipped="To pay, delivery included",
    quantity="Quantity {n}",
    code_intro="Your code, personal and valid once",
    code_where="On the site, in the app, or scanned at the till.",
    barcode="Barcode",
    square="QR code",
    online="View online",
    map="See on a map",
    terms="{worth}, until {until}.",
    terms_minimum="{worth} from {minimum}, until {until}.",
    free_shipping="Free delivery",
    gift="{title} as a gift",
    sample="A sample: {title}",
    only_on="Only on: {names}.",
    only_in_stores="In our shops only.",
    only_online="Online only.",
    products="To go with your basket",
    products_alone="Chosen for you",
    see_product="See the product",
    visit="Visit the shop",
    answer="Answer",
    confirm="I confirm",
    lowest="Lowest price of the last 30 days: {price}",
    reviews="What others say",
    why="You receive this e-mail because you accepted our offers and left a basket on {left}.",
    why_since="You receive this e-mail because you accepted our offers on {since} and left a basket on {left}.",
    why_alone="You receive this e-mail because you accepted our offers.",
    why_alone_since="You receive this e-mail because you accepted our offers on {since}.",
    why_asked="You receive this e-mail because of something you asked us for or ordered.",
    why_confirm="You receive this e-mail because our offers were asked for with your address.",
    unsubscribe="Unsubscribe",
    preferences="Choose what I receive",
    privacy="Personal data",
)
_FR = Phrases(
    resume="Reprendre mon panier",
    total="Total",
    your_code="Votre code",
    to_pay="À payer",
    to_pay_shipped="À payer, livraison offerte",
    quantity="Quantité {n}",
    code_intro="Votre code, personnel et valable une fois",
    code_where="Sur le site, dans l’application, ou scanné en caisse.",
    barcode="Code-barres",
    square="QR code",
    online="Voir en ligne",
    map="Voir sur un plan",
    terms="{worth}, jusqu’au {until}.",
    terms_minimum="{worth} dès {minimum}, jusqu’au {until}.",
    free_shipping="Livraison offerte",
    gift="{title} en cadeau",
    sample="Un échantillon : {title}",
    only_on="Seulement sur : {names}.",
    only_in_stores="Dans nos boutiques seulement.",
    only_online="En ligne seulement.",
    products="Pour aller avec votre panier",
    products_alone="Choisis pour vous",
    see_product="Voir le produit",
    visit="Voir la boutique",
    answer="Répondre",
    confirm="Je confirme",
    lowest="Prix le plus bas des 30 derniers jours : {price}",
    reviews="Ce qu’en disent les clients",
    why="Vous recevez cet e‑mail car vous avez accepté nos offres et laissé un panier le {left}.",
    why_since="Vous recevez cet e‑mail car vous avez accepté nos offres le {since} et laissé un panier le {left}.",
    why_alone="Vous recevez cet e‑mail car vous avez accepté nos offres.",
    why_alone_since="Vous recevez cet e‑mail car vous avez accepté nos offres le {since}.",
    why_asked="Vous recevez cet e‑mail à la suite d’une demande ou d’une commande de votre part.",
    why_confirm="Vous recevez cet e‑mail car nos offres ont été demandées avec votre adresse.",
    unsubscribe="Me désinscrire",
    preferences="Choisir mes envois",
    privacy="Données personnelles",
)
_LANGUAGES = {"en": _EN, "fr": _FR}


def of(locale: str) -> Phrases:
    """The words of this language; English for those we do not speak."""
    return _LANGUAGES.get(locale[:2], _EN)
