"""E-mail by any SMTP host, over a connection that is kept."""

import re
import smtplib
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr

from campaigns.channels import mime
from campaigns.channels.base import Mail, Outcome, Receipt

CONNECT_SECONDS, READ_SECONDS = 3.0, 15.0
LOCAL = ("localhost", "127.0.0.1", "::1")

_NO_SUCH_ADDRESS = re.compile(r"\b5\.1\.(1|2|3|10)\b")


@dataclass(frozen=True, slots=True)
class Host:
    """Where to deliver, and as whom. Credentials are only ever sent over TLS, or to this very machine."""

    name: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False


class _Misconfigured(Exception):
    """The host refuses us, not the message."""


class SmtpChannel:
    """Delivers one message at a time; threads take turns on the one connection."""

    def __init__(self, host: Host, *, read_seconds: float = READ_SECONDS) -> None:
        self._host = host
        self._read_seconds = read_seconds
        self._connection: smtplib.SMTP | None = None
        self._turn = threading.Lock()

    @property
    def provider(self) -> str:
        return f"smtp:{self._host.name}"

    def deliver(self, batch: Sequence[Mail]) -> list[Receipt]:
        with self._turn:
            return [self._deliver(mail) for mail in batch]

    def close(self) -> None:
        """Says goodbye, if anyone is there."""
        with self._turn:
            self._hang_up()

    def _deliver(self, mail: Mail) -> Receipt:
        try:
            body = mime.encode(mail)
        except (mime.Unsendable, UnicodeError) as error:
            return Receipt(mail.message_id, Outcome.REFUSED_FINAL, str(error))
        try:
            refusal = self._envelope(mail)
        except _Misconfigured as error:
            self._hang_up()
            return Receipt(mail.message_id, Outcome.MISCONFIGURED, str(error))
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            return Receipt(mail.message_id, Outcome.UNSENT, _words(error), retry_after=10, busy=True)
        if refusal is not None:
            return refusal
        return self._body(mail, body)

    def _envelope(self, mail: Mail) -> Receipt | None:
        """MAIL, RCPT and DATA: up to here nothing can have been accepted. None if the host now waits for the body."""
        connection = self._connected()
        refusal = None
        for command in (
            f"mail FROM:<{parseaddr(mail.sender)[1]}>",
            f"rcpt TO:<{parseaddr(mail.address)[1]}>",
            "data",
        ):
            if time.monotonic() > mail.deadline:
                refusal = Receipt(mail.message_id, Outcome.UNSENT, "the time for this attempt was over")
            else:
                code, words = connection.docmd(command)
                refusal = _refusal(mail, command[:4], code, words.decode(errors="replace"))
            if refusal is not None:
                self._reset(connection)
                return refusal
        return None

    def _body(self, mail: Mail, body: bytes) -> Receipt:
        """From the first byte of the body on, silence is doubt: the host may have taken it."""
        connection = self._connection
        if connection is None:
            raise RuntimeError("the body follows the envelope on the same connection")
        try:
            connection.send(re.sub(rb"(?m)^\.", b"..", body) + b".\r\n")
            code, reply = connection.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            return Receipt(mail.message_id, Outcome.AMBIGUOUS, _words(error))
        words = reply.decode(errors="replace")
        refusal = _refusal(mail, "body", code, words)
        return refusal or Receipt(mail.message_id, Outcome.ACCEPTED, words, provider_ref=words[:200])

    def _connected(self) -> smtplib.SMTP:
        """The kept connection if it still answers, else a new one."""
        if self._connection is not None:
            try:
                if self._connection.rset()[0] == 250:
                    return self._connection
            except (OSError, smtplib.SMTPException):
                pass  # the host hung up meanwhile, as it may
            self._hang_up()
        self._connection = self._connect()
        return self._connection

    def _connect(self) -> smtplib.SMTP:
        host, secure = self._host, ssl.create_default_context()
        connection: smtplib.SMTP
        if host.tls:
            connection = smtplib.SMTP_SSL(
                host.name, host.port, local_hostname="localhost", timeout=CONNECT_SECONDS, context=secure
            )
        else:
            connection = smtplib.SMTP(host.name, host.port, local_hostname="localhost", timeout=CONNECT_SECONDS)
        if connection.sock is not None:
            connection.sock.settimeout(self._read_seconds)
        connection.ehlo_or_helo_if_needed()
        if not host.tls and connection.has_extn("starttls") and host.name not in LOCAL:
            connection.starttls(context=secure)
            connection.ehlo()
        if host.user:
            self._login(connection)
        return connection

    def _login(self, connection: smtplib.SMTP) -> None:
        secret = isinstance(connection.sock, ssl.SSLSocket) or self._host.name in LOCAL
        if not secret:
            raise _Misconfigured("the host offers no TLS; the password was not sent")
        try:
            connection.login(self._host.user or "", self._host.password or "")
        except smtplib.SMTPAuthenticationError as error:
            raise _Misconfigured(_words(error)) from error
        except smtplib.SMTPNotSupportedError as error:
            raise _Misconfigured(_words(error)) from error

    def _reset(self, connection: smtplib.SMTP) -> None:
        try:
            connection.rset()
        except (OSError, smtplib.SMTPException):
            self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _refusal(mail: Mail, stage: str, code: int, words: str) -> Receipt | None:
    """What a reply means, by the stage it came at; None if it is a yes."""
    if code in (250, 251, 252) or (stage == "data" and code == 354):
        return None
    detail = f"{code} {words}"
    if code in (530, 535) or (stage == "mail" and code >= 500 and code != 552):
        return Receipt(mail.message_id, Outcome.MISCONFIGURED, detail)
    if 400 <= code < 500:
        busy = code == 421 or stage == "mail"
        return Receipt(mail.message_id, Outcome.REFUSED_RETRY, detail, busy=busy)
    bad_address = stage == "rcpt" and bool(_NO_SUCH_ADDRESS.search(words))
    return Receipt(mail.message_id, Outcome.REFUSED_FINAL, detail, bad_address=bad_address)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
