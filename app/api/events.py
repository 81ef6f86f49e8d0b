"""The Segment HTTP tracking API, so that the SDKs retailers already run can be pointed here.

What each SDK really sends differs in headers, paths and encodings, so nothing but the path, the key and the body
counts: JSON whatever the `Content-Type` says, and the same answer, exactly 200, once the events are durable.
"""

import binascii
import json
import logging
import secrets
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import orjson
from flask import Blueprint, Flask, Response, abort, request

from app import parts, rate_limits, security
from app.api import cors, problems
from foundation.errors import Fault
from shop import ingest_queue, vocabulary
from shop.ingest_queue import IngestQueue
from shop.vocabulary import Event, Refusal, Source

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)
bp = Blueprint("tracking", __name__)

REQUEST_BYTES = 500_000
KEY_SECONDS = 30
KEYS_REMEMBERED = 1000
BATCH = "batch"
CALLS = {
    **{f"/v1/{kind}": kind for kind in vocabulary.TYPES},
    "/v1/i": "identify",
    "/v1/t": "track",
    "/v1/p": "page",
    "/v1/s": "screen",
    "/v1/g": "group",
    "/v1/a": "alias",
    **dict.fromkeys(("/v1/batch", "/v1/import", "/v1/b", "/beacon/v1/batch"), BATCH),
}
"""Where events are posted, with or without a slash at the end; the browser SDK uses the short forms."""

SUCCESS = b'{"success": true}'


def register(app: Flask) -> None:
    """Opens the interface: what browser SDKs ask first as ordinary views, events at a door before them."""
    app.register_blueprint(bp)
    app.wsgi_app = Door(app, app.wsgi_app)  # type: ignore[method-assign]


class Unreadable(Exception):
    """The body is no JSON of this interface, or too much of it."""


class UnknownKey(Exception):
    """Nobody speaks with this key. `often` if the same address has tried too many."""

    def __init__(self, *, often: bool) -> None:
        super().__init__()
        self.often = often


# ------------------------------------------------------------------------------------------------- the door
class Door:
    """Takes events in before Flask sees them: its request and routing would cost more than the event itself."""

    def __init__(self, app: Flask, inner: "WSGIApplication") -> None:
        self._app = app
        self._inner = inner
        self._keys: dict[str, tuple[float, Source]] = {}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        kind = CALLS.get(environ["PATH_INFO"].rstrip("/"))
        if kind is None:
            return self._inner(environ, start_response)
        granted = cors.granted(environ.get("HTTP_ORIGIN"))
        if environ["REQUEST_METHOD"] == "OPTIONS":
            asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
            start_response("204 No Content", granted + cors.preflight(asked))
            return []
        problem = self._answer(kind, environ)
        if problem is not None:
            problem.headers.extend(granted)
            return problem(environ, start_response)
        length = str(len(SUCCESS))
        headers = [("Content-Type", "application/json"), ("Content-Length", length), *granted]
        start_response("200 OK", headers)
        return [SUCCESS]

    def _answer(self, kind: str, environ: "WSGIEnvironment") -> Response | None:
        """What went wrong; None if everything is stored."""
        if environ["REQUEST_METHOD"] != "POST":
            return problems.answer(405, headers={"Allow": "POST, OPTIONS"})
        try:
            return self._take(kind, environ)
        except Unreadable as error:
            return problems.answer(400, detail=str(error), reason="unreadable")
        except UnknownKey as error:
            if error.often:
                return problems.answer(429, headers={"Retry-After": "60"})
            return problems.answer(401, detail="This write key is not known.", headers={"WWW-Authenticate": "Basic"})
        except ingest_queue.Overloaded as error:
            retry = {"Retry-After": str(error.seconds)}
            return problems.answer(429, detail="Too much is waiting to be stored.", headers=retry)
        except Exception:
            number = secrets.token_hex(6)
            log.exception("events not stored", extra={"error_id": number})
            return problems.answer(500, detail=f"Something went wrong here. Quote {number} when you ask about it.")

    def _take(self, kind: str, environ: "WSGIEnvironment") -> Response | None:
        body = _body(environ)
        calls = body.get(BATCH) if kind == BATCH else [body]
        if not isinstance(calls, list):
            self._source(_key(environ, body), environ)
            return problems.answer(400, reason="no_batch", faults=[Fault("/batch", "must be a list of calls")])
        sources = self._sources(calls, body, environ)
        taken = _Taken(calls, sources, datetime.now(UTC), None if kind == BATCH else kind, body)
        events, refused = taken.parsed()
        queue: IngestQueue = self._app.extensions["relance"].ingest
        queue.put(events, refused=refused, now=taken.received_at)
        if refused and kind != BATCH:
            (refusal,) = refused
            return problems.answer(400, detail="The event was refused.", reason=refusal.reason, faults=refusal.faults)
        return None

    def _sources(
        self, calls: Sequence[object], body: Mapping[str, Any], environ: "WSGIEnvironment"
    ) -> Sequence[Source]:
        """The source of each call: that of the request, unless only the calls themselves carry keys."""
        text = _key(environ, body)
        own = [call.get("writeKey") if isinstance(call, dict) else None for call in calls] if text is None else []
        if not any(own):
            return [self._source(text, environ)] * len(calls)
        return [self._source(key, environ) for key in own]

    def _source(self, key: object, environ: "WSGIEnvironment") -> Source:
        """Who speaks with a key. What was just looked up is remembered, so that a busy caller costs no query."""
        if not isinstance(key, str) or not key:
            raise UnknownKey(often=False)
        remembered = self._keys.get(key)
        if remembered and remembered[0] > time.monotonic():
            return remembered[1]
        with self._app.app_context():
            found = security.find_key(self._app.extensions["relance"].db, key)
            if found is None:
                name = f"refused:{environ.get('REMOTE_ADDR')}"
                raise UnknownKey(often=not rate_limits.buckets().take(name, per_second=1, burst=60))
        if len(self._keys) >= KEYS_REMEMBERED:
            self._keys.clear()
        self._keys[key] = (time.monotonic() + KEY_SECONDS, found.source)
        return found.source


@dataclass(frozen=True, slots=True)
class _Taken:
    """The calls of one request and who made them."""

    calls: Sequence[object]
    sources: Sequence[Source]
    received_at: datetime
    kind: str | None
    body: Mapping[str, Any]

    def parsed(self) -> tuple[list[Event], list[Refusal]]:
        """Those that can be stored, and those that cannot with their reasons."""
        events: list[Event] = []
        refused: list[Refusal] = []
        sent_at = vocabulary.moment(self.body.get("sentAt"))
        for call, source in zip(self.calls, self.sources, strict=True):
            parsed = vocabulary.parse(
                call, source=source, received_at=self.received_at, sent_at=sent_at, kind=self.kind
            )
            if isinstance(parsed, Event):
                events.append(parsed)
            else:
                refused.append(parsed)
        return events, refused


# -------------------------------------------------------------------------------------------------- body
def _body(environ: "WSGIEnvironment") -> dict[str, Any]:
    raw = _read(environ)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        raw = _unpacked(raw)
    elif encoding not in ("", "identity"):
        raise Unreadable("The only content encoding understood is gzip.")
    body = _json(raw)
    if not isinstance(body, dict):
        raise Unreadable("The body must be a JSON object.")
    return body


def _read(environ: "WSGIEnvironment") -> bytes:
    """A body sent in chunks has no length; it is read up to the limit."""
    text = environ.get("CONTENT_LENGTH", "")
    if text.isdecimal():
        wanted = int(text)
    else:
        wanted = REQUEST_BYTES + 1 if environ.get("HTTP_TRANSFER_ENCODING") else 0
    if wanted > REQUEST_BYTES and text:
        raise Unreadable(f"The request is larger than {REQUEST_BYTES} bytes.")
    raw = b""
    while len(raw) < wanted and (more := environ["wsgi.input"].read(wanted - len(raw))):
        raw += more
    if len(raw) > REQUEST_BYTES:
        raise Unreadable(f"The request is larger than {REQUEST_BYTES} bytes.")
    return raw


def _unpacked(raw: bytes) -> bytes:
    """Stops unpacking at the limit: a small gzip may hold gigabytes."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(raw, REQUEST_BYTES + 1)
    except zlib.error:
        raise Unreadable("The body is no valid gzip.") from None
    if len(plain) > REQUEST_BYTES:
        raise Unreadable(f"The request unpacks to more than {REQUEST_BYTES} bytes.")
    if not unpacker.eof:
        raise Unreadable("The gzip body ends too early.")
    return plain


def _json(raw: bytes) -> object:
    """Python's own reader takes what orjson turns down for half characters, so that one such event fails alone."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            return json.loads(raw, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise Unreadable("The body is no valid JSON.") from None


def _no_constant(word: str) -> None:
    raise ValueError(word)


# --------------------------------------------------------------------------------------------------- key
def _key(environ: "WSGIEnvironment", body: Mapping[str, Any]) -> object:
    """The key of the header, of the body or, where no header can be sent, of the query; None if there is none."""
    given = _authorization(environ.get("HTTP_AUTHORIZATION", "")) or body.get("writeKey")
    if not given and environ["PATH_INFO"].startswith("/beacon/"):
        given = parse_qs(environ.get("QUERY_STRING", "")).get("writeKey", [None])[0]
    return given or None


def _authorization(header: str) -> str | None:
    """The user name of HTTP Basic, or a Bearer token."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return binascii.a2b_base64(given.encode()).decode().partition(":")[0]
    except ValueError:
        return None


# ------------------------------------------------------------------------------ what browser SDKs ask first
@bp.route("/v1/projects/<key>/settings", methods=["GET", "OPTIONS"])
def segment_settings(key: str) -> Response:
    """What `@segment/analytics-next` loads before it starts: where to send, and no third parties."""
    _require(key)
    address = urlsplit(_own_address())
    everything = {"__default": {"enabled": True, "integrations": {}}}
    return _settings(
        {
            "integrations": {
                "Segment.io": {
                    "apiKey": key,
                    "apiHost": f"{address.netloc}/v1",
                    "protocol": address.scheme,
                    "addBundledMetadata": True,
                    "unbundledIntegrations": [],
                    "maybeBundledConfigIds": {},
                    "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
                }
            },
            "plan": {"track": everything, "identify": everything, "group": everything},
            "edgeFunction": {},
            "analyticsNextEnabled": True,
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "metrics": {"sampleRate": 0},
            "legacyVideoPluginsEnabled": False,
            "remotePlugins": [],
        }
    )


@bp.route("/sourceConfig/", methods=["GET", "OPTIONS"])
def rudder_settings() -> Response:
    """What `@rudderstack/analytics-js` loads before it starts: a source without third parties."""
    key = security.presented_key() or request.args.get("writeKey", "")
    source = _require(key)
    return _settings(
        {
            "source": {
                "id": str(source.id),
                "name": source.name,
                "writeKey": key,
                "enabled": True,
                "workspaceId": "relance",
                "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
                "destinations": [],
                "dataplanes": {},
            },
            "updatedAt": "2026-01-01T00:00:00.000Z",
        }
    )


def _own_address() -> str:
    """As this browser reached us; behind a proxy only the configured address knows the scheme."""
    configured = parts.current_parts().config.base_url
    return configured if urlsplit(configured).netloc == request.host else request.host_url


def _settings(document: Mapping[str, object]) -> Response:
    return Response(orjson.dumps(document), 200, {"Cache-Control": "private, max-age=60"}, mimetype="application/json")


def _require(key: str) -> Source:
    found = security.find_key(parts.current_parts().db, key) if key else None
    if found is None:
        if not rate_limits.buckets().take(f"refused:{request.remote_addr}", per_second=1, burst=60):
            abort(429)
        abort(401)
    return found.source


@bp.before_request
def _preflight() -> Response | None:
    return Response(status=204) if request.method == "OPTIONS" else None


bp.after_request(cors.any_origin)
