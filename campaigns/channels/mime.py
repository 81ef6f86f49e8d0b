"""One e-mail as bytes: text and HTML, one-click unsubscribe headers, a Message-ID that is the message's own.

Built by hand: `email.message` takes ten times as long, and the same content must always give the same bytes.
"""

import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache
from uuid import UUID

from campaigns.channels.base import Mail

_PLAIN = re.compile(r"[A-Za-z0-9][\w+-]*(?:\.[\w+-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)
"""An address that is nothing else, as nearly all are; any other is taken apart."""


class Unsendable(ValueError):
    """A header or address that would break out of its line, or that nobody could carry."""


def headers(
    message_id: UUID,
    *,
    sender: str,
    campaign: str,
    list_name: str,
    unsubscribe: str,
    at: datetime,
    unsubscribe_by_mail: str | None = None,
) -> dict[str, str]:
    """The headers of a marketing mail beside sender, address and subject (RFC 2369, 2919, 8058).

    :param unsubscribe: the https address that unsubscribes on POST
    :param unsubscribe_by_mail: an address whose mailbox is read, and that unsubscribes whoever writes to it
    """
    domain = sender_domain(sender)
    ways = [f"<{unsubscribe}>", *([f"<mailto:{unsubscribe_by_mail}>"] if unsubscribe_by_mail else [])]
    return {
        "Message-ID": f"<{message_id}@{domain}>",
        "Date": _date(at),
        "List-Unsubscribe": ", ".join(ways),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Id": f"{_encoded(list_name)} <{campaign}.{domain}>",
    }


@lru_cache(maxsize=16)
def _date(at: datetime) -> str:
    return format_datetime(at)


@lru_cache(maxsize=256)
def sender_domain(sender: str) -> str:
    """The part after the @ of the sender's address, as the network writes it."""
    return ascii_domain(parseaddr(sender)[1]).rpartition("@")[2] or "localhost"


def ascii_domain(address: str) -> str:
    """The address with its domain as the network writes it (IDNA): `é@café.fr` → `é@xn--caf-dma.fr`."""
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}{at}{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise Unsendable("the domain of an address is no domain") from error


def envelope(address: str) -> str:
    """The bare address for the envelope. Its local part may be of any script, which only some hosts carry (RFC 6531).

    Raises `Unsendable` for what is no address.
    """
    if _PLAIN.fullmatch(address):
        return address
    refuse_line_breaks({"an address": address})
    bare = ascii_domain(parseaddr(address)[1])
    if "@" not in bare[1:] or any(letter in bare for letter in "<> \t") or not bare.isprintable():
        raise Unsendable("an address is not one")
    return bare


def encode(mail: Mail) -> bytes:
    """The whole message as it goes over the wire, lines ending in CR LF; ASCII but for addresses that are not."""
    top = {
        "From": _address(mail.sender),
        "To": _address(mail.address),
        "Subject": _encoded(mail.subject),
        # In one order, for the database gives them back in another than they were given to it.
        **dict(sorted(mail.headers.items())),
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative; boundary="={mail.message_id.hex}"',
    }
    refuse_line_breaks(top)
    lines = [f"{name}: {value}" for name, value in top.items()]
    for kind, text in (("plain", mail.text), ("html", mail.html)):
        lines += ["", f"--={mail.message_id.hex}", f"Content-Type: text/{kind}; charset=utf-8"]
        lines += ["Content-Transfer-Encoding: base64", "", *_base64(text)]
    lines += [f"--={mail.message_id.hex}--", ""]
    return "\r\n".join(lines).encode()


def _base64(text: str) -> list[str]:
    """Lines of 76 letters (RFC 2045, 6.8)."""
    letters = binascii.b2a_base64(text.encode(), newline=False).decode()
    return [letters[start : start + 76] for start in range(0, len(letters), 76)]


def refuse_line_breaks(values: Mapping[str, str]) -> None:
    """Raises if a value would start a header of its own. Folded encoded words are ours and stay."""
    whole = "".join(values.values())
    if not ("\n" in whole or "\r" in whole or "\0" in whole):
        return
    for name, value in values.items():
        if any(letter in value.replace("\r\n ", "") for letter in "\r\n\0"):
            raise Unsendable(f"{name} holds a line break")


def _address(text: str) -> str:
    bare = envelope(text)
    name = parseaddr(text)[0]
    if not bare.isascii():
        return f"{_encoded(name)} <{bare}>" if name else bare
    return formataddr((name, bare)) if name.isascii() else f"{_encoded(name)} <{bare}>"


@lru_cache(maxsize=4_096)
def _encoded(text: str) -> str:
    refuse_line_breaks({"a header": text})
    return text if text.isascii() else Header(text, "utf-8").encode(linesep="\r\n")
