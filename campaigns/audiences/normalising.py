"""Addresses and numbers as each ad platform wants them before SHA-256. Pure.

The rules differ, so a hash made for one platform means nothing to another:

* Meta: small letters without spaces around; dots and `+tags` stay. Numbers are digits alone, country code first.
  (Marketing API, "Customer Information Parameters")
* Google: small letters without any space; at gmail.com and googlemail.com the dots before the @ go, and the `+` with
  what follows it. Numbers are E.164 with the plus sign. (Data Manager API, "Format user data")
* A file for any other platform: small letters without spaces around, and E.164.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

Form = Callable[[str], str]

_GMAIL = ("gmail.com", "googlemail.com")
_SPACES = re.compile(r"\s+")
_NO_DIGITS = re.compile(r"\D+")


@dataclass(frozen=True, slots=True)
class Rules:
    """How one platform writes an e-mail address and a phone number given in E.164."""

    email: Form
    phone: Form


def digest(form: Form, value: str | None) -> bytes | None:
    """SHA-256 of the value in that form; None where there is none, or nothing is left of it."""
    written = form(value) if value else ""
    return hashlib.sha256(written.encode()).digest() if written else None


def plain_email(address: str) -> str:
    """` John_Smith@Gmail.com ` is `john_smith@gmail.com`."""
    return address.strip().lower()


def google_email(address: str) -> str:
    """`Cloudy.SanFrancisco+shopping@gmail.com` is `cloudysanfrancisco@gmail.com`; other hosts keep dots and tags."""
    written = _SPACES.sub("", address).lower()
    name, at, host = written.rpartition("@")
    if host in _GMAIL:
        name = name.partition("+")[0].replace(".", "")
    return name + at + host if name else ""


def digits(number: str) -> str:
    """`+1 (650) 555-1212` is `16505551212`: no sign, no leading zeros."""
    return _NO_DIGITS.sub("", number).lstrip("0")


def e164(number: str) -> str:
    """`+1 (800) 555-0100` is `+18005550100`."""
    return f"+{plain}" if (plain := digits(number)) else ""


META = Rules(plain_email, digits)
GOOGLE = Rules(google_email, e164)
PLAIN = Rules(plain_email, e164)
