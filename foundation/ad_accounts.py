"""How a setting names an account at an ad platform: `meta:TOKEN[@HOST][?…]` or `google:FILE[@HOST]?…`. Pure but for
the credentials file Google hands out, which is read here."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

OPTIONS = {
    "meta": {"dataset": r"\d{1,20}"},
    "google": {"account": r"\d{10}", "login": r"\d{10}", "conversion": r"\d{1,20}"},
}
"""What may follow after a question mark, and how each is written."""

FORMS = {
    "meta": "meta:TOKEN or meta:TOKEN@https://host, then ?dataset=ID to send orders back",
    "google": "google:FILE or google:FILE@https://host, then ?account=ID, and &conversion=ID to send orders back",
}


@dataclass(frozen=True, slots=True)
class AdAccount:
    """One account. `secret` is Meta's token; `credentials` what Google's file holds; `host` only when it is another."""

    secret: str = field(repr=False)
    credentials: dict[str, Any] = field(repr=False)
    host: str | None
    options: dict[str, str]


def parse(kind: str, text: str) -> AdAccount:
    """Reads one; raises `ValueError` with what to write instead."""
    found = re.fullmatch(rf"{kind}:([^?]+?)(?:@(https?://[^?]+))?(?:\?(.*))?", text)
    if found is None or (found[2] and not urlsplit(found[2]).hostname):
        raise ValueError(f"give {FORMS[kind]}")
    options = dict(parse_qsl(found[3] or "", keep_blank_values=True))
    for name, value in options.items():
        if name not in OPTIONS[kind]:
            raise ValueError(f"does not know {name}; there are: {', '.join(OPTIONS[kind])}")
        if not re.fullmatch(OPTIONS[kind][name], value):
            raise ValueError(f"{name} cannot be {value!r}: give its number alone")
    if kind == "google" and "account" not in options:
        raise ValueError(f"names no account: give {FORMS[kind]}")
    credentials = _credentials(Path(found[1])) if kind == "google" else {}
    return AdAccount(found[1], credentials, found[2].rstrip("/") if found[2] else None, options)


def _credentials(path: Path) -> dict[str, Any]:
    try:
        held = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"names the file {str(path)!r}: {error.strerror}") from None
    except orjson.JSONDecodeError:
        held = None
    if not isinstance(held, dict):
        raise ValueError(f"names the file {str(path)!r}, which is no credentials file of Google's")
    return held
