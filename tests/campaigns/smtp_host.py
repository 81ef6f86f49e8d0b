"""A real SMTP host of a few lines, told what to answer at each stage: greylisting, storms, lines that drop."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from campaigns.channels.smtp import Host

Reply = str | None
"""What to say; None to hang up instead."""


class SmtpHost(socketserver.ThreadingTCPServer):
    """Answers 250 unless `at` a stage ("mail", "rcpt", "data", "body") says otherwise, given what was said there."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *, pipelining: bool = True, utf8: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.pipelining, self.utf8 = pipelining, utf8
        self.at: dict[str, Callable[[str], Reply]] = {}
        self.bodies: list[bytes] = []
        self.commands: list[str] = []
        self.connections = 0
        self.talking: list[socket.socket] = []

    def hang_up(self) -> None:
        """Closes every connection there is, as hosts do with those that are idle."""
        for line in self.talking:
            line.shutdown(socket.SHUT_RDWR)
        self.talking.clear()


class _Talk(socketserver.StreamRequestHandler):
    server: SmtpHost

    def handle(self) -> None:
        self.server.connections += 1
        self.server.talking.append(self.connection)
        self._say("220 here")
        while line := self.rfile.readline():
            command = line.decode().rstrip("\r\n")
            self.server.commands.append(command)
            if not self._answer(command.split(" ")[0].split(":")[0].lower(), command):
                return

    def _answer(self, word: str, command: str) -> bool:
        if word == "ehlo":
            offers = [*(["PIPELINING"] if self.server.pipelining else []), *(["SMTPUTF8"] if self.server.utf8 else [])]
            names = ["here", *offers, "8BITMIME"]
            return self._say("\r\n".join(f"250{'-' if name != names[-1] else ' '}{name}" for name in names))
        if word == "data":
            said = self._reply("data", command, "354 go on")
            return (
                self._body() if said and said.startswith("354") and self._say(said) else bool(said) and self._say(said)
            )
        if word in ("mail", "rcpt"):
            said = self._reply(word, command, "250 fine")
            return bool(said) and self._say(said)
        return self._say("250 fine" if word in ("rset", "noop") else "502 what")

    def _body(self) -> bool:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        body = b"".join(lines)
        said = self._reply("body", body.decode(errors="replace"), "250 taken")
        if (said is None or said.startswith("250")) and body:
            self.server.bodies.append(body)
        return bool(said) and self._say(said)

    def _reply(self, stage: str, text: str, usual: str) -> Reply:
        told = self.server.at.get(stage)
        return told(text) if told else usual

    def _say(self, text: str | None) -> bool:
        self.wfile.write(f"{text}\r\n".encode())
        return True


@contextmanager
def hosting(*, pipelining: bool = True, utf8: bool = False) -> Iterator[tuple[SmtpHost, Host]]:
    """The host, listening, and where to find it."""
    host = SmtpHost(pipelining=pipelining, utf8=utf8)
    serving = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield host, Host("127.0.0.1", host.server_address[1], connections=2)
    finally:
        host.shutdown()
        serving.join()
        host.server_close()
