"""How each stable word of the engine is said to people: in a sentence, with an icon and a tone, in their language."""

from dataclasses import dataclass

from app import i18n
from app.i18n import N_
from app.i18n import ngettext_later as ngettext


@dataclass(frozen=True, slots=True)
class Word:
    """What stands for a state: always an icon and a word, the tone only repeats them."""

    word: str
    icon: str
    tone: str = "mute"


MESSAGE = {
    "pending": Word(N_("Waiting"), "clock"),
    "held": Word(N_("Held for a decision"), "hourglass", "warn"),
    "claimed": Word(N_("Taken up"), "hand"),
    "submitting": Word(N_("Being sent"), "send", "info"),
    "accepted": Word(N_("Accepted"), "check", "ok"),
    "unfollowed": Word(N_("Accepted, not followed"), "check"),
    "delivered": Word(N_("Delivered"), "check-check", "ok"),
    "uncertain": Word(N_("Uncertain"), "circle-help", "unsure"),
    "unconfirmed": Word(N_("Unconfirmed"), "circle-help", "unsure"),
    "bounced": Word(N_("Bounced"), "undo-2", "bad"),
    "dropped": Word(N_("Dropped"), "circle-slash", "bad"),
    "complained": Word(N_("Complaint"), "triangle-alert", "bad"),
    "skipped": Word(N_("Not sent"), "minus"),
    "failed": Word(N_("Failed"), "x", "bad"),
    "expired": Word(N_("Expired"), "hourglass"),
    "cancelled": Word(N_("Cancelled"), "ban"),
}
CAMPAIGN = {
    "draft": Word(N_("Draft"), "circle-dashed"),
    "sending": Word(N_("Running"), "play", "ok"),
    "paused": Word(N_("Paused"), "pause", "warn"),
    "cancelled": Word(N_("Cancelled"), "ban"),
    "done": Word(N_("Done"), "check"),
}
CODE = {
    "reserved": Word(N_("Reserved"), "clock"),
    "issued": Word(N_("Available"), "ticket-percent", "info"),
    "redeemed": Word(N_("Used"), "check", "ok"),
    "released": Word(N_("Given back"), "undo-2"),
    "expired": Word(N_("Expired"), "hourglass"),
    "free": Word(N_("In the pool"), "circle-dashed"),
    "leaked": Word(N_("Leaked"), "triangle-alert", "bad"),
}
CONSENT = {
    "granted": Word(N_("Yes"), "check", "ok"),
    "denied": Word(N_("No"), "x", "bad"),
    "unknown": Word(N_("Never asked"), "minus"),
}
RUN = {
    "asked": Word(N_("Asked for"), "clock"),
    "running": Word(N_("Training"), "hourglass"),
    "published": Word(N_("Published"), "check"),
    "live": Word(N_("Live"), "check", "ok"),
    "refused": Word(N_("Refused"), "shield-x", "warn"),
    "failed": Word(N_("Failed"), "x", "bad"),
}
ATTEMPT = {
    "accepted": Word(N_("Accepted"), "check", "ok"),
    "refused_retry": Word(N_("Refused for now"), "undo-2", "warn"),
    "refused_final": Word(N_("Refused"), "x", "bad"),
    "ambiguous": Word(N_("No clear answer"), "circle-help", "unsure"),
    "unsent": Word(N_("Not sent"), "minus"),
}
ORDER = {
    "completed": Word(N_("Ordered"), "shopping-bag", "ok"),
    "cancelled": Word(N_("Cancelled"), "ban"),
    "refunded": Word(N_("Refunded"), "undo-2"),
}
CHANNEL = {
    "web": Word(N_("Site"), "globe"),
    "app": Word(N_("App"), "smartphone"),
    "store": Word(N_("Shop"), "store"),
    "marketplace": Word(N_("Marketplace"), "layout-grid"),
    "call_center": Word(N_("Call centre"), "phone"),
    "email": Word(N_("E-mail"), "mail"),
    "push": Word(N_("Push"), "bell"),
    "sms": Word(N_("SMS"), "message-square"),
    "whatsapp": Word(N_("WhatsApp"), "phone"),
    "onsite": Word(N_("On site"), "panel-top"),
    "ads": Word(N_("Retargeting"), "target"),
    "any": Word(N_("All channels"), "layout-grid"),
}
OWN_SOURCES = {
    "relance": Word(N_("What became of the messages"), "mail"),
    "import": Word(N_("Files"), "file-text"),
}
IDENTITY = {
    "user_id": Word(N_("customer number"), "id-card"),
    "anonymous_id": Word(N_("browser"), "globe"),
    "email": Word(N_("e-mail"), "mail"),
    "phone": Word(N_("phone"), "phone"),
    "card": Word(N_("loyalty card"), "credit-card"),
    "device": Word(N_("device"), "smartphone"),
}
EVENT = {
    "Products Searched": Word(N_("Searched"), "search"),
    "Product List Viewed": Word(N_("Viewed a list"), "layout-grid"),
    "Product Viewed": Word(N_("Viewed a product"), "eye"),
    "Product Clicked": Word(N_("Clicked a product"), "mouse-pointer-click"),
    "Product Added": Word(N_("Added to basket"), "shopping-basket"),
    "Product Removed": Word(N_("Removed from basket"), "circle-minus"),
    "Cart Viewed": Word(N_("Viewed the basket"), "shopping-basket"),
    "Checkout Started": Word(N_("Started checkout"), "credit-card"),
    "Order Completed": Word(N_("Order"), "shopping-bag", "ok"),
    "Order Updated": Word(N_("Order changed"), "shopping-bag"),
    "Order Refunded": Word(N_("Refund"), "undo-2"),
    "Order Cancelled": Word(N_("Order cancelled"), "ban"),
    "Coupon Entered": Word(N_("Entered a code"), "ticket-percent"),
    "Coupon Applied": Word(N_("Applied a code"), "ticket-check", "ok"),
    "Coupon Denied": Word(N_("Code refused"), "ticket-percent"),
    "Coupon Removed": Word(N_("Removed a code"), "ticket-percent"),
    "Product Added to Wishlist": Word(N_("Added to wishlist"), "star"),
    "Product Reviewed": Word(N_("Reviewed a product"), "star"),
    "Email Opened": Word(N_("Opened an e-mail"), "eye"),
    "Email Link Clicked": Word(N_("Clicked in an e-mail"), "mouse-pointer-click", "accent"),
    "Email Delivered": Word(N_("E-mail delivered"), "mail-check"),
    "Email Bounced": Word(N_("E-mail bounced"), "undo-2"),
    "Message Sent": Word(N_("Message sent"), "send", "accent"),
    "Message Clicked": Word(N_("Clicked in a message"), "mouse-pointer-click", "accent"),
    "Segment Entered": Word(N_("Came into a segment"), "blend"),
    "Segment Left": Word(N_("Left a segment"), "blend"),
    "Unsubscribed": Word(N_("Unsubscribed"), "user-x"),
    "Subscription Requested": Word(N_("Asked for e-mails"), "mail"),
    "Subscription Confirmed": Word(N_("Confirmed it by e-mail"), "mail-check", "ok"),
    "Page Viewed": Word(N_("Viewed a page"), "file-text"),
    "Screen Viewed": Word(N_("Viewed a screen"), "smartphone"),
    "Identified": Word(N_("Was recognised"), "user-check"),
    "Aliased": Word(N_("Signed in"), "log-in"),
    "Grouped": Word(N_("Joined a group"), "users"),
}
CALL = {
    "pending": Word(N_("Waiting"), "clock"),
    "calling": Word(N_("Being made"), "send", "info"),
    "delivered": Word(N_("Delivered"), "check-check", "ok"),
    "dead": Word(N_("Given up"), "x", "bad"),
    "cancelled": Word(N_("Cancelled"), "ban"),
}
JOB = {
    "admit": N_("Takes up baskets left behind"),
    "advance": N_("Moves customers to their next step"),
    "deliver": N_("Hands messages over"),
    "inbox": N_("Takes in what a stopped web server had received"),
    "credit-again": N_("Looks again at recent orders for the codes they name"),
    "credit-check": N_("Looks again at who earned which order, every night"),
    "winners": N_("Names the variants proved better"),
    "sweep": N_("Finds what a stopped process left unfinished"),
    "segments": N_("Keeps segments up to date"),
    "segments-check": N_("Checks every segment in full, every night"),
    "credit": N_("Credits orders to messages"),
    "codes": N_("Sets aside codes that ran out, and counts offers"),
    "calendar": N_("Takes in the audiences whose moment has come"),
    "shelf": N_("Looks for products back in stock and prices that dropped"),
    "call": N_("Tells other programs what journeys ask for"),
    "audiences": N_("Keeps audiences in step with ad platforms"),
    "ad-orders": N_("Tells ad platforms of orders, where customers agreed"),
    "slates": N_("Counts what recommendations earned"),
    "rehearse": N_("Makes the dry runs asked for"),
    "figures": N_("Counts what lists and journeys show of each campaign"),
    "pressure": N_("Counts how much each segment was written to"),
    "train": N_("Trains the recommender, every night"),
    "train-asked": N_("Trains the recommender when someone asks for it"),
    "prepare": N_("Ranks ahead for customers who have left"),
    "predict": N_("Says what is expected of each customer, every night"),
    "doctor": N_("Looks at the installation and the sending domain, as flask doctor does"),
    "guard": N_("Holds campaigns back when something goes wrong"),
    "audit": N_("Adds up the ledger of each campaign"),
    "visits": N_("Tells clicks of people from those of machines"),
    "refusals": N_("Writes down outside the database who said no"),
    "returns": N_("Reads the mails that came back"),
    "provider-log": N_("Asks the provider what became of messages"),
    "provider-lists": N_("Compares lists of refused addresses with the provider, every night"),
    "insights": N_("Counts what the reports show of the whole shop"),
    "prune": N_("Clears out what is no longer needed, every night"),
}
PURPOSES = {
    "marketing": N_("Offers and news"),
    "analytics": N_("Measuring visits"),
    "personalization": N_("Personal recommendations"),
    "any": N_("Every purpose"),
}
ALGORITHM = {
    "served": N_("What is shown"),
    "blend": N_("The sources, blended"),
    "popularity": N_("Best-sellers"),
    "frequency": N_("Bought most often"),
    "history": N_("Buys it again"),
    "seen": N_("Seen and not yet bought"),
    "kin": N_("Customers who buy the same"),
    "together": N_("Bought together"),
    "viewed": N_("Looked at together"),
    "follows": N_("What comes next"),
    "sessions": N_("Visits like this one"),
    "bm25": N_("Wanted by the same customers"),
    "als": N_("Shared tastes"),
    "aisles": N_("Best-sellers of favourite categories"),
    "lately": N_("In demand right now"),
    "local": N_("In demand in the same shop"),
    "fresh": N_("New, in favourite categories"),
}
SOURCE = {
    "explore": N_("New, being tried"),
    "pinned": N_("Put there by a rule"),
    "chosen": N_("Not told to strangers"),
    "new": N_("New in the catalogue"),
}
PLACEMENT = {
    "home": N_("Home page"),
    "product": N_("Product page, similar"),
    "together": N_("Product page, bought together"),
    "cart": N_("Basket"),
    "order": N_("Order confirmation"),
    "buy_again": N_("Buy again"),
    "trending": N_("Trending"),
    "win_back": N_("Win back"),
    "email": N_("E-mail"),
    "push": N_("Push"),
    "onsite": N_("On-site message"),
    "store": N_("Shop staff"),
}
MODE = {
    "for_you": N_("what suits the customer best"),
    "similar": N_("what others look at as well"),
    "together": N_("what is bought in the same basket"),
    "due": N_("what it is time to buy again"),
    "trending": N_("what many want these days"),
    "win_back": N_("what was liked before"),
}
ACTION = {
    "pin": Word(N_("Put at a place"), "target", "accent"),
    "boost": Word(N_("Lift"), "arrow-up", "ok"),
    "bury": Word(N_("Lower"), "arrow-down", "warn"),
    "exclude": Word(N_("Never show"), "ban", "bad"),
    "cap_brand": Word(N_("Cap per brand"), "layout-grid"),
    "cap_category": Word(N_("Cap per category"), "layout-grid"),
    "price_band": Word(N_("Price band"), "scale"),
    "margin_floor": Word(N_("Margin floor"), "scale"),
    "again": Word(N_("After a purchase"), "refresh-cw"),
}
HINDRANCE = {
    1: N_("not for sale there"),
    2: N_("a rule leaves it out"),
    3: N_("bought lately"),
    4: N_("in the basket, or left out by whoever asked"),
}
ARMS = {
    "treated": N_("in the group written to; who is left alone is drawn by chance"),
    "holdout": N_("left alone, drawn by chance, to compare with"),
    "everywhere": N_("left alone by every campaign, drawn by chance, to compare with"),
}
PARTS = {
    "planned": ngettext("planned", "planned"),
    "accepted": ngettext("accepted", "accepted"),
    "not_sent": ngettext("not sent, with its reason", "not sent, with their reason"),
    "failed": ngettext("failed", "failed"),
    "uncertain": ngettext("uncertain", "uncertain"),
    "waiting": ngettext("waiting", "waiting"),
}
ROLES = {"admin": N_("Administrator"), "marketer": N_("Marketer"), "analyst": N_("Analyst"), "store": N_("Shop")}

REASONS = {
    "no_address": N_("no address to write to"),
    "bad_address": N_("the address cannot be right"),
    "no_consent": N_("never agreed to be written to"),
    "unsubscribed": N_("said no"),
    "topic_left": N_("said no to what it is about"),
    "suppressed": N_("address set aside after a bounce or a complaint"),
    "silent": N_("no sign of life for long: left in peace"),
    "bought": N_("bought meanwhile"),
    "cart_emptied": N_("emptied the basket"),
    "cart_changed": N_("still busy with the basket"),
    "cap": N_("has had as many messages as allowed"),
    "quiet_hours": N_("quiet hours where the customer lives"),
    "outranked": N_("another campaign went first"),
    "left_journey": N_("the journey was over"),
    "host_rate": N_("the rate of this mailbox host"),
    "warm_up": N_("the sender is still being introduced to this host"),
    "overdue": N_("should have gone out long ago: waits for a decision"),
    "dropped_by_operator": N_("somebody decided it was too late"),
    "sending_held": N_("everything is held"),
    "sent_before_restore": N_("had left before the database was restored"),
    "campaign_paused": N_("the campaign is paused"),
    "campaign_cancelled": N_("the campaign was cancelled"),
    "channel_not_connected": N_("no provider carries this channel yet"),
    "exited": N_("left: an event or a step ended it"),
    "duplicate_address": N_("this address got the message already under another name"),
    "too_late": N_("too late to be of use"),
    "content": N_("the mail could not be written in full"),
    "no_code": N_("there was no promo code to give"),
    "refused": N_("refused by the provider"),
    "retries_exhausted": N_("refused too many times"),
    "provider_busy": N_("the provider asks to wait"),
    "provider_down": N_("the provider does not answer"),
    "provider_misconfigured": N_("the provider refuses our settings"),
    "no_answer": N_("handed over, no answer came; never sent again without proof"),
    "worker_lost": N_("the sender stopped while handing over; never sent again without proof"),
    "hard_bounce": N_("the address does not exist"),
    "soft_bounce": N_("the mailbox would not take it"),
    "complaint": N_("reported as unwanted"),
    "converted": N_("bought"),
    "emptied": N_("emptied the basket"),
    "ended": N_("the time to buy ran out"),
    "cancelled": N_("the campaign was cancelled"),
    "no_identity": N_("says neither who nor which browser"),
    "no_name": N_("has no name"),
    "unknown_type": N_("is of no known type"),
    "wrong_type": N_("holds a value of the wrong kind"),
    "impossible_time": N_("has an impossible time"),
    "too_large": N_("is too large"),
    "too_deep": N_("is nested too deep"),
    "bad_text": N_("holds text that is no text"),
    "two_known_customers": N_("would make two known customers one"),
    "not_stored": N_("could not be stored"),
}


def word(table: dict[str, Word], key: str) -> Word:
    """The word for a key in the reader's language; a word nobody foresaw is shown as it is."""
    found = table.get(key)
    return Word(i18n.gettext(found.word), found.icon, found.tone) if found else Word(key, "circle-dashed")


def job(name: str) -> str:
    """What a job does, and for which channel if it has one for each."""
    kind, _, channel = name.partition(" ")
    does = i18n.gettext(JOB[kind]) if kind in JOB else name
    return i18n.gettext("%(what)s: %(n)s", what=does, n=word(CHANNEL, channel).word) if channel else does


def reason(key: str | None) -> str:
    """A stable reason as a half-sentence; one nobody foresaw is shown as it is."""
    if not key:
        return ""
    return i18n.gettext(REASONS[key]) if key in REASONS else key
