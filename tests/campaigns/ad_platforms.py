"""Meta and Google as far as we speak to them: local servers with their shapes, limits and error codes, as documented.

Each keeps who is in which audience by hash, as the real one would, and every order it was told of.
"""

import json
import re
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

from campaigns.audiences.platforms import csv, google, meta
from campaigns.audiences.platforms.base import Platform
from foundation.google_token import Tokens

TOKEN = "a-token-of-these-tests"
AUDIENCE, DATASET, ACCOUNT, CONVERSION = "120330001", "990001", "1234567890", "555"
HASH = re.compile(r"[0-9a-f]{64}")
MOST = 10_000


@dataclass
class Canned:
    """An answer that is given once, whatever was asked."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Peer(ABC):
    """What both have in common: who is in, what was told, how often they were called, and answers made to order."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.held: dict[str, set[str]] = defaultdict(set)
        self.orders: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.canned: list[Canned] = []
        self.token = TOKEN
        self.refused_hashes: set[str] = set()
        self.over = threading.Event()

    def answer(self, method: str, path: str, body: Any, headers: Any) -> Canned:
        self.calls.append((method, path, body))
        if self.canned:
            return self.canned.pop(0)
        if headers.get("Authorization") != f"Bearer {self.token}":
            return self.no_token()
        return self.take(method, path, body)

    @abstractmethod
    def no_token(self) -> Canned:
        """The platform's own words for a token it does not know."""

    @abstractmethod
    def take(self, method: str, path: str, body: Any) -> Canned:
        """What it does with a call."""


def meta_error(code: int, message: str, *, status: int = 400, subcode: int | None = None, **headers: str) -> Canned:
    """An error as the Graph API words it."""
    error: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
    return Canned(status, {"error": error | ({"error_subcode": subcode} if subcode else {})}, headers)


class MetaPeer(Peer):
    """graph.facebook.com."""

    name = "meta"

    def no_token(self) -> Canned:
        return meta_error(190, "Invalid OAuth access token.", status=401)

    def take(self, method: str, path: str, body: Any) -> Canned:
        found = re.fullmatch(r"/v\d+\.0/(\d+)/(users|events)", path)
        assert found, path
        if found[2] == "events":
            return self._events(body)
        if found[1] != AUDIENCE:
            return meta_error(100, "Unsupported post request. Object does not exist", subcode=33)
        data = body["payload"]["data"]
        assert body["payload"]["schema"] == ["EMAIL", "PHONE"] and body["session"]["session_id"] > 0
        if len(data) > MOST:
            return meta_error(100, "Too many users")
        hashes = {one for row in data for one in row if one}
        if not all(HASH.fullmatch(one) for one in hashes) or hashes & self.refused_hashes:
            return meta_error(100, "Invalid parameter")
        if method == "POST":
            assert body["customer_consent"] is True
            self.held[found[1]] |= hashes
        else:
            assert method == "DELETE"
            self.held[found[1]] -= hashes
        answer = {"audience_id": found[1], "session_id": "1", "num_received": len(data), "num_invalid_entries": 0}
        return Canned(200, answer)

    def _events(self, body: Any) -> Canned:
        events = body["data"]
        assert len(events) <= 1000
        if any(event["user_data"].get("em", [""])[0] in self.refused_hashes for event in events):
            return meta_error(100, "Invalid parameter")
        for event in events:
            assert event["event_name"] == "Purchase" and isinstance(event["event_time"], int)
            self.orders.setdefault(event["event_id"], event)
        return Canned(200, {"events_received": len(events), "fbtrace_id": "A1"})


def google_error(status: int, word: str, message: str, *reasons: str, **headers: str) -> Canned:
    """An error as the Data Manager API words it."""
    violations = [{"field": "audience_members[0]", "reason": reason} for reason in reasons]
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word, "domain": "datamanager.googleapis.com"},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations},
    ]
    return Canned(status, {"error": {"code": status, "message": message, "status": word, "details": details}}, headers)


class GooglePeer(Peer):
    """datamanager.googleapis.com, and the place where tokens are had."""

    name = "google"

    def __init__(self) -> None:
        super().__init__()
        self.refresh_token = "refresh"
        self.tokens = 0

    def no_token(self) -> Canned:
        return google_error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    def exchange(self, form: str) -> Canned:
        given = {name: values[0] for name, values in parse_qs(form).items()}
        if given.get("refresh_token") != self.refresh_token and "assertion" not in given:
            return Canned(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        self.tokens += 1
        return Canned(200, {"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"})

    def take(self, method: str, path: str, body: Any) -> Canned:
        (destination,) = body["destinations"]
        assert method == "POST" and body["encoding"] == "HEX"
        assert destination["operatingAccount"] == {"accountType": "GOOGLE_ADS", "accountId": ACCOUNT}
        place = destination["productDestinationId"]
        if path == "/v1/events:ingest":
            return self._events(body["events"])
        if place != AUDIENCE:
            return google_error(400, "INVALID_ARGUMENT", "There was a problem.", "INVALID_USER_LIST_ID")
        members = body["audienceMembers"]
        if len(members) > MOST:
            return google_error(400, "INVALID_ARGUMENT", "There was a problem.", "TOO_MANY_AUDIENCE_MEMBERS")
        hashes = {one for member in members for part in member["userData"]["userIdentifiers"] for one in part.values()}
        if not all(HASH.fullmatch(one) for one in hashes) or hashes & self.refused_hashes:
            return google_error(400, "INVALID_ARGUMENT", "There was a problem.", "INVALID_SHA256_FORMAT")
        if path == "/v1/audienceMembers:ingest":
            assert body["consent"] == {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
            self.held[place] |= hashes
        else:
            assert path == "/v1/audienceMembers:remove"
            self.held[place] -= hashes
        return Canned(200, {"requestId": "126365e1-16d0-4c81-9de9-f362711e250a"})

    def _events(self, events: Any) -> Canned:
        assert len(events) <= 2000
        identified = [part for event in events for part in event["userData"]["userIdentifiers"]]
        if any(part.get("emailAddress") in self.refused_hashes for part in identified):
            return google_error(400, "INVALID_ARGUMENT", "There was a problem.", "INVALID_SHA256_FORMAT")
        for event in events:
            self.orders.setdefault(event["transactionId"], event)
        return Canned(200, {"requestId": "1"})


@contextmanager
def serve(peer: Peer) -> Iterator[str]:
    """The peer at a local address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == "/token" and isinstance(peer, GooglePeer):
                self._say(peer.exchange(body.decode()))
            else:
                self._say(peer.answer(self.command, self.path, json.loads(body), self.headers))

        def _say(self, canned: Canned) -> None:
            peer.over.wait(canned.seconds)
            text = canned.body if isinstance(canned.body, bytes) else json.dumps(canned.body).encode()
            try:
                self.send_response(canned.status)
                for name, value in canned.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                self.wfile.flush()
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        peer.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


Peers = tuple[dict[str, Platform], MetaPeer, GooglePeer]


@contextmanager
def both() -> Iterator[Peers]:
    """Every platform connected, each to its peer."""
    with ExitStack() as stack:
        one, other = MetaPeer(), GooglePeer()
        first, second = (stack.enter_context(serve(peer)) for peer in (one, other))
        held = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "refresh"}
        tokens = Tokens(held | {"token_uri": f"{second}/token"}, google.SCOPE)
        platforms: dict[str, Platform] = {
            "meta": meta.Meta(TOKEN, host=first, dataset=DATASET),
            "google": google.Google(tokens, google.Account(ACCOUNT, conversion=CONVERSION), host=second),
            "csv": csv.Csv(),
        }
        for platform in platforms.values():
            stack.callback(platform.close)
        yield platforms, one, other
