"""Which drawing stands for a product of the demo shop: its data has departments and categories, no pictures. Pure."""

import re

DEFAULT = "basket"

# The first line with a word of the category decides, so a more particular word stands above a more general one.
_BY_CATEGORY = (
    ("cat food|cat litter|dog food|pet care|bird|aquatic", "pets"),
    ("infant|baby|diaper", "baby"),
    ("ice cream|novelties|sherbt|frozen pie|frzn ice|whipped", "icecream"),
    ("pizza", "pizza"),
    ("soup", "soup"),
    ("cheese", "cheese"),
    ("yogurt", "yogurt"),
    ("butter, |^butter|margarin", "butter"),
    ("egg", "eggs"),
    ("isotonic|water|club soda", "water"),
    ("soft drink|energy drink", "soda"),
    ("juice|jce|drnk mx|lemonade", "juice"),
    ("milk|dairy", "milk"),
    ("coffee|cocoa|cappucin", "coffee"),
    ("teas", "tea"),
    ("wine|liquor|spirit|champagne", "wine"),
    ("beer|ales", "beer"),
    ("bag snack|popcorn|warehouse snack|chips|salty", "chips"),
    ("cracker|rice cake", "crackers"),
    ("cookie", "cookies"),
    ("cereal|brkfst|breakfast bar|granola|fitness", "cereal"),
    ("chocolate|baking chip", "chocolate"),
    ("candy|gum|marshmal", "candy"),
    ("nuts|seeds|dried fruit|bulk food", "nuts"),
    ("jelly|jam|honey|syrup|molasses|preserve", "jam"),
    ("oil|shortening", "oil"),
    ("spice|extract|salt|gravy|seasoning", "spices"),
    ("sauce|condiment|drsng|dressing|mayo|catsup|pickle|relish|olive|salsa|hispanic|vinegar", "sauce"),
    ("frozen meat|frzn meat|frozen chicken|frzn|frozen|heat/serve|frz ", "frozen"),
    ("noodle|pasta|dinner mx|macaroni", "pasta"),
    ("rice|dry bn|grain", "rice"),
    ("baked sweet|sweets|pies|cakes|dough|pastry|donut|dessert", "pastry"),
    ("flour|baking|sugar|mixes", "flour"),
    ("seafood - shelf|tuna|canned fish", "tuna"),
    ("shelf stable|canned|beans", "cans"),
    ("bread|bun|roll|bakery|bagel|tortilla", "bread"),
    ("bacon", "bacon"),
    ("sausage|hot dog|frank", "sausage"),
    ("lunchmeat|deli meat|ham|smoked", "ham"),
    ("chicken|turkey|poultry|duck", "chicken"),
    ("seafood|fish|shrimp|salmon|shellfish", "fish"),
    ("beef|pork|lamb|veal|meat", "beef"),
    ("salad|lettuce", "salad"),
    ("tropical|banana", "banana"),
    ("organic|natural", "organic"),
    ("fruit|apple|citrus|berries|grapes|melon|pears|stone|cherr", "fruit"),
    ("vegetable|onion|potato|tomato|pepper|carrot|mushroom|broccoli|corn|herbs|squash|celery|cucumber", "vegetables"),
    ("prepared|party tray|sandwich|dip|sushi", "deli"),
    ("laundry|bleach|starch", "laundry"),
    ("cleang|dishwash|air care|broom|mop|pest|polish|sponge", "cleaning"),
    ("candle|cigar|charcoal", "candle"),
    ("tissue|towel|paper|napkin|wraps|facial tiss|trsh", "paper"),
    ("makeup|cosmetic|fragrance|nail|personal care$", "beauty"),
    ("hair|soap|deodorant|shaving|oral|hand/body|skin|bath|feminine|suntan|hygiene", "care"),
    ("cold and flu|analgesic|vitamin|first aid|antacid|laxative|eye|foot|diet|medical|prescription|sinus", "health"),
    ("stationery|magazine|newspaper|book|card|school|photo", "stationery"),
    ("toy|game|audio|video", "toys"),
    ("christmas|seasonal|halloween|easter|valentine|gift|party", "seasonal"),
    ("floral|garden|flower|plant|bulb|soil|balloon", "flowers"),
    ("cookware|kitchen|bakeware|housewares|glassware|cutlery|canning", "kitchen"),
    ("linen|hosiery|apparel|domestic goods|sock", "linen"),
    ("electrical|batter|lamp|hardware|automotive|appliance|furniture|home", "home"),
)
_BY_DEPARTMENT = {
    "produce": "vegetables",
    "nutrition": "organic",
    "cosmetics": "beauty",
    "deli": "deli",
    "chef shoppe": "deli",
    "restaurant": "soup",
    "meat": "beef",
    "meat-pckgd": "ham",
    "pastry": "pastry",
    "floral": "flowers",
    "garden center": "flowers",
    "seafood": "fish",
    "seafood-pckgd": "fish",
    "spirits": "wine",
    "salad bar": "salad",
    "frozen grocery": "frozen",
    "drug gm": "care",
    "photo & video": "stationery",
    "postal center": "stationery",
    "toys": "toys",
    "automotive": "home",
    "elect &plumbing": "home",
    "housewares": "kitchen",
}
_PATTERNS = tuple((re.compile(rf"(?:^|\b)(?:{words})"), slug) for words, slug in _BY_CATEGORY)


def picture(department: str | None, category: str | None) -> str:
    """The drawing for a category of the data, else for its department, else a basket."""
    words = (category or "").lower()
    for pattern, slug in _PATTERNS:
        if pattern.search(words):
            return slug
    return _BY_DEPARTMENT.get((department or "").strip().lower(), DEFAULT)
