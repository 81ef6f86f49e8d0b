"""The words of the demo shop: readable titles from a till's abbreviations, names of people and of towns. Pure.

Titles and categories are those of the data, written out. People and stores are invented: the data is anonymous.
"""

import re
from functools import cache

_SPELLED_OUT = {
    "refrgratd": "refrigerated", "refrig": "refrigerated", "frzn": "frozen", "frz": "frozen", "frsh": "fresh",
    "drnk": "drink", "drnks": "drinks", "drnking": "drinking", "sft": "soft", "crbntd": "carbonated", "btl": "bottle",
    "mx": "mix", "mxs": "mixes", "mixs": "mixes", "dnr": "dinner", "dnrs": "dinners", "brkfst": "breakfast",
    "whlsm": "wholesome", "sngl": "single", "sgl": "single", "srv": "serve", "sv": "serve", "veg": "vegetables",
    "wtr": "water", "wate": "water", "mneral": "mineral", "pnt": "peanut", "btr": "butter", "sald": "salad",
    "drsng": "dressing", "sndwch": "sandwich", "sprd": "spread", "pkld": "pickled", "bkd": "baked", "fd": "food",
    "bg": "bag", "trsh": "trash", "tiss": "tissue", "handke": "handkerchiefs", "cleang": "cleaning", "snks": "snacks",
    "ckys": "cookies", "crkr": "crackers", "cndy": "candy", "bn": "beans", "dsh": "dishes", "jce": "juice",
    "conc": "concentrate", "pwdr": "powder", "crystl": "crystal", "flvrd": "flavoured", "flvr": "flavour",
    "hygn": "hygiene", "fem": "feminine", "sply": "supplies", "pkgd": "packaged", "pkg": "packaged", "pk": "pack",
    "misc": "various", "prem": "premium", "chix": "chicken", "chick": "chicken", "whl": "whole", "bnls": "boneless",
    "tort": "tortilla", "sw": "sweet", "gds": "goods", "crmd": "creamed", "oz": "ounces", "sod": "soda", "clu": "club",
    "hbc": "care", "wt": "weight", "choc": "chocolate", "chococlate": "chocolate", "coco": "cocoa", "reg": "regular",
    "suppplies": "supplies", "disposible": "disposable", "sweetners": "sweeteners", "sherbts": "sherbets",
    "specilaty": "speciality", "memorablilia": "memorabilia", "excp": "except", "mlt": "malt", "mw": "microwave",
    "incl": "including", "ex": "extra", "ns": "", "fs": "", "ss": "", "iws": "", "gol": "", "vend": "", "mach": "",
    "beeralemalt": "beer, ale and malt", "saucessalsapicantee": "sauces, salsa, picante", "ndairy": "non-dairy",
    "ndry": "non-dairy", "coff": "coffee", "snk": "snack", "sand": "sandwich", "sandwic": "sandwiches",
    "occas": "occasions", "supplemen": "", "et": "etc.", "prooo": "proof", "pwrdr": "powder", "applncs": "appliances",
}  # fmt: skip
_DEPARTMENTS = {
    "GROCERY": "Grocery", "DRUG GM": "Home and care", "PRODUCE": "Fruit and vegetables", "NUTRITION": "Organic",
    "COSMETICS": "Beauty", "DELI": "Delicatessen", "MEAT-PCKGD": "Charcuterie", "MEAT": "Butcher",
    "PASTRY": "Bakery", "FLORAL": "Flowers", "SEAFOOD-PCKGD": "Smoked and frozen fish", "SPIRITS": "Cellar",
    "SEAFOOD": "Fishmonger", "GARDEN CENTER": "Garden", "RESTAURANT": "Kitchen", "SALAD BAR": "Salad bar",
    "CHEF SHOPPE": "Caterer", "FROZEN GROCERY": "Frozen", "TRAVEL & LEISURE": "Leisure", "PHOTO & VIDEO": "Photo",
}  # fmt: skip
_NOT_FOR_SALE = frozenset(
    ("COUPON", "FUEL", "MISCELLANEOUS", "CNTRL/STORE SUP", "PROD-WHS SALES", "GM MERCH EXP", "POSTAL CENTER")
)
_NOT_ADVERTISED = frozenset(
    ("CIGARETTES", "CIGARS", "TOBACCO OTHER", "COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "BOTTLE DEPOSITS", "TICKETS")
)


@cache
def words(text: str) -> str:
    """`ICE - CRUSHED/CUBED` is `ice, crushed/cubed`."""
    text = re.sub(r"\([^)]*$", "", text.lower())
    text = re.sub(r"\s*(?: - |:|;)\s*", ", ", text)
    text = re.sub(r"[a-z]+", lambda found: _SPELLED_OUT.get(found.group(), found.group()), text)
    text = re.sub(r"\s*&\s*", " and ", text)
    text = re.sub(r"\(\s*\)|\s+(?=[,)])|(?<=\()\s+", "", text)
    return " ".join(text.split()).strip(" ,-/.&")


def title(product_type: str | None, category: str | None, *, size: str | None) -> str:
    """What a product is called: its type, or its category, and its size."""
    name = words(product_type or category or "various")
    return " ".join(part for part in (name[:1].upper() + name[1:], size) if part)


def path(department: str, category: str | None) -> str:
    """`Grocery > Frozen ice`."""
    shelf = words(category or "")
    top = _DEPARTMENTS.get(department) or department.capitalize()
    return f"{top} > {shelf[:1].upper()}{shelf[1:]}" if shelf else top


def for_sale(department: str, category: str | None) -> bool:
    """Whether a shop would show it: not petrol, vouchers or what the till books by itself; nor tobacco."""
    return department not in _NOT_FOR_SALE and category is not None and category not in _NOT_ADVERTISED


FRENCH_FIRST = (
    "Camille Léa Manon Chloé Inès Jade Louise Alice Emma Rose Anna Julie Marie Sophie Claire Hélène Nathalie Isabelle "
    "Sylvie Monique Lucas Hugo Louis Gabriel Arthur Jules Adam Raphaël Paul Antoine Nicolas Thomas Julien Pierre "
    "François Michel Philippe Olivier Mehdi Karim"
).split()
FRENCH_LAST = (
    "Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Simon Laurent Lefebvre Michel Garcia David "
    "Bertrand Roux Vincent Fournier Morel Girard André Mercier Dupont Lambert Bonnet François Martinez Legrand Garnier "
    "Faure Rousseau Blanc Guérin Muller Henry Roussel Nicolas Perrin Morin Mathieu Clément Gauthier Dumont Lopez "
    "Fontaine Chevalier Robin Masson Benali Diallo"
).split()
ENGLISH_FIRST = (
    "Olivia Amelia Isla Ava Ivy Freya Lily Grace Sophie Emily Charlotte Hannah Lucy Sarah Rachel Priya Oliver George "
    "Noah Arthur Harry Leo Jack Charlie Oscar Henry James William Daniel Samuel Adam Rohan"
).split()
ENGLISH_LAST = (
    "Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Robinson Wright Thompson Evans Walker White Roberts "
    "Green Hall Wood Jackson Clarke Khan Lewis Harris Turner Hill Cooper Ward Morris Moore Baker Edwards Hughes Bell"
).split()
HOURS = (
    "lun.–sam. 9h–20h, dim. 10h–13h",
    "lun.–sam. 9h30–19h30",
    "mar.–sam. 10h–19h, dim. 9h–12h30",
    "lun.–ven. 8h30–20h, sam. 9h–19h",
)
"""When the one of a town is open, and when those of its quarters are, as a French shop writes it on its door."""
TOWNS = (
    ("Paris", 48.857, 2.352), ("Marseille", 43.297, 5.37), ("Lyon", 45.764, 4.836), ("Toulouse", 43.605, 1.444),
    ("Nice", 43.71, 7.262), ("Nantes", 47.218, -1.554), ("Montpellier", 43.611, 3.877), ("Strasbourg", 48.573, 7.752),
    ("Bordeaux", 44.838, -0.579), ("Lille", 50.629, 3.057), ("Rennes", 48.117, -1.678), ("Reims", 49.258, 4.032),
    ("Toulon", 43.124, 5.928), ("Saint-Étienne", 45.44, 4.387), ("Le Havre", 49.494, 0.108), ("Dijon", 47.322, 5.041),
    ("Grenoble", 45.188, 5.724), ("Angers", 47.478, -0.563), ("Nîmes", 43.837, 4.36), ("Aix", 43.53, 5.447),
    ("Clermont", 45.777, 3.087), ("Le Mans", 48.006, 0.199), ("Brest", 48.39, -4.486), ("Tours", 47.394, 0.685),
    ("Amiens", 49.894, 2.296), ("Annecy", 45.899, 6.129), ("Limoges", 45.833, 1.261), ("Metz", 49.119, 6.176),
    ("Perpignan", 42.699, 2.895), ("Besançon", 47.238, 6.024), ("Orléans", 47.903, 1.909), ("Rouen", 49.443, 1.099),
    ("Mulhouse", 47.75, 7.336), ("Caen", 49.183, -0.371), ("Nancy", 48.692, 6.184), ("Avignon", 43.949, 4.806),
    ("Poitiers", 46.58, 0.34), ("La Rochelle", 46.16, -1.151), ("Pau", 43.295, -0.371), ("Antibes", 43.58, 7.125),
    ("Cannes", 43.552, 7.017), ("Calais", 50.951, 1.859), ("Colmar", 48.079, 7.358), ("Quimper", 47.996, -4.097),
    ("Valence", 44.933, 4.892), ("Bourges", 47.081, 2.399), ("Troyes", 48.297, 4.074), ("Chambéry", 45.564, 5.917),
    ("Niort", 46.323, -0.464), ("Lorient", 47.748, -3.37), ("Beauvais", 49.43, 2.081), ("Arles", 43.677, 4.628),
    ("Laval", 48.073, -0.77), ("Vannes", 47.658, -2.76), ("Bayonne", 43.493, -1.475), ("Albi", 43.929, 2.148),
    ("Chartres", 48.447, 1.489), ("Tarbes", 43.233, 0.078), ("Angoulême", 45.648, 0.156), ("Évreux", 49.024, 1.151),
    ("Blois", 47.586, 1.336), ("Brive", 45.159, 1.533), ("Mâcon", 46.307, 4.828), ("Auxerre", 47.798, 3.573),
    ("Saumur", 47.26, -0.077), ("Dieppe", 49.922, 1.077), ("Épinal", 48.174, 6.449), ("Cahors", 44.448, 1.441),
    ("Rodez", 44.35, 2.575), ("Vichy", 46.127, 3.426), ("Nevers", 46.989, 3.159), ("Moulins", 46.566, 3.333),
    ("Aurillac", 44.926, 2.444), ("Gap", 44.559, 6.079), ("Ajaccio", 41.919, 8.739), ("Bastia", 42.697, 9.451),
)  # fmt: skip
QUARTERS = ("Centre", "Gare", "Marché", "République", "Les Halles", "Nord", "Bellevue")


def phone(number: int) -> str:
    """A telephone number of the range nobody gets in France, kept for films and demonstrations."""
    return f"+3363998{number % 10_000:04d}"
