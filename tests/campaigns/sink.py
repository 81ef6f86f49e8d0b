"""A real SMTP server that keeps what it accepts, and can be told to misbehave."""

import email
import email.policy
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from campaigns.channels.smtp import Host

Answer = Callable[[Envelope], str | None]


class Sink:
    """Keeps every mail it said 250 to. `answer` may say something else instead, or None to hang up after keeping it."""

    def __init__(self) -> None:
        self.kept: list[EmailMessage] = []
        self.answer: Answer | None = None
        self.at_rcpt: Callable[[str], str] | None = None
        self.asked = 0

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
def listening(port: int = 0) -> Iterator[tuple[Sink, Host]]:
    """A sink on a port of its own, and where to find it."""
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=port or _free_port())
    controller.start()
    try:
        yield sink, Host("127.0.0.1", controller.port)
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
