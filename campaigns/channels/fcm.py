"""Notifications in apps by Firebase Cloud Messaging, HTTP v1: one call a device, in the service account's name."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from campaigns.channels import webpush
from campaigns.channels.base import Note, Outcome, Receipt
from campaigns.channels.calls import Line, Reply, unreadable
from foundation import google_token

HOST = "https://fcm.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GONE = frozenset({"UNREGISTERED"})
FOREIGN = frozenset({"SENDER_ID_MISMATCH"})
"""The device belongs to another project: deaf to us, and no fault of our key."""
OURS = frozenset({"THIRD_PARTY_AUTH_ERROR", "PERMISSION_DENIED", "UNAUTHENTICATED"})


class Fcm:
    """Speaks for one Firebase project. Google has no call for many devices at once any more: several are under way.

    :param written: the service account's JSON; `fcm_host` and `token_uri` in it name other hosts
    :raises ValueError: if it is none
    """

    def __init__(self, written: str, *, read_seconds: float = 15.0) -> None:
        account: dict[str, Any] = orjson.loads(written)
        self._tokens = google_token.Tokens(account, SCOPE)
        host = str(account.get("fcm_host") or HOST).rstrip("/")
        self._url = f"{host}/v1/projects/{quote(str(account.get('project_id')), safe='')}/messages:send"
        self._line = Line(read_seconds=read_seconds)

    @property
    def provider(self) -> str:
        return "fcm"

    @property
    def keeps_for(self) -> timedelta | None:
        return None

    @property
    def tells(self) -> bool:
        return False

    def deliver(self, batch: Sequence[Note]) -> list[Receipt]:
        return self._line.spread(self._deliver, batch)

    def close(self) -> None:
        """Closes the kept connections."""
        self._line.close()

    def _deliver(self, note: Note) -> Receipt:
        if time.monotonic() > note.deadline:
            return Receipt(note.message_id, Outcome.UNSENT, "the time for this attempt was over")
        try:
            bearer = self._tokens.bearer(self._line.client)
        except google_token.Unauthorized as error:
            return Receipt(note.message_id, Outcome.MISCONFIGURED, str(error)[:300])
        except httpx2.HTTPError as error:  # no token, no message: nothing of it has left
            return Receipt(note.message_id, Outcome.UNSENT, f"no token: {error}"[:300], retry_after=10, busy=True)
        return webpush.combined(note, [(device, self._push(note, device, bearer)) for device in note.addresses])

    def _push(self, note: Note, device: str, bearer: str) -> Receipt:
        headers = {"Authorization": f"Bearer {bearer}"}
        said = {"message": message(note, device)}
        reply = self._line.post(self._url, deadline=note.deadline, json=said, headers=headers)
        if reply.outcome is Outcome.ACCEPTED and not isinstance(reply.json, dict):
            reply = unreadable(reply)
        if reply.status == 401:
            self._tokens.forget()
        return _receipt(note, device, reply)


def message(note: Note, device: str) -> dict[str, Any]:
    """The note in Google's words. `collapse_key` and `tag` make a second copy take the place of the first."""
    left = int((note.expires_at - datetime.now(UTC)).total_seconds())
    lasting = min(max(left, webpush.SHORTEST), webpush.LONGEST)
    topic = webpush.topic(note)
    shown = {"title": note.title[: webpush.TITLE], "body": note.text[: webpush.TEXT]}
    data = {"message_id": str(note.message_id), **({"url": note.url} if note.url else {})}
    return {
        "token": device,
        "notification": {**shown, **({"image": note.image} if note.image else {})},
        "data": data,
        "android": {"ttl": f"{lasting}s", "collapse_key": topic, "notification": {"tag": topic}},
        "apns": {
            "headers": {"apns-collapse-id": topic, "apns-expiration": str(int(time.time()) + lasting)},
            "payload": {"aps": {"mutable-content": 1}},
        },
    }


def _receipt(note: Note, device: str, reply: Reply) -> Receipt:
    code = _code(reply.json)
    if code in GONE:
        return reply.receipt(note, outcome=Outcome.REFUSED_FINAL, dead=(device,))
    if code in FOREIGN:
        return reply.receipt(note, outcome=Outcome.REFUSED_FINAL)
    if code == "INVALID_ARGUMENT" and "registration token" in reply.detail:
        return reply.receipt(note, outcome=Outcome.REFUSED_FINAL, dead=(device,))
    if code in OURS:
        return reply.receipt(note, outcome=Outcome.MISCONFIGURED)
    name = reply.json.get("name") if reply.outcome is Outcome.ACCEPTED and isinstance(reply.json, dict) else None
    return reply.receipt(note, provider_ref=name)


def _code(answer: Any) -> str | None:
    """Firebase's own word for what went wrong; it stands among the details of the error, else its status does."""
    error = answer.get("error") if isinstance(answer, Mapping) else None
    if not isinstance(error, Mapping):
        return None
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, Mapping) and isinstance(detail.get("errorCode"), str):
            return str(detail["errorCode"])
    return str(error["status"]) if isinstance(error.get("status"), str) else None
