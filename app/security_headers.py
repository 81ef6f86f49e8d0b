"""What every request and answer is held to: sizes coming in, what a browser may do with what goes out."""

import secrets

from flask import Flask, Response, g

from app import parts
from foundation.config import Config

LARGEST_BODY = 8 * 1024 * 1024
LARGEST_FORM = 500 * 1024
MOST_FORM_PARTS = 1000


def register(app: Flask) -> None:
    """Sets the limits, the headers of every answer, and `csp_nonce()` for the scripts of a page."""
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_FORM
    app.config["MAX_FORM_PARTS"] = MOST_FORM_PARTS
    app.add_template_global(csp_nonce)
    app.after_request(_harden)


def csp_nonce() -> str:
    """The word that lets this page's own inline script or style run; new for every answer."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _harden(response: Response) -> Response:
    """A view that set one of these headers itself, as the preview of a mail does, keeps its own."""
    headers = response.headers
    for name, value in common(parts.current_parts().config):
        headers.setdefault(name, value)
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", _policy())
    return response


def common(config: Config) -> list[tuple[str, str]]:
    """The headers of every answer, whatever it is."""
    found = [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin")]
    if config.base_url.startswith("https:"):
        found.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
    return found


def _policy() -> str:
    nonce = f"'nonce-{g.csp_nonce}'" if "csp_nonce" in g else ""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {nonce}".rstrip(),
            f"style-src 'self' {nonce}".rstrip(),
            "style-src-attr 'unsafe-inline'",  # widths of bars; an attribute runs nothing
            "img-src 'self' data: http: https:",  # product pictures stand where the shop keeps them
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
