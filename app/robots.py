"""Whether a machine followed a link, by the request alone: mail scanners and preview makers open what nobody clicked.

Pure. Most scanners call themselves browsers: what the visits of one message say together is in `campaigns/visits.py`.
Apple's mail program fetches every picture as soon as a mail arrives, under a name that says nothing; Google's and
Yahoo's fetch it when it is looked at, so they are their readers.
"""

import ipaddress
import re
from collections.abc import Mapping

_NAMES = re.compile(
    r"bot\b|crawl|spider|slurp|preview|scanner|proofpoint|barracuda|mimecast|symantec|safelinks|trendmicro|fortimail"
    r"|headless|python-|curl/|wget|go-http|java/|okhttp|libwww|apache-httpclient|axios|node-fetch|phantomjs|sophos"
    r"|forcepoint|zscaler|fireeye|cisco|ironport|urldefense|bitdefender|kaspersky|mailguard"
    r"|validator|monitor|uptime|skypeuripreview|facebookexternalhit|whatsapp|slackbot|telegrambot|twitterbot",
    re.IGNORECASE,
)
_OFFICE = re.compile(r"ms-?office", re.IGNORECASE)
"""Looks at a link before it opens it in a browser; but its pictures are what somebody sees in Outlook."""
_NAMELESS = ("Mozilla/5.0", "Mozilla/4.0")
"""Apple's relay says no more than this."""

_NETWORKS = tuple(map(ipaddress.ip_network, ("17.0.0.0/8", "2620:149::/32")))
"""Apple's own, where its relay fetches pictures from."""


def is_machine(
    method: str, user_agent: str, headers: Mapping[str, str], *, address: str | None = None, picture: bool = False
) -> bool:
    """True if no person is behind the request for a link, or for a `picture`. What cannot be told is taken for a
    person."""
    if not picture and _OFFICE.search(user_agent):
        return True
    if method == "HEAD" or not user_agent or user_agent.strip() in _NAMELESS:
        return True
    purpose = headers.get("Sec-Purpose", "") + headers.get("Purpose", "") + headers.get("X-Moz", "")
    return "prefetch" in purpose or _NAMES.search(user_agent) is not None or _relayed(address)


def is_readers_own(user_agent: str, *, address: str | None = None) -> bool:
    """True for a machine that fetches pictures for one reader's mail program, Apple's relay: whether she reads is not
    seen behind it, but that the mailbox is somebody's is."""
    return user_agent.strip() in _NAMELESS or _relayed(address)


def _relayed(address: str | None) -> bool:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return any(found in network for network in _NETWORKS if network.version == found.version)
