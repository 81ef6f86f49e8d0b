"""Mailbox hosts by group, and how many mails each group may get on a day while a new sender becomes known. Pure.

A host judges a sender it has never seen by its first days: few mails, to people who read them, then twice as many each
day as long as hardly any comes back. Groups are who decides, not names: hotmail.fr is Microsoft's.
"""

from dataclasses import dataclass
from datetime import date

GROUPS = ("gmail", "outlook", "yahoo", "apple", "orange", "free", "sfr", "laposte", "other")

_GROUP_OF = {
    **dict.fromkeys(("gmail.com", "googlemail.com"), "gmail"),
    **dict.fromkeys(("icloud.com", "me.com", "mac.com"), "apple"),
    **dict.fromkeys(("orange.fr", "wanadoo.fr", "voila.fr"), "orange"),
    **dict.fromkeys(("free.fr", "online.fr", "aliceadsl.fr", "libertysurf.fr"), "free"),
    **dict.fromkeys(("sfr.fr", "neuf.fr", "cegetel.net", "club-internet.fr", "numericable.fr", "9online.fr"), "sfr"),
    **dict.fromkeys(("laposte.net",), "laposte"),
}
_BRANDS = {
    **dict.fromkeys(("outlook", "hotmail", "live", "msn"), "outlook"),
    **dict.fromkeys(("yahoo", "ymail", "rocketmail", "aol"), "yahoo"),
}
"""Hosts with a name in every country."""

KNOWN = 1_000_000
"""From this many a day on, a sender is known and nothing limits it."""
MOST_BOUNCED, MOST_COMPLAINED = 0.02, 0.001
"""Above either, the plan stands still for a day."""


def group_of(address: str) -> str:
    """Which group of hosts an address is with."""
    domain = address.rpartition("@")[2].strip().lower()
    return _GROUP_OF.get(domain) or _BRANDS.get(domain.partition(".")[0], "other")


@dataclass(frozen=True, slots=True)
class Day:
    """What came of one day's mails to a group."""

    sent: int = 0
    bounced: int = 0
    complained: int = 0

    @property
    def bad(self) -> bool:
        """Too much of it came back."""
        return self.bounced > MOST_BOUNCED * self.sent or self.complained > MOST_COMPLAINED * self.sent


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A plan: so many mails to each group on the first day, `factor` times as many on each day after a good one."""

    begins: date
    first_day: int = 500
    factor: float = 2.0

    def ceiling(self, before: int | None, went: Day | None) -> int:
        """The most mails to one group on a day, given the ceiling of the last day it got any, and what came of them.

        A day after one that went badly, or on which nothing was sent, has the same ceiling again.
        """
        if before is None or went is None:
            return self.first_day
        return before if went.bad or not went.sent else min(int(before * self.factor), KNOWN)
