"""A real SMTP server that keeps what it accepts, and can be told to misbehave."""

import email
import email.policy
import hmac
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from campaigns.channels.smtp import Host

Answer = Callable[[Envelope], str | None]


class Sink:
    """Keeps every mail it said 250 to. `answer` may say something else instead, or None to hang up after keeping it."""

    def __init__(self) -> None:
        self.kept: list[EmailMessage] = []
        self.answer: Answer | None = None
        self.at_rcpt: Callable[[str], str] | None = None
        self.asked = 0
        self.logins = 0
        self.password: str | None = None
        self.at_login: str | None = None

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, how: str, said: Any) -> AuthResult:
        """535 to whoever does not say the password, whatever the name; or what was made to be said of any."""
        self.logins += 1
        known = self.at_login is None and said.password == (self.password or "").encode()
        return AuthResult(success=known, handled=False, message=self.at_login)

    async def auth_CRAM__MD5(self, server: SMTP, args: list[str]) -> AuthResult:
        """RFC 2195, which the server does not know of itself."""
        self.logins += 1
        challenge = b"<1896.697170952@sink>"
        answer = await server.challenge_auth(challenge)
        assert isinstance(answer, bytes)
        proof = hmac.new((self.password or "").encode(), challenge, "md5").hexdigest()
        return AuthResult(success=answer.decode().endswith(f" {proof}"), handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[Any]
    ) -> str:
        reply = self.at_rcpt(address) if self.at_rcpt else "250 OK"
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.asked += 1
        reply = self.answer(envelope) if self.answer else "250 OK"
        if reply is None or reply.startswith("250"):
            parsed = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
            assert isinstance(parsed, EmailMessage)
            self.kept.append(parsed)
        if reply is None:
            assert server.transport is not None
            server.transport.abort()
            return "421 gone"
        return reply


@contextmanager
def listening(port: int = 0, *, logins: Collection[str] = ()) -> Iterator[tuple[Sink, Host]]:
    """A sink on a port of its own, and where to find it; `logins` are the ways in which its password may be said."""
    sink = Sink()
    more: dict[str, Any] = {"authenticator": sink.authenticate, "auth_require_tls": False} if logins else {}
    more |= {"auth_exclude_mechanism": {"PLAIN", "LOGIN", "CRAM-MD5"} - {*logins}} if logins else {}
    controller = Controller(sink, hostname="127.0.0.1", port=port or _free_port(), **more)
    controller.start()
    try:
        yield sink, Host("127.0.0.1", controller.port)
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
