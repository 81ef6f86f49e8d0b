"""Whether a machine followed a link: mail scanners and preview makers open what nobody clicked. Pure."""

import re
from collections.abc import Mapping

_NAMES = re.compile(
    r"bot\b|crawl|spider|slurp|preview|scanner|proofpoint|barracuda|mimecast|symantec|safelinks|trendmicro|fortimail"
    r"|googleimageproxy|yahoomailproxy",
    re.IGNORECASE,
)


def is_machine(method: str, user_agent: str, headers: Mapping[str, str]) -> bool:
    """True if no person is behind the request. What cannot be told is taken for a person."""
    if method == "HEAD" or not user_agent:
        return True
    purpose = headers.get("Sec-Purpose", "") + headers.get("Purpose", "") + headers.get("X-Moz", "")
    return "prefetch" in purpose or _NAMES.search(user_agent) is not None
