"""What the doctor found, in the reader's language."""

from app import i18n
from app.i18n import N_

SAID = {
    "settings": (N_("The settings are sound"), N_("A setting is wrong")),
    "database": (N_("The database answers"), N_("The database does not answer")),
    "fsync": (N_("What is written reaches the disk"), N_("What is written may not reach the disk: nothing is sent")),
    "synchronous_commit": (
        N_("A commit is on disk before it is answered"),
        N_("A commit may be lost in a crash: nothing is sent"),
    ),
    "scheduler": (N_("The scheduler is alive"), N_("The scheduler is silent: nothing is planned or sent")),
    "recommender": (N_("The model that was published serves"), N_("The model that was published is damaged")),
    "write keys": (N_("Sources have a key to send events with"), N_("No source can send events: there is no key")),
    "e-mail": (N_("E-mail has a channel"), N_("E-mail has no channel")),
    "promo codes": (N_("There are promo codes enough"), N_("Promo codes run out")),
    "sending": (N_("Nothing holds sending back"), N_("Everything is held: nothing is sent")),
    "ledger": (N_("The ledger adds up"), N_("The ledger of a campaign does not add up")),
    "pepper": (
        N_("Addresses that must not be used are recognised"),
        N_("The secret that addresses are recognised by was lost: nothing is sent"),
    ),
    "reports": (N_("Providers tell what became of messages"), N_("A provider tells less than it used to")),
    "sending domain": (N_("Mail comes from a name of the shop"), N_("Mail comes from a name nobody knows")),
    "unsubscribe link": (N_("One click unsubscribes, by https"), N_("Unsubscribing by one click does not go by https")),
    "SPF": (N_("Receivers know who may send for it"), N_("Receivers do not know who may send for it")),
    "DKIM": (N_("What we send is signed"), N_("What we send is not signed")),
    "DMARC": (N_("Receivers know what to do with forgeries"), N_("Receivers do not know what to do with forgeries")),
    "alignment": (
        N_("Signature or return address are of the sender"),
        N_("Neither signature nor return address are of the sender"),
    ),
    "tracking host": (N_("Links lead by a name of yours"), N_("Links do not lead by a name of yours")),
    "reverse DNS": (N_("Our host has a name that leads back to it"), N_("Our host has no name that leads back to it")),
    "DNS": (N_("Name servers answer"), N_("No name server answered")),
}


def said(subject: str, *, good: bool) -> str:
    """One finding as a sentence; its detail says what to do, in the words of the command line."""
    well, ill = SAID.get(subject, (subject, subject))
    return i18n.gettext(well if good else ill)
