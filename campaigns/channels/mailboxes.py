"""Reading our own return mailbox, a directory or IMAP: mails are given out, and put away once they are dealt with."""

import imaplib
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

SECONDS = 20.0
REST = 900.0
"""Seconds a refused password is not said again."""
_UNAVAILABLE = "[UNAVAILABLE]"
"""The host cannot tell whether the password is right (RFC 5530)."""


class Unreachable(Exception):
    """The mailbox cannot be read now; its mails wait in it."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One mail as it came, and the name it has in the mailbox."""

    name: str
    raw: bytes


Handle = Callable[[Sequence[Arrived]], None]
"""What is done with mails; once it returns they are dealt with."""


class Mailbox(Protocol):
    """Where returned mails arrive."""

    def read(self, handle: Handle, *, limit: int) -> int:
        """Gives up to `limit` mails to `handle` and, once it returns, puts them away; the number of mails.

        If `handle` raises, or this process dies, they stay and come again. Raises `Unreachable`.
        """


@dataclass(frozen=True, slots=True)
class Maildir:
    """A directory with `new`, `cur` and `tmp`, as mail hosts write to."""

    path: Path

    def read(self, handle: Handle, *, limit: int) -> int:
        try:
            found = sorted((self.path / "new").iterdir())[:limit]
            mails = [Arrived(file.name, file.read_bytes()) for file in found if file.is_file()]
        except OSError as error:
            raise Unreachable(f"{self.path}: {error.strerror}") from error
        if mails:
            handle(mails)
        for file in found:
            file.rename(self.path / "cur" / f"{file.name}:2,S")
        return len(mails)


@dataclass(slots=True)
class Imap:
    """A folder on an IMAP host; what was dealt with is marked as read and stays there.

    A password it refuses is not said again for `rest` seconds by whoever keeps this: hosts lock an account after a few
    such tries.
    """

    host: str
    port: int
    user: str
    password: str
    folder: str
    tls: bool
    rest: float = REST
    _refused: tuple[float, str] | None = field(default=None, init=False, repr=False)

    def read(self, handle: Handle, *, limit: int) -> int:
        if self._refused is not None and time.monotonic() < self._refused[0] + self.rest:
            raise Unreachable(self._refused[1])
        try:
            with self._opened() as box:
                return self._read(box, handle, limit)
        except (OSError, imaplib.IMAP4.error) as error:
            raise Unreachable(f"{self.host}: {error}") from error

    def _opened(self) -> imaplib.IMAP4:
        box: imaplib.IMAP4
        if self.tls:
            context = ssl.create_default_context()
            box = imaplib.IMAP4_SSL(self.host, self.port, ssl_context=context, timeout=SECONDS)
        else:
            box = imaplib.IMAP4(self.host, self.port, timeout=SECONDS)
        try:
            self._log_in(box)
            if box.select(_quoted(self.folder))[0] != "OK":
                raise imaplib.IMAP4.error(f"there is no folder {self.folder}")
        except BaseException:
            box.shutdown()
            raise
        return box

    def _log_in(self, box: imaplib.IMAP4) -> None:
        try:
            box.login(self.user, self.password)
        except imaplib.IMAP4.abort:  # the line broke, or the host had no time
            raise
        except imaplib.IMAP4.error as error:
            said = _said(error)
            if _UNAVAILABLE in said:
                raise
            tried = f"{self.host} refuses our login ({said}); tried once every {self.rest / 60:.0f} minutes"
            self._refused = time.monotonic(), tried
            raise Unreachable(tried) from error

    def _read(self, box: imaplib.IMAP4, handle: Handle, limit: int) -> int:
        numbers = box.uid("SEARCH", "UNSEEN")[1][0].split()[:limit]
        mails = [Arrived(number.decode(), raw) for number in numbers if (raw := _fetched(box, number)) is not None]
        if mails:
            handle(mails)
            box.uid("STORE", ",".join(mail.name for mail in mails), "+FLAGS", r"(\Seen)")
        return len(mails)


def _fetched(box: imaplib.IMAP4, number: bytes) -> bytes | None:
    for piece in box.uid("FETCH", number.decode(), "(BODY.PEEK[])")[1]:
        if isinstance(piece, tuple):
            return bytes(piece[1])
    return None


def _said(error: imaplib.IMAP4.error) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def mailbox(url: str) -> Mailbox:
    """The mailbox of `RELANCE_RETURN_MAILBOX`, already checked by `Config`."""
    if url.startswith("maildir:"):
        return Maildir(Path(url.removeprefix("maildir:")))
    parts = urlsplit(url)
    tls = parts.scheme == "imaps"
    return Imap(
        host=parts.hostname or "localhost",
        port=parts.port or (993 if tls else 143),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        folder=unquote(parts.path.strip("/")) or "INBOX",
        tls=tls,
    )
