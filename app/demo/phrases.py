"""What the demo shop says, in English and in French. Pure."""

import re

from foundation import format

LOCALES = ("en", "fr")

_SAID = {
    # frame
    "title": ("Maison Aubier, market hall since 1926", "Maison Aubier, halle gourmande depuis 1926"),
    "skip": ("Skip to content", "Aller au contenu"),
    "promise.one": (
        "Free delivery from {amount}. Collect in 2 h.",
        "Livraison offerte dès {amount}. Retrait en 2 h.",
    ),
    "promise": (
        "Free delivery from {amount}. Collect in 2 h from {n} shops.",
        "Livraison offerte dès {amount}. Retrait en 2 h dans {n} magasins.",
    ),
    "menu": ("Menu", "Menu"),
    "crumbs": ("You are here", "Vous êtes ici"),
    "departments": ("Departments", "Rayons"),
    "search": ("Search", "Chercher"),
    "search.label": ("What are you looking for?", "Que cherchez-vous ?"),
    "basket": ("Basket", "Panier"),
    "basket.items.one": ("Basket, 1 item", "Panier, 1 article"),
    "basket.items": ("Basket, {n} items", "Panier, {n} articles"),
    "items.one": ("1 item", "1 article"),
    "items": ("{n} items", "{n} articles"),
    "account": ("Your account", "Votre compte"),
    "account.of": ("{name}, your account", "{name}, votre compte"),
    "close": ("Close", "Fermer"),
    "cookies.choose": ("Your cookies", "Vos cookies"),
    "notify": ("Notify me", "Me prévenir"),
    "notify.text": (
        "Notify me on this device of offers and of my basket. I can stop it at any time.",
        "Me prévenir sur cet appareil des offres et de mon panier. Je peux arrêter quand je veux.",
    ),
    "till": ("The till", "La caisse"),
    "fictional": (
        "Maison Aubier does not exist. It shows Relance at work.",
        "Maison Aubier n’existe pas. Elle montre Relance à l’œuvre.",
    ),
    # consent
    "cookies.title": ("May we remember your tastes?", "Pouvons-nous retenir vos goûts ?"),
    "cookies.text": (
        "With your agreement we keep what you look at, to suggest what suits you and to hold your basket. "
        "Nothing is kept before you answer.",
        "Avec votre accord, nous gardons ce que vous regardez pour vous proposer ce qui vous va et tenir votre panier "
        "au chaud. Rien n’est gardé avant votre réponse.",
    ),
    "cookies.yes": ("Accept", "Accepter"),
    "cookies.no": ("Refuse", "Refuser"),
    # home
    "hero.over": ("Autumn at table", "Automne à table"),
    "hero.title": ("The season of slow suppers", "La saison des plats qui mijotent"),
    "hero.text": (
        "Roots from the market, good broth and fresh bread: all it takes to fill the pot.",
        "Des racines du marché, un bon bouillon, du pain frais : de quoi remplir la cocotte.",
    ),
    "hero.act": ("See the market stall", "Voir les primeurs"),
    "strip.title": ("Your basket is keeping warm.", "Votre panier est au chaud."),
    "strip.title.of": ("{name}, your basket is keeping warm.", "{name}, votre panier est au chaud."),
    "strip.text": ("{titles}: {total}.", "{titles} : {total}."),
    "strip.act": ("Back to it", "Reprendre"),
    "slot.you": ("For you", "Pour vous"),
    "slot.you.of": ("For you, {name}", "Pour vous, {name}"),
    "slot.loved": ("Loved this week", "Aimés cette semaine"),
    "slot.store": ("Right now at {store}", "En ce moment à {store}"),
    "slot.store.text": ("on the shelf today", "en rayon aujourd’hui"),
    "slot.again": ("Time to buy it again", "C’est le moment d’en racheter"),
    "slot.with": ("Goes well with it", "Va bien avec"),
    "slot.similar": ("In the same spirit", "Dans le même esprit"),
    "slot.order": ("To go with your order", "Avec votre commande"),
    "slot.last": ("One last thing", "Un dernier détail"),
    "previous": ("Previous", "Précédents"),
    "next": ("Next", "Suivants"),
    "products.in.one": ("1 product", "1 produit"),
    "products.in": ("{n} products", "{n} produits"),
    # listing and search
    "more": ("More products", "Voir la suite"),
    "all": ("All", "Tout"),
    "found.none": ("Nothing on our shelves is called that.", "Rien sur nos étals ne porte ce nom."),
    "found.for": ("Results for “{words}”", "Résultats pour « {words} »"),
    "search.title": ("Search", "Chercher"),
    # product
    "add": ("Add to basket", "Ajouter au panier"),
    "add.short": ("Add", "Ajouter"),
    "add.named": ("Add {title} to basket", "Ajouter {title} au panier"),
    "brand": ("Brand", "Marque"),
    "size": ("Size", "Format"),
    "reference": ("Reference", "Référence"),
    "in.store": ("on the shelf, ready in 2 h", "en rayon, retrait dans 2 h"),
    "not.in.store": ("not on the shelf today", "pas en rayon aujourd’hui"),
    "delivery": ("Delivered tomorrow, free from {amount}", "Livré demain, offert dès {amount}"),
    "not.sold": ("No longer for sale", "N’est plus en vente"),
    "without.price": ("price at the counter", "prix au comptoir"),
    "missing.title": ("This shelf is empty", "Cette étagère est vide"),
    "missing.text": (
        "What stood here has moved or was never ours.",
        "Ce qui était ici a déménagé, ou n’a jamais été à nous.",
    ),
    # basket
    "basket.title": ("Your basket", "Votre panier"),
    "basket.empty": ("Your basket is empty. The market is open.", "Votre panier est vide. Le marché est ouvert."),
    "basket.empty.act": ("Start shopping", "Faire le marché"),
    "basket.restored": ("Here it is, as you left it.", "Le voici, tel que vous l’aviez laissé."),
    "basket.restored.code": (
        "Here it is, as you left it, with your code.",
        "Le voici, tel que vous l’aviez laissé, avec votre code.",
    ),
    "basket.gone": (
        "This basket was already ordered or emptied.",
        "Ce panier a déjà été commandé, ou vidé.",
    ),
    "basket.said.one": ("Basket: 1 item, {total}", "Panier : 1 article, {total}"),
    "basket.said": ("Basket: {n} items, {total}", "Panier : {n} articles, {total}"),
    "less": ("One {title} less", "Un {title} de moins"),
    "one.more": ("One {title} more", "Un {title} de plus"),
    "remove": ("Remove", "Retirer"),
    "piece": ("{price} each", "{price} pièce"),
    "code": ("Promo code", "Code promo"),
    "code.use": ("Apply", "Appliquer"),
    "code.remove": ("Remove the code", "Retirer le code"),
    "subtotal": ("Subtotal", "Sous-total"),
    "your.code": ("Your code", "Votre code"),
    "shipping": ("Delivery", "Livraison"),
    "shipping.free": ("free", "offerte"),
    "total": ("Total", "Total"),
    "checkout": ("Check out", "Passer commande"),
    "basket.see": ("See the basket", "Voir le panier"),
    # codes
    "code.unknown": (
        "We do not know this code. Check its letters.",
        "Nous ne connaissons pas ce code. Vérifiez ses lettres.",
    ),
    "code.used": ("This code has already been used.", "Ce code a déjà été utilisé."),
    "code.expired": ("This code has expired.", "Ce code a expiré."),
    "code.not_started": ("This code is not valid yet.", "Ce code n’est pas encore valable."),
    "code.currency": ("This code is for another currency.", "Ce code vaut dans une autre monnaie."),
    "code.minimum": ("{missing} short: valid from {minimum}.", "Il manque {missing} : valable dès {minimum}."),
    "code.other_customer": ("This code is another customer’s.", "Ce code est celui d’un autre client."),
    "code.once": ("This customer has used a code of this offer.", "Ce client a déjà profité de cette offre."),
    "code.channel": ("This code does not hold here.", "Ce code n’est pas valable ici."),
    "code.store": ("This code does not hold in this shop.", "Ce code n’est pas valable dans ce magasin."),
    "code.not_stackable": ("Cannot be added to another code.", "Non cumulable avec un autre code."),
    "code.category": (
        "Nothing in the basket is part of the offer.",
        "Rien dans ce panier n’est dans l’offre.",
    ),
    "code.margin": ("These prices leave no room for this code.", "Ces prix ne laissent pas de place à ce code."),
    "code.budget": ("This offer is used up.", "Cette offre est épuisée."),
    "offer.gift": ("A gift", "Un cadeau"),
    "offer.sample": ("A sample", "Un échantillon"),
    "offer.percentage": ("{share} off", "{share} de remise"),
    "offer.amount": ("{amount} off", "{amount} de remise"),
    "offer.free_shipping": ("Free delivery", "Livraison offerte"),
    "offer.minimum": ("from {minimum}", "dès {minimum}"),
    "offer.once": ("Works once.", "Une seule fois."),
    # checkout
    "step.details": ("1. You", "1. Vous"),
    "step.pay": ("2. Order", "2. Commande"),
    "details.title": ("Where shall we bring it?", "Où vous livrons-nous ?"),
    "first_name": ("First name", "Prénom"),
    "last_name": ("Last name", "Nom"),
    "email": ("E-mail", "E‑mail"),
    "email.fault": ("Write an address such as name@example.com.", "Écrivez une adresse comme nom@exemple.fr."),
    "name.fault": ("Tell us your first name.", "Dites-nous votre prénom."),
    "consent.email": (
        "Yes, Maison Aubier may write to me by e-mail: my basket, ideas and offers chosen from what I buy. "
        "I can stop with one click in every message.",
        "Oui, Maison Aubier peut m’écrire par e‑mail : mon panier, des idées et des offres choisies d’après "
        "mes achats. Je peux arrêter d’un clic dans chaque message.",
    ),
    "continue": ("Continue", "Continuer"),
    "pay.title": ("One last look", "Un dernier coup d’œil"),
    "pay.who": ("For {name}, {email}", "Pour {name}, {email}"),
    "pay.change": ("Change", "Modifier"),
    "pay.act": ("Place the order", "Commander"),
    "pay.none": (
        "Nothing is charged: this is a demo shop.",
        "Rien n’est débité : c’est une boutique de démonstration.",
    ),
    "thanks.title": ("Thank you, {name}", "Merci, {name}"),
    "thanks.text": ("Order {order} is being prepared.", "La commande {order} se prépare."),
    "thanks.act": ("Back to the shop", "Retour à la boutique"),
    # sign in
    "signin.title": ("Who is at the door?", "Qui est là ?"),
    "signin.text": (
        "In this demo nobody has a password. Borrow a regular, or write an address.",
        "Dans cette démonstration, personne n’a de mot de passe. Empruntez un habitué, ou écrivez une adresse.",
    ),
    "signin.regulars": ("Regulars", "Les habitués"),
    "signin.email": ("Or with an address", "Ou avec une adresse"),
    "signin.act": ("Come in", "Entrer"),
    "signin.as": ("You are {name}.", "Vous êtes {name}."),
    "signout": ("Leave", "Sortir"),
    "orders.n.one": ("1 order", "1 commande"),
    "orders.n": ("{n} orders", "{n} commandes"),
    # behind the counter
    "behind": ("Behind the counter", "Derrière le comptoir"),
    "behind.nobody": ("Relance knows nothing of this visit.", "Relance ne sait rien de cette visite."),
    "behind.customer": ("This visitor in Relance", "Ce visiteur dans Relance"),
    "behind.mailbox": ("Mailbox", "Boîte aux lettres"),
    # till
    "till.title": ("Till", "Caisse"),
    "till.who": ("Sophie, till 2", "Sophie, caisse 2"),
    "till.online": ("Online", "En ligne"),
    "till.find": ("Card, e-mail, name or code", "Carte, e‑mail, nom ou code"),
    "till.act": ("Find", "Chercher"),
    "till.hint": (
        "Write a code as it stands on the phone, or a customer’s name, e-mail or card.",
        "Écrivez un code tel qu’il est sur le téléphone, ou le nom, l’e‑mail ou la carte d’un client.",
    ),
    "till.valid": ("Valid code", "Code valable"),
    "till.refused": ("Code refused", "Code refusé"),
    "till.redeemed": ("Code used", "Code utilisé"),
    "till.redeemed.text": ("Receipt {order}. It cannot be used again.", "Ticket {order}. Il ne servira plus."),
    "till.ticket.one": ("Receipt at the till, 1 item", "Ticket en caisse, 1 article"),
    "till.ticket": ("Receipt at the till, {n} items", "Ticket en caisse, {n} articles"),
    "till.discount": ("Discount", "Remise"),
    "till.pay": ("To pay", "À payer"),
    "till.redeem": ("Use the code on this receipt", "Utiliser le code sur ce ticket"),
    "till.sell": ("Ring up this receipt", "Encaisser ce ticket"),
    "till.sold": ("Paid", "Payé"),
    "till.sold.text": ("Receipt {order}, {total}.", "Ticket {order}, {total}."),
    "till.none": ("Nobody goes by that name.", "Personne ne porte ce nom."),
    "till.found": ("Customers", "Clients"),
    "till.cart": ("Online basket", "Panier en ligne"),
    "till.cart.none": ("No basket waiting online.", "Aucun panier en attente en ligne."),
    "till.codes": ("Codes in hand", "Codes en main"),
    "till.show": ("To show, in stock here", "À montrer, en stock ici"),
    "till.mail.yes": ("E-mail yes", "E‑mail oui"),
    "till.mail.no": ("E-mail no", "E‑mail non"),
    "till.quantity": ("Quantity {n}", "Quantité {n}"),
    "till.here": ("here", "ici"),
    "till.not.here": ("not here", "pas ici"),
    "till.of.customer": ("For {name}", "Pour {name}"),
    "till.choose": ("Choose", "Choisir"),
    "till.store": ("Shop", "Magasin"),
    "till.no.ticket": ("Choose a customer with a basket, or scan a product.", "Choisissez un client qui a un panier."),
}

_DEPARTMENTS = {
    "Grocery": "Épicerie",
    "Home and care": "Maison et soin",
    "Fruit and vegetables": "Primeurs",
    "Organic": "Bio",
    "Beauty": "Beauté",
    "Delicatessen": "Traiteur",
    "Charcuterie": "Charcuterie",
    "Butcher": "Boucherie",
    "Bakery": "Boulangerie",
    "Flowers": "Fleurs",
    "Smoked and frozen fish": "Fumés et surgelés",
    "Cellar": "Cave",
    "Fishmonger": "Poissonnerie",
    "Garden": "Jardin",
    "Kitchen": "Cuisine",
    "Salad bar": "Bar à salades",
    "Caterer": "Plats du chef",
    "Frozen": "Surgelés",
    "Leisure": "Loisirs",
    "Toys": "Jouets",
}


def say(key: str, locale: str, **values: object) -> str:
    """The words for a key with its values put in, spaced as the language wants."""
    one = f"{key}.one"
    text = _SAID[one if str(values.get("n")) == "1" and one in _SAID else key][LOCALES.index(locale)].format(**values)
    return format.typeset(text, locale)


def department(name: str, locale: str) -> str:
    """A department as the shop calls it; the data's own name where there is no better."""
    return _DEPARTMENTS.get(name, name) if locale == "fr" else name


def slug(name: str) -> str:
    """A name as it stands in an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
