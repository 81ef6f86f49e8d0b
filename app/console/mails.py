"""A mail shown inside a page: served alone, in a sandbox where nothing of it can run or reach the console."""

import re

from flask import Response
from markupsafe import escape

SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
"""What a mail one may click in is allowed: to open its links in a tab of their own."""


def answer(html: str, *, clickable: bool, warning: str | None = None) -> Response:
    """The mail as a page for an `<iframe sandbox>`; its links open beside the console, or nowhere."""
    policy = "; ".join(
        (
            f"sandbox {SANDBOX}" if clickable else "sandbox",
            "default-src 'none'",
            "img-src http: https: data:",
            "style-src 'unsafe-inline'",
            "frame-ancestors 'self'",
        )
    )
    return Response(
        framed(warned(html, warning) if warning else html),
        headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"},
    )


def warned(html: str, warning: str) -> str:
    """The mail beneath a line that says what is wrong with it."""
    line = f'<p role="alert" style="margin:0;padding:12px 20px;background:#fbe9d0;color:#5b3a06">{escape(warning)}</p>'
    opened = re.search(r"<body[^>]*>", html, re.IGNORECASE)
    return html[: opened.end()] + line + html[opened.end() :] if opened else line + html


def framed(html: str) -> str:
    """The mail with its links told to open in a tab of their own."""
    base = '<base target="_blank">'
    opened = re.search(r"<head[^>]*>", html, re.IGNORECASE)
    return html[: opened.end()] + base + html[opened.end() :] if opened else base + html
