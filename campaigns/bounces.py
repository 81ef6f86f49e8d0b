"""What a refusal means: whether the address, the mailbox, the message or we ourselves are at fault. Pure.

Mail hosts answer with an enhanced status (RFC 3463) and words of their own. Only what says that the address does not
exist may end the writing to a person; everything else is a bad day, or our fault, and says nothing about her.
"""

import re
from enum import StrEnum


class Fault(StrEnum):
    """Whose fault it was. Only `INVALID` is the address's own."""

    INVALID = "invalid_address"
    FULL = "mailbox_full"
    UNAVAILABLE = "mailbox_unavailable"
    VOLUME = "volume"
    CONTENT = "content"
    REPUTATION = "reputation"
    AUTHENTICATION = "authentication"
    TECHNICAL = "technical"
    UNKNOWN = "unknown"


_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")

_PRECISE = {
    **dict.fromkeys(("1.1", "1.2", "1.3", "1.6", "1.10", "4.1"), Fault.INVALID),
    **dict.fromkeys(("2.2", "1.4"), Fault.FULL),
    **dict.fromkeys(("2.3", "3.4", "6.0", "6.1", "6.2", "6.3", "6.5"), Fault.CONTENT),
    **dict.fromkeys(("1.7", "1.8", "6.7"), Fault.TECHNICAL),
    **dict.fromkeys(
        ("7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.27", "7.29", "7.509", "7.515"), Fault.AUTHENTICATION
    ),
    **dict.fromkeys(("7.28", "7.650", "7.651", "7.652"), Fault.VOLUME),
    **dict.fromkeys(("7.129", "7.133", "7.134", "7.124"), Fault.UNAVAILABLE),
    **dict.fromkeys(("7.606", "7.607", "7.708", "7.511", "7.501", "7.502", "7.503"), Fault.REPUTATION),
}
"""By the last two numbers, where hosts agree on them; those of 4.1 and 2.1 only when the refusal is for good."""

_WORDS = (
    (Fault.TECHNICAL, r"gr[ae]ylist"),
    (Fault.FULL, r"mailbox (is )?full|over ?quota|quota exceeded|exceed\w* (\w+ )?quota|insufficient .*storage|pleine"),
    (
        Fault.INVALID,
        r"(user|recipient|mailbox|account|address(ee)?|utilisateur|destinataire)\b.{0,40}?"
        r"(unknown|not found|(does ?n.t|does not) (exist|have)|inconnu|no longer|invalid|disabled)"
        r"|no such (user|recipient|mailbox|person|address)|unknown (user|recipient|mailbox|local part|address)"
        r"|invalid (recipient|mailbox|address|user)|recipient (address )?rejected: (access denied|undeliverable)"
        r"|no mailbox here|host( or domain name)? not found|domain (does not exist|not found)|null mx"
        r"|OFR_416|LPN105_410",
    ),
    (Fault.AUTHENTICATION, r"\b(dmarc|spf|dkim)\b|unauthenticated|not authenticated|reverse dns|\bptr\b"),
    (Fault.VOLUME, r"too many|rate limit|throttl|try again later.*(rate|limit)|frequency|OFR00[45]_104|LPN007_405"),
    (
        Fault.REPUTATION,
        r"black ?list|block ?list|spamhaus|barracuda|reputation|banned|\bblocked\b|\brbl\b|poor|OFR_506",
    ),
    (Fault.CONTENT, r"\bspam\b|spam(my)? (message|content)|virus|malware|phish|content|message (size|too)|suspicious"),
    (Fault.UNAVAILABLE, r"mailbox (temporarily )?unavailable|inactive|suspended|not accepting|restricted"),
    (Fault.TECHNICAL, r"time[d ]?-?out|connection|\bdns\b|resolve|\btls\b|loop|temporar|service|system"),
)
_PATTERNS = tuple((fault, re.compile(pattern, re.IGNORECASE)) for fault, pattern in _WORDS)

_BY_CLASS = {
    "1": Fault.INVALID,
    "2": Fault.UNAVAILABLE,
    "3": Fault.TECHNICAL,
    "4": Fault.TECHNICAL,
    "5": Fault.TECHNICAL,
    "6": Fault.CONTENT,
    "7": Fault.REPUTATION,
}


def classify(words: str, *, status: str | None = None) -> Fault:
    """Whose fault a refusal is.

    :param words: what the host said, with its codes in it
    :param status: the enhanced status if it came by itself, as `5.1.1`
    """
    found = _STATUS.search(status or "") or _STATUS.search(words)
    final = not found or found[1] == "5"
    if found and (precise := _precise(found[2], found[3], final=final)):
        return precise
    for fault, pattern in _PATTERNS:
        if pattern.search(words):
            return fault if final or fault is not Fault.INVALID else Fault.UNAVAILABLE
    if found is None or not final:
        return Fault.UNKNOWN if found is None else Fault.TECHNICAL
    return _BY_CLASS.get(found[2], Fault.UNKNOWN) if found[3] != "0" else Fault.UNKNOWN


def _precise(subject: str, detail: str, *, final: bool) -> Fault | None:
    fault = _PRECISE.get(f"{subject}.{detail}")
    if (subject, detail) == ("2", "1") and final:
        return Fault.INVALID  # the account is closed; 4.2.1 is one that gets too much
    if fault is Fault.INVALID and not final:
        return None
    return fault


def classified(word: str) -> Fault | None:
    """SendGrid's own classification in our words; None where it gives none."""
    return _SENDGRID.get(word.strip().lower())


_SENDGRID = {
    "invalid address": Fault.INVALID,
    "technical": Fault.TECHNICAL,
    "technical failure": Fault.TECHNICAL,
    "content": Fault.CONTENT,
    "reputation": Fault.REPUTATION,
    "frequency or volume too high": Fault.VOLUME,
    "frequency/volume": Fault.VOLUME,
    "mailbox unavailable": Fault.UNAVAILABLE,
}
