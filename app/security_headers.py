"""What every request and answer is held to: sizes coming in, what a browser may do with what goes out."""

import secrets

from flask import Flask, Response, g

from app import parts

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
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", _policy())
    if parts.current_parts().config.base_url.startswith("https:"):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    return response


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
