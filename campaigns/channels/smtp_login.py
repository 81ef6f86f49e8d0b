"""Logging in to an SMTP host from many connections, while a password it refuses is said to it once."""

import base64
import hmac
import smtplib
import threading
import time
from collections.abc import Callable

REST = 10.0
"""Seconds a refused password is not said again. Whoever comes within them was let through before the gate was shut;
they are over before the gate's first pause, whose probe tries anew."""
OTHER_WAY = (504, 534)
"""The host does not take this mechanism, whatever the password (RFC 4954)."""

Reply = tuple[int, bytes]


class Refused(Exception):
    """The host does not know us by this name and password; hosts lock an account after a few such tries."""


class Login:
    """One name and password, said by one connection at a time, so that the others learn of a refusal."""

    def __init__(self, user: str, password: str, *, rest: float = REST, patience: float) -> None:
        self._user, self._password = user, password
        self._rest, self._patience = rest, patience
        self._turn = threading.Lock()
        self._refused: tuple[float, str] | None = None

    def say(self, smtp: smtplib.SMTP) -> None:
        """Logs this connection in.

        :raises Refused: it, or another connection less than `rest` seconds ago, was told no
        :raises TimeoutError: others waited for the host all through `patience` seconds
        :raises smtplib.SMTPResponseException: the host cannot tell just now
        """
        if not self._turn.acquire(timeout=self._patience):
            raise TimeoutError("the host leaves the login of another connection unanswered")
        try:
            if self._refused is not None and time.monotonic() < self._refused[0] + self._rest:
                raise Refused(self._refused[1])
            self._try(smtp)
        finally:
            self._turn.release()

    def _try(self, smtp: smtplib.SMTP) -> None:
        code, said = self._answer(smtp)
        if code in (235, 503):
            self._refused = None
        elif 500 <= code < 600:
            words = f"{code} {said.decode(errors='replace')}"[:300]
            self._refused = (time.monotonic(), words)
            raise Refused(words)
        else:
            raise smtplib.SMTPResponseException(code, said.decode(errors="replace"))

    def _answer(self, smtp: smtplib.SMTP) -> Reply:
        """By the first mechanism the host takes: by each other the password would be said, and counted, again."""
        offered = smtp.esmtp_features.get("auth", "").upper().split()
        answer: Reply = (504, b"the host offers no way to log in that we know")
        for mechanism, speak in _MECHANISMS.items():
            if mechanism in offered:
                answer = speak(smtp, self._user, self._password)
                if answer[0] not in OTHER_WAY:
                    break
        return answer


def _plain(smtp: smtplib.SMTP, user: str, password: str) -> Reply:
    return smtp.docmd("AUTH", "PLAIN " + _encoded(f"\0{user}\0{password}".encode()))


def _login(smtp: smtplib.SMTP, user: str, password: str) -> Reply:
    answer = smtp.docmd("AUTH", "LOGIN " + _encoded(user.encode()))
    return smtp.docmd(_encoded(password.encode())) if answer[0] == 334 else answer


def _cram_md5(smtp: smtplib.SMTP, user: str, password: str) -> Reply:
    code, challenge = smtp.docmd("AUTH", "CRAM-MD5")
    if code != 334:
        return code, challenge
    proof = hmac.new(password.encode(), base64.b64decode(challenge), "md5").hexdigest()
    return smtp.docmd(_encoded(f"{user} {proof}".encode()))


def _encoded(said: bytes) -> str:
    return base64.b64encode(said).decode()


_MECHANISMS: dict[str, Callable[[smtplib.SMTP, str, str], Reply]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
}
"""In the order they are tried. The password goes over TLS anyhow; hosts that keep it hashed refuse CRAM-MD5."""
