"""Signed links: click, open, unsubscribe, preferences, restored cart, code picture; a key of its own for each.

A token says which message it came from, never who is at the browser: mails are forwarded. Where a click leads is
looked up in the message itself, so no address is ever a parameter. The first secret signs; all of them are accepted,
and each token names the one it was signed with. 128 bits of HMAC-SHA256 stand behind every token.
"""

import hashlib
import hmac
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from campaigns.rules import Policy

SIGNATURE = 16
MOST_LINKS = 65_535
BLOCK_HOSTS = ("openstreetmap.org",)
"""Where blocks of our own lead, whatever hosts the merchant lists."""
RETURNED, UNSUBSCRIBING = "b", "u"
"""What a mail to one of our own addresses is about: a message that came back, or a wish to get no more."""


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


@dataclass(frozen=True, slots=True)
class Reach:
    """Which hosts links may lead to, asked when a message is written and again when a link of it is followed.

    `ours` are this installation's own names; `listed` the merchant's, each with what is beneath it; `notice` is where
    the privacy notice of the settings stands.
    """

    base_url: str
    ours: frozenset[str]
    listed: tuple[str, ...] = ()
    notice: str = ""

    def trusted(self, url: str | None) -> str | None:
        """The full address if its host is ours or listed, else None: for what whoever holds the public key may name."""
        full = absolute(url, self.base_url)
        return full if full and (_host(full) in self.ours or _beneath(_host(full), self.listed)) else None

    def leading(self, url: str | None) -> str | None:
        """The full address of what the merchant, the catalogue or a frozen message names: any host, unless some are
        listed."""
        full = absolute(url, self.base_url)
        if full is None or not self.listed or self.trusted(full):
            return full
        return full if _host(full) == self.notice or _beneath(_host(full), BLOCK_HOSTS) else None

    def beside(self, url: str | None, pages: Iterable[str | None]) -> str | None:
        """The full address of a basket's page, which anybody may name: trusted, or with no list on the host of one of
        these pages of the catalogue, or beneath it."""
        full = self.trusted(url)
        if full or self.listed:
            return full
        full = absolute(url, self.base_url)
        known = [_host(one).removeprefix("www.") for page in pages if (one := absolute(page, self.base_url))]
        return full if full and _beneath(_host(full), known) else None


class Links:
    """Makes and reads every signed address. Readers give None for whatever was not signed here.

    :param base_url: where the installation is reached
    :param tracking_url: the sub-domain the links of messages go by, if they have one of their own
    :param return_address: where messages come back to, if its mailbox is read
    """

    def __init__(
        self,
        secret_keys: Sequence[str],
        base_url: str,
        *,
        tracking_url: str | None = None,
        return_address: str | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.return_address = return_address
        self.tracking_url = (tracking_url or base_url).rstrip("/")
        self._keys = [key.encode() for key in secret_keys]
        self._derived: dict[str, list[_Key]] = {}

    def reach(self, policy: Policy) -> Reach:
        """Where links may lead under the merchant's rules."""
        ours = frozenset(_host(address) for address in (self.base_url, self.tracking_url))
        notice = absolute(policy.privacy_url, self.base_url)
        return Reach(self.base_url, ours, policy.link_hosts, notice=_host(notice) if notice else "")

    def click(self, message_id: UUID, n: int) -> str:
        """The address that counts a click on link `n`, then leads where the message says."""
        return self._address("c", message_id.bytes + n.to_bytes(2, "big"))

    def open(self, message_id: UUID) -> str:
        """The address of the picture that tells a message was opened."""
        return self._address("o", message_id.bytes)

    def honeypot(self, message_id: UUID) -> str:
        """An address nobody can see in the message: who follows it is a machine."""
        return self._address("h", message_id.bytes)

    def unsubscribe(self, message_id: UUID) -> str:
        """The address that shows a page on GET and unsubscribes on POST (RFC 8058)."""
        return self._address("u", message_id.bytes)

    def unsubscribe_by_mail(self, message_id: UUID) -> str | None:
        """The address a mail program may write to instead, if a mailbox of ours is read."""
        return self.mailbox(UNSUBSCRIBING, message_id, address=self.return_address) if self.return_address else None

    def preferences(self, message_id: UUID) -> str:
        """The page where a customer chooses what she receives."""
        return self._address("preferences", message_id.bytes)

    def view(self, message_id: UUID) -> str:
        """The message as a page, for who cannot read it where it arrived."""
        return self._address("v", message_id.bytes)

    def confirm(self, message_id: UUID) -> str:
        """The page where who asked to be written to says yes a second time; opening it does nothing."""
        return self._address("k", message_id.bytes)

    def restore(self, cart_ref: int, *, code: str | None, message_id: UUID) -> str:
        """The address that reopens a cart on any device, its code applied."""
        return self._address("r", cart_ref.to_bytes(8, "big") + message_id.bytes + (code or "").encode())

    def survey(self, message_id: UUID, *, score: int | None = None) -> str:
        """The page with a message's question, an answer chosen if `score` is given; opening it answers nothing."""
        return self._address("s", message_id.bytes) + (f"?score={score}" if score is not None else "")

    def code_image(self, code: str, *, kind: str = "code") -> str:
        """The address of a code's picture: bars, or a square if `kind` is `qr`."""
        return self._address(f"p/{kind}", code.encode()) + ".png"

    def mailbox(self, purpose: str, message_id: UUID, *, address: str) -> str:
        """An address of our own that says what a mail to it is about: `bounces@m.fr` → `bounces+b…@m.fr`.

        Mail hosts change capitals and allow 64 characters before the @, so it is base32, with 80 bits of signature.
        """
        local, _, domain = address.rpartition("@")
        key = self._signing(f"mail.{purpose}")[0]
        payload = key.letter + message_id.bytes
        token = b32encode(payload + key.sign(payload)[:10]).decode().rstrip("=").lower()
        return f"{local}+{purpose}{token}@{domain}"

    def read_mailbox(self, purpose: str, token: str) -> UUID | None:
        """The message of what stands between the `+` and the `@`, the letter of its purpose taken off."""
        try:
            raw = b32decode(token.upper() + "=" * (-len(token) % 8))
        except ValueError:
            return None
        payload, signature = raw[:17], raw[17:]
        keys = [key for key in self._signing(f"mail.{purpose}") if key.letter == payload[:1]]
        good = any(hmac.compare_digest(key.sign(payload)[:10], signature) for key in keys)
        return UUID(bytes=payload[1:]) if good and len(raw) == 27 else None

    def read_click(self, token: str) -> Click | None:
        value = self._read("c", token)
        return Click(UUID(bytes=value[:16]), int.from_bytes(value[16:], "big")) if value else None

    def read_open(self, token: str) -> UUID | None:
        return self._message("o", token)

    def read_honeypot(self, token: str) -> UUID | None:
        return self._message("h", token)

    def read_unsubscribe(self, token: str) -> UUID | None:
        return self._message("u", token)

    def read_survey(self, token: str) -> UUID | None:
        return self._message("s", token)

    def read_preferences(self, token: str) -> UUID | None:
        return self._message("preferences", token)

    def read_view(self, token: str) -> UUID | None:
        return self._message("v", token)

    def read_confirm(self, token: str) -> UUID | None:
        return self._message("k", token)

    def read_restore(self, token: str) -> Restore | None:
        value = self._read("r", token)
        if value is None:
            return None
        return Restore(int.from_bytes(value[:8], "big"), value[24:].decode() or None, UUID(bytes=value[8:24]))

    def read_code(self, token: str, *, kind: str = "code") -> str | None:
        value = self._read(f"p/{kind}", token.removesuffix(".png"))
        return value.decode() if value else None

    def _message(self, purpose: str, token: str) -> UUID | None:
        value = self._read(purpose, token)
        return UUID(bytes=value) if value else None

    def _address(self, purpose: str, value: bytes) -> str:
        key = self._signing(purpose)[0]
        payload = key.letter + value
        signed = payload + key.sign(payload)[:SIGNATURE]
        return f"{self.tracking_url}/{purpose}/{urlsafe_b64encode(signed).rstrip(b'=').decode()}"

    def _read(self, purpose: str, token: str) -> bytes | None:
        """What was signed; None for a single bit that is another, also those base64 leaves unused."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        if urlsafe_b64encode(raw).rstrip(b"=") != token.encode(errors="replace"):
            return None
        payload, signature = raw[:-SIGNATURE], raw[-SIGNATURE:]
        keys = [key for key in self._signing(purpose) if key.letter == payload[:1]]
        good = any(hmac.compare_digest(key.sign(payload)[:SIGNATURE], signature) for key in keys)
        return payload[1:] if good else None

    def _signing(self, purpose: str) -> "list[_Key]":
        """The keys of a purpose, the first of which signs."""
        if purpose not in self._derived:
            salt = f"relance.{purpose}".encode()
            self._derived[purpose] = [
                _Key(hashlib.sha256(key).digest()[:1], hmac.digest(key, salt, "sha256")) for key in self._keys
            ]
        return self._derived[purpose]


class _Key:
    """HMAC-SHA256 (RFC 2104) with the work on the key done once: a message has twenty links.

    `letter` is the byte the key is known by in its tokens.
    """

    def __init__(self, letter: bytes, key: bytes) -> None:
        self.letter = letter
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, text: bytes) -> bytes:
        """The 32 bytes that stand for this text under this key."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()


@lru_cache(maxsize=16_384)
def absolute(url: str | None, base_url: str) -> str | None:
    """The full http address, else None: nothing but http leads out of a mail.

    A backslash is a slash to browsers and none to others, and what stands before an @ looks like a host: neither leads.
    A full address stays as it is to the letter.
    """
    if not url or "\\" in url or any(ord(letter) < 33 for letter in url):
        return None
    try:
        given = urlsplit(url)
        full = url if given.scheme and given.netloc else urljoin(f"{base_url}/", url)
        parts = urlsplit(full)
        host, _ = (parts.hostname or "").encode("idna"), parts.port  # both raise for what there cannot be
    except ValueError:
        return None
    return full if parts.scheme in ("http", "https") and host and "@" not in parts.netloc else None


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""


def _beneath(host: str, names: Iterable[str]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)
