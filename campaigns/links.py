"""Signed links: click, open, unsubscribe, preferences, restored cart, code picture; a salt for each.

A token says which message it came from, never who is at the browser: mails are forwarded. Where a click leads is
looked up in the message itself, so no address is ever a parameter. The first secret signs; all of them are accepted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer


@dataclass(frozen=True, slots=True)
class Click:
    """Link number `n` of a message."""

    message_id: UUID
    n: int


@dataclass(frozen=True, slots=True)
class Restore:
    """A cart to reopen, with the code that came with it."""

    cart_ref: int
    code: str | None
    message_id: UUID


class Links:
    """Makes and reads every signed address. Readers give None for whatever was not signed here."""

    def __init__(self, secret_keys: Sequence[str], base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._keys = list(reversed(secret_keys))  # itsdangerous signs with the last and accepts all

    def click(self, message_id: UUID, n: int) -> str:
        """The address that counts a click on link `n`, then leads where the message says."""
        return self._address("c", [message_id.hex, n])

    def open(self, message_id: UUID) -> str:
        """The address of the picture that tells a message was opened."""
        return self._address("o", message_id.hex)

    def unsubscribe(self, message_id: UUID) -> str:
        """The address that shows a page on GET and unsubscribes on POST (RFC 8058)."""
        return self._address("u", message_id.hex)

    def preferences(self, message_id: UUID) -> str:
        """The page where a customer chooses what she receives."""
        return self._address("preferences", message_id.hex)

    def restore(self, cart_ref: int, *, code: str | None, message_id: UUID) -> str:
        """The address that reopens a cart on any device, its code applied."""
        return self._address("r", [cart_ref, code, message_id.hex])

    def survey(self, message_id: UUID, *, score: int | None = None) -> str:
        """The page with a message's question, an answer chosen if `score` is given; opening it answers nothing."""
        return self._address("s", message_id.hex) + (f"?score={score}" if score is not None else "")

    def code_image(self, code: str) -> str:
        """The address of a code's barcode picture."""
        return self._address("p/code", code) + ".png"

    def read_click(self, token: str) -> Click | None:
        value = self._read("c", token)
        return Click(UUID(value[0]), int(value[1])) if isinstance(value, list) else None

    def read_open(self, token: str) -> UUID | None:
        return self._message("o", token)

    def read_unsubscribe(self, token: str) -> UUID | None:
        return self._message("u", token)

    def read_survey(self, token: str) -> UUID | None:
        return self._message("s", token)

    def read_preferences(self, token: str) -> UUID | None:
        return self._message("preferences", token)

    def read_restore(self, token: str) -> Restore | None:
        value = self._read("r", token)
        return Restore(int(value[0]), value[1], UUID(value[2])) if isinstance(value, list) else None

    def read_code(self, token: str) -> str | None:
        value = self._read("p/code", token.removesuffix(".png"))
        return value if isinstance(value, str) else None

    def _message(self, purpose: str, token: str) -> UUID | None:
        value = self._read(purpose, token)
        return UUID(value) if isinstance(value, str) else None

    def _address(self, purpose: str, value: object) -> str:
        return f"{self.base_url}/{purpose}/{self._signer(purpose).dumps(value)}"

    def _read(self, purpose: str, token: str) -> object:
        try:
            return cast("object", self._signer(purpose).loads(token))
        except BadSignature:
            return None

    def _signer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(self._keys, salt=f"relance.{purpose}")


def absolute(url: str | None, base_url: str) -> str | None:
    """The full http address, else None: nothing but http leads out of a mail."""
    if not url or any(ord(letter) < 33 for letter in url):
        return None
    try:
        full = urljoin(f"{base_url}/", url)
        parts = urlsplit(full)
    except ValueError:
        return None
    return full if parts.scheme in ("http", "https") and parts.hostname else None


def allowed(url: str | None, *, base_url: str, hosts: Collection[str]) -> str | None:
    """The full address if its host is ours or one of `hosts` (or beneath one), else None."""
    full = absolute(url, base_url)
    if full is None:
        return None
    host, own = urlsplit(full).hostname or "", urlsplit(base_url).hostname or ""
    trusted = host == own or any(host == name or host.endswith(f".{name}") for name in hosts)
    return full if trusted else None


def leading(url: str | None, *, base_url: str, hosts: Collection[str]) -> str | None:
    """The full address of what the catalogue or a frozen message names: any host, unless the merchant lists them."""
    return allowed(url, base_url=base_url, hosts=hosts) if hosts else absolute(url, base_url)
