"""Every error as an answer: `application/problem+json` (RFC 9457) for programs, a page for people."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import cast

import orjson
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from app import i18n
from foundation.errors import Conflict, Fault, Invalid, NotFound

log = logging.getLogger(__name__)

PROGRAMS = ("/v1/", "/beacon/", "/sourceConfig", "/hooks/")
"""Paths answered in JSON; the others are read by people."""


def answer(
    status: int,
    *,
    detail: str | None = None,
    reason: str | None = None,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document. `reason` is a stable word for programs; `faults` name each place that is wrong."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "faults": [{"pointer": _plain(fault.pointer), "detail": _plain(fault.detail)} for fault in faults],
    }
    if detail:
        document["detail"] = _plain(detail)
    if reason:
        document["reason"] = reason
    return Response(orjson.dumps(document), status, headers, mimetype="application/problem+json")


def _plain(text: str) -> str:
    """A fault may quote what was sent, and what was sent may hold half a character."""
    return text.encode(errors="replace").decode()


def register(app: Flask) -> None:
    """Makes the application answer every error in one shape, unknown paths and bugs included."""
    app.register_error_handler(Invalid, _invalid)
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(Conflict, _conflict)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _bug)


def _invalid(error: Invalid) -> Response:
    if _for_people():
        return _page(422)
    return answer(422, detail="What was sent cannot be accepted.", faults=error.faults)


def _not_found(error: NotFound) -> Response:
    return _page(404) if _for_people() else answer(404, detail=str(error) or None)


def _conflict(error: Conflict) -> Response:
    return _page(409) if _for_people() else answer(409, detail=str(error), reason=error.reason)


def _http(error: HTTPException) -> Response:
    if error.response is not None:
        return cast("Response", error.response)
    status = error.code or 500
    if _for_people():
        return _page(status)
    return answer(status, detail=error.description, headers=_headers(error))


def _headers(error: HTTPException) -> dict[str, str]:
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    if error.code == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.code == HTTPStatus.TOO_MANY_REQUESTS:
        headers.setdefault("Retry-After", "1")
    return headers


def _bug(error: Exception) -> Response:
    """What nobody foresaw: the caller gets a number to quote, the log the rest."""
    number = secrets.token_hex(6)
    log.error("request failed", extra={"error_id": number, "endpoint": request.endpoint}, exc_info=error)
    if _for_people():
        return _page(500, number=number)
    return answer(500, detail=f"Something went wrong here. Quote {number} when you ask about it.")


def _for_people() -> bool:
    return not request.path.startswith(PROGRAMS)


def _page(status: int, *, number: str | None = None) -> Response:
    page = render_template("public/error.html", status=status, number=number, language=i18n.locale())
    return Response(page, status)
