"""Keyset pages: where the next one begins, as one opaque word in the address."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from flask import request, url_for

SIZE = 50


def cursor(*key: Any) -> str:
    """The key of the last row shown, as text for an address."""
    return base64.urlsafe_b64encode(orjson.dumps([str(part) for part in key])).decode().rstrip("=")


def after(parts: int) -> list[str] | None:
    """The key in the address of this request; None on the first page, or when someone wrote nonsense."""
    given = request.args.get("after", "")
    try:
        key = orjson.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
    except (ValueError, binascii.Error):
        return None
    if isinstance(key, list) and len(key) == parts and all(isinstance(part, str) for part in key):
        return key
    return None


def moment(text: str) -> datetime | None:
    """A time out of a key; None when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def older(rows: Sequence[Any], *key: str, size: int = SIZE) -> str:
    """The address of the next page; empty when this one was not full. `key` names the fields it goes by."""
    if len(rows) < size:
        return ""
    return here(after=cursor(*(getattr(rows[-1], name) for name in key)))


def newest() -> str:
    """The address of the first page; empty when this is it."""
    return here(after=None) if "after" in request.args else ""


def here(**changed: str | None) -> str:
    """This address with some of its query changed; None takes a part away."""
    query: dict[str, Any] = {**asked(), **changed}
    given = {name: value for name, value in query.items() if value is not None}
    return url_for(request.endpoint or "", **(request.view_args or {}), **given)


def asked() -> dict[str, str]:
    """The query of this address, for `url_for`: without what stands in its path or what `url_for` itself listens to."""
    taken = {"endpoint", *(request.view_args or {})}
    return {name: value for name, value in request.args.to_dict().items() if name not in taken and name[:1] != "_"}
