"""Lets pages of any site call the paths that take a public key."""

from flask import Response, request


def any_origin(response: Response) -> Response:
    """An `after_request`: such paths know their caller by the key alone, so any site may call. What a pre-flight asks
    for is granted as asked, since SDKs add headers of their own."""
    headers = granted(request.headers.get("Origin"))
    if request.method == "OPTIONS":
        headers += preflight(request.headers.get("Access-Control-Request-Headers"))
    response.headers.update(headers)
    return response


def granted(origin: str | None) -> list[tuple[str, str]]:
    """The headers of an answer to a page of this origin."""
    if origin is None:
        return [("Access-Control-Allow-Origin", "*"), ("Vary", "Origin")]
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Vary", "Origin"),
        ("Access-Control-Allow-Credentials", "true"),
    ]


def preflight(asked: str | None) -> list[tuple[str, str]]:
    """The headers that let a page send what it asks to send."""
    return [
        ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"),
        ("Access-Control-Allow-Headers", asked or "Authorization, Content-Type"),
        ("Access-Control-Max-Age", "86400"),
    ]
