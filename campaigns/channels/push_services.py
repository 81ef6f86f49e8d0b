"""The push services browsers use. A subscription's address comes from a browser: nothing else is ever called."""

from urllib.parse import urlsplit

HOSTS = ("fcm.googleapis.com", "jmt17.google.com", "updates.push.services.mozilla.com", "web.push.apple.com")
"""Chrome; Chromium without Google's keys; Firefox; Safari."""
BENEATH = (".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com")
LONGEST = 2000


def wrong(endpoint: str) -> str | None:
    """Why nothing may be sent to this address, as the end of a sentence; None if a known service stands there."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return "is no address"
    host = parts.hostname or ""
    if parts.scheme != "https" or port not in (None, 443) or parts.username or parts.password or parts.fragment:
        return "must be an https address of a push service"
    if len(endpoint) > LONGEST or any(not 33 <= ord(letter) < 127 for letter in endpoint) or "\\" in endpoint:
        return "must be an address of at most 2,000 plain letters"
    if host not in HOSTS and not host.endswith(BENEATH):
        return "is at no push service a browser uses"
    return None
