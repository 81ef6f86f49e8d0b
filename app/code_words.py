"""Why a promo code was refused, in a sentence for whoever stands at the till, in their language."""

from app import i18n
from app.i18n import N_
from campaigns.verdicts import Reason

REFUSED = {
    Reason.UNKNOWN: N_("There is no such code. Check its letters."),
    Reason.USED: N_("This code has been used already."),
    Reason.EXPIRED: N_("This code is no longer valid."),
    Reason.NOT_STARTED: N_("This code is not valid yet."),
    Reason.OTHER_CUSTOMER: N_("This code was given to somebody else, and is theirs alone."),
    Reason.ONCE: N_("This customer has used a code of this offer already."),
    Reason.CHANNEL: N_("This code does not hold on this channel."),
    Reason.STORE: N_("This code does not hold in this shop."),
    Reason.CURRENCY: N_("This code is for another currency."),
    Reason.NOT_STACKABLE: N_("This code cannot be added to another one."),
    Reason.CATEGORY: N_("Nothing in this basket is part of the offer."),
    Reason.MINIMUM: N_("The basket is too small for this code."),
    Reason.MARGIN: N_("The prices in this basket leave no room for this code."),
    Reason.BUDGET: N_("The budget of this offer is used up."),
}


def said(reason: str) -> str:
    """The sentence in the reader's language, typeset; a reason nobody foresaw is shown as it is."""
    return i18n.gettext(REFUSED[Reason(reason)]) if reason in REFUSED else reason
