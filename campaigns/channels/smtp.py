"""E-mail by any SMTP host, over a few connections that are kept, each command pipelined where the host allows it."""

import queue
import re
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from uuid import UUID

from campaigns import bounces
from campaigns.channels import mime, smtp_login, together
from campaigns.channels.base import Mail, Outcome, Receipt

CONNECT_SECONDS, READ_SECONDS = 3.0, 15.0
CONNECTIONS = 4
MOST_A_LINE = 500
"""Mails over one connection before it is replaced: many hosts hang up on those that never end."""
LOCAL = ("localhost", "127.0.0.1", "::1")

Sign = Callable[[bytes, str], bytes]
"""Adds a signature for the sender's domain to a message as it goes over the wire."""
ReturnPath = Callable[[UUID], str]
"""Where a message comes back to: an address of its own, so that a bounce says which it was."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where to deliver, and as whom. Credentials are only ever sent over TLS, or to this very machine.

    `tls` from the first byte; `starttls` refuses a host that does not offer it; `greeting` is our name in EHLO.
    """

    name: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    starttls: bool = False
    connections: int = CONNECTIONS
    greeting: str = "localhost"


class _Misconfigured(Exception):
    """The host refuses us, not the message."""


class _Gone(Exception):
    """The host had hung up on a kept connection before this message: another may be tried."""


@dataclass(slots=True)
class _Line:
    """One connection, and how many mails went over it."""

    smtp: smtplib.SMTP
    used: int = 0


@dataclass(frozen=True, slots=True)
class _Letter:
    """One mail ready to be handed over."""

    mail: Mail
    sender: str
    recipient: str
    body: bytes

    @property
    def international(self) -> bool:
        return not (self.sender + self.recipient).isascii()


class SmtpChannel:
    """Delivers over up to `host.connections` connections at a time, whichever threads ask."""

    def __init__(
        self,
        host: Host,
        *,
        read_seconds: float = READ_SECONDS,
        sign: Sign | None = None,
        return_path: ReturnPath | None = None,
        login_rest: float = smtp_login.REST,
    ) -> None:
        self._host, self._read_seconds = host, read_seconds
        self._login = smtp_login.Login(host.user or "", host.password or "", rest=login_rest, patience=read_seconds)
        self._sign, self._return_path = sign, return_path
        self._idle: queue.LifoQueue[_Line] = queue.LifoQueue()
        self._places = threading.BoundedSemaphore(host.connections)

    @property
    def provider(self) -> str:
        return f"smtp:{self._host.name}"

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._host.connections, thread_name_prefix="smtp")

    @property
    def keeps_for(self) -> timedelta | None:
        return None

    @property
    def tells(self) -> bool:
        return False

    def deliver(self, batch: Sequence[Mail]) -> list[Receipt]:
        return together.spread(self._threads, lambda mail: [self._deliver(mail)], batch, parcels=lambda mail: [mail])

    def close(self) -> None:
        """Hangs up every kept connection, and ends the threads."""
        threads = self.__dict__.pop("_threads", None)
        if threads is not None:
            threads.shutdown()
        while not self._idle.empty():
            self._idle.get_nowait().smtp.close()

    # --------------------------------------------------------------------------------------- one message
    def _deliver(self, mail: Mail) -> Receipt:
        try:
            letter = self._letter(mail)
        except (mime.Unsendable, UnicodeError) as error:
            return Receipt(mail.message_id, Outcome.REFUSED_FINAL, str(error))
        with self._places:
            try:
                return self._hand_over(letter)
            except _Misconfigured as error:
                return Receipt(mail.message_id, Outcome.MISCONFIGURED, str(error))
            except (OSError, smtplib.SMTPException) as error:
                return Receipt(mail.message_id, Outcome.UNSENT, _words(error), retry_after=10, busy=True)

    def _letter(self, mail: Mail) -> _Letter:
        body = mime.encode(mail)
        sender = self._return_path(mail.message_id) if self._return_path else mail.sender
        signed = self._sign(body, mime.sender_domain(mail.sender)) if self._sign else body
        return _Letter(mail, mime.envelope(sender), mime.envelope(mail.address), signed)

    def _hand_over(self, letter: _Letter) -> Receipt:
        """Over a kept connection; if the host hung up on it meanwhile, as it may, over a new one."""
        try:
            with self._line() as line:
                return self._converse(line, letter)
        except _Gone:
            with self._line(new=True) as line:
                return self._converse(line, letter)

    def _converse(self, line: _Line, letter: _Letter) -> Receipt:
        refusal = _envelope(line, letter)
        line.used += 1
        if refusal is None:
            return _body(line.smtp, letter)
        _reset(line.smtp)
        return refusal

    # ------------------------------------------------------------------------------------------ connections
    @contextmanager
    def _line(self, *, new: bool = False) -> Iterator[_Line]:
        """A connection of one's own for the block; kept afterwards unless it failed."""
        line = self._open() if new else self._kept() or self._open()
        try:
            yield line
        except BaseException:
            line.smtp.close()
            raise
        if line.smtp.sock is not None and line.used < MOST_A_LINE:
            self._idle.put(line)
        else:
            line.smtp.close()

    def _kept(self) -> _Line | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    def _open(self) -> _Line:
        host, secure = self._host, ssl.create_default_context()
        connection: smtplib.SMTP
        if host.tls:
            connection = smtplib.SMTP_SSL(
                host.name, host.port, local_hostname=host.greeting, timeout=CONNECT_SECONDS, context=secure
            )
        else:
            connection = smtplib.SMTP(host.name, host.port, local_hostname=host.greeting, timeout=CONNECT_SECONDS)
        try:
            self._greet(connection, secure)
        except BaseException:
            connection.close()
            raise
        return _Line(connection)

    def _greet(self, connection: smtplib.SMTP, secure: ssl.SSLContext) -> None:
        host = self._host
        if connection.sock is not None:
            connection.sock.settimeout(self._read_seconds)
        connection.ehlo_or_helo_if_needed()
        offered = connection.has_extn("starttls")
        if host.starttls and not offered and not host.tls:
            raise _Misconfigured("the host offers no TLS, which the settings ask for")
        if not host.tls and offered and (host.starttls or host.name not in LOCAL):
            connection.starttls(context=secure)
            connection.ehlo()
        if host.user:
            self._log_in(connection)

    def _log_in(self, connection: smtplib.SMTP) -> None:
        if not isinstance(connection.sock, ssl.SSLSocket) and self._host.name not in LOCAL:
            raise _Misconfigured("the host offers no TLS; the password was not sent")
        try:
            self._login.say(connection)
        except smtp_login.Refused as error:
            raise _Misconfigured(str(error)) from error


def _envelope(line: _Line, letter: _Letter) -> Receipt | None:
    """MAIL, RCPT and DATA: up to here nothing can have been accepted. None if the host now waits for the body.

    Where the host allows it they leave together (RFC 2920) and cost one journey instead of three.
    """
    mail, smtp = letter.mail, line.smtp
    if time.monotonic() > mail.deadline:
        return _over(mail)
    if letter.international and not smtp.has_extn("smtputf8"):
        return Receipt(mail.message_id, Outcome.REFUSED_FINAL, "the host carries no such address (no SMTPUTF8)")
    more = " SMTPUTF8" if letter.international else ""
    commands = [f"MAIL FROM:<{letter.sender}>{more}", f"RCPT TO:<{letter.recipient}>", "DATA"]
    replies = _pipelined(line, commands) if smtp.has_extn("pipelining") else _in_turn(line, commands)
    refusal = next((found for stage, reply in replies if (found := _refusal(mail, stage, *reply))), None)
    if refusal is not None and replies[-1][0] == "data" and replies[-1][1][0] == 354:
        smtp.send(b".\r\n")  # it waits for a body all the same: an empty one, to nobody
        smtp.getreply()
    return refusal


def _reset(smtp: smtplib.SMTP) -> None:
    """Ready for the next message; a host that no longer answers is left."""
    try:
        smtp.rset()
    except (OSError, smtplib.SMTPException):
        smtp.close()


STAGES = ("mail", "rcpt", "data")
_Replies = list[tuple[str, tuple[int, str]]]


def _pipelined(line: _Line, commands: Sequence[str]) -> _Replies:
    text = "".join(f"{command}\r\n" for command in commands).encode()
    return [(stage, _answered(line, text if stage == "mail" else b"", stage)) for stage in STAGES]


def _in_turn(line: _Line, commands: Sequence[str]) -> _Replies:
    replies: _Replies = []
    for stage, command in zip(STAGES, commands, strict=True):
        replies.append((stage, _answered(line, f"{command}\r\n".encode(), stage)))
        if replies[-1][1][0] >= 400:
            break
    return replies


def _answered(line: _Line, text: bytes, stage: str) -> tuple[int, str]:
    """One reply, after sending what is to be said first. On a kept connection silence means it was over already."""
    try:
        if text:
            line.smtp.send(text)
        code, words = line.smtp.getreply()
    except (OSError, smtplib.SMTPException) as error:
        if line.used and stage == "mail" and not isinstance(error, TimeoutError):
            raise _Gone from error
        raise
    if line.used and stage == "mail" and code == 421:
        raise _Gone
    return code, words.decode(errors="replace")


def _body(smtp: smtplib.SMTP, letter: _Letter) -> Receipt:
    """From the first byte of the body on, silence is doubt: the host may have taken it."""
    mail = letter.mail
    if time.monotonic() > mail.deadline:
        smtp.close()  # it waits for a body; hanging up is the only way not to give it one
        return _over(mail)
    try:
        stuffed = re.sub(rb"(?m)^\.", b"..", letter.body) if b"\n." in letter.body else letter.body
        smtp.send(stuffed + b".\r\n")
        code, reply = smtp.getreply()
    except (OSError, smtplib.SMTPException) as error:
        smtp.close()
        return Receipt(mail.message_id, Outcome.AMBIGUOUS, _words(error))
    words = reply.decode(errors="replace")
    refusal = _refusal(mail, "body", code, words)
    return refusal or Receipt(mail.message_id, Outcome.ACCEPTED, words, provider_ref=words[:200], code=code)


def _over(mail: Mail) -> Receipt:
    return Receipt(mail.message_id, Outcome.UNSENT, "the time for this attempt was over")


def _refusal(mail: Mail, stage: str, code: int, words: str) -> Receipt | None:
    """What a reply means, by the stage it came at; None if it is a yes."""
    if code in (250, 251, 252) or (stage == "data" and code == 354):
        return None
    detail = f"{code} {words}"
    if code in (530, 535) or (stage == "mail" and code >= 500 and code != 552):
        return Receipt(mail.message_id, Outcome.MISCONFIGURED, detail, code=code)
    if 400 <= code < 500:
        busy = code == 421 or stage == "mail"
        return Receipt(mail.message_id, Outcome.REFUSED_RETRY, detail, busy=busy, code=code)
    if not 500 <= code < 600:
        raise smtplib.SMTPServerDisconnected(f"no reply of SMTP: {detail[:100]}")
    bad_address = stage == "rcpt" and bounces.classify(detail) is bounces.Fault.INVALID
    return Receipt(mail.message_id, Outcome.REFUSED_FINAL, detail, bad_address=bad_address, code=code)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
