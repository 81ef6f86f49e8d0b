"""A mail shown inside a page: served alone, in a sandbox where nothing of it can run or reach the console."""

import re

from flask import Response
from markupsafe import escape

SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
"""What a mail one may click in is allowed: to open its links in a tab of their own."""


def answer(html: str, *, clickable: bool, warning: str | None = None, scrolls: bool = False) -> Response:
    """The mail as a page for an `<iframe sandbox>`; its links open beside the console, or nowhere.

    One that `scrolls` lets the page around it read how far it was scrolled; without scripts it can do no more itself.
    """
    policy = "; ".join(
        (
            f"sandbox {SANDBOX}" if clickable else "sandbox allow-same-origin" if scrolls else "sandbox",
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


def lit(html: str, *, dark: bool) -> str:
    """The mail as readers show it by night, or by day, whatever the reader of the console has chosen."""
    asked = re.sub(r"@media\s*\(prefers-color-scheme:\s*dark\)", "@media all" if dark else "@media not all", html)
    return asked.replace('content="light dark"', f'content="{"dark" if dark else "light"}"')


def warned(html: str, warning: str) -> str:
    """The mail beneath a line that says what is wrong with it."""
    line = f'<p role="alert" style="margin:0;padding:12px 20px;background:#fbe9d0;color:#5b3a06">{escape(warning)}</p>'
    opened = re.search(r"<body[^>]*>", html, re.IGNORECASE)
    return html[: opened.end()] + line + html[opened.end() :] if opened else line + html


def headed(html: str, *, sender: str, subject: str, dark: bool) -> str:
    """The mail beneath what mail readers show above it: who it is from, and its subject."""
    ink, paper, line = ("#f1ebe0", "#1e1b17", "#38322b") if dark else ("#221f1a", "#ffffff", "#e6dfd2")
    style = f"padding:10px 20px;background:{paper};color:{ink};border-bottom:1px solid {line};font:13px/19px sans-serif"
    said = f'<div style="{style}"><b>{escape(sender.split(" <")[0])}</b><br>{escape(subject)}</div>'
    opened = re.search(r"<body[^>]*>", html, re.IGNORECASE)
    return html[: opened.end()] + said + html[opened.end() :] if opened else said + html


def framed(html: str) -> str:
    """The mail with its links told to open in a tab of their own."""
    base = '<base target="_blank">'
    opened = re.search(r"<head[^>]*>", html, re.IGNORECASE)
    return html[: opened.end()] + base + html[opened.end() :] if opened else base + html
