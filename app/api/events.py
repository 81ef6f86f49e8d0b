"""The Segment HTTP tracking API, so that the SDKs retailers already run can be pointed here.

What each SDK really sends differs in headers, paths and encodings, so nothing but the path, the key and the body
counts: JSON whatever the `Content-Type` says, and the same answer, exactly 200, once the events are durable.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Blueprint, Response, abort, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from app import parts, rate_limits, security
from app.api import problems
from foundation.errors import Fault
from shop import ingest_queue, vocabulary
from shop.vocabulary import Event, Refusal, Source

bp = Blueprint("tracking", __name__)

REQUEST_BYTES = 500_000
CALLS = {
    **{kind: kind for kind in vocabulary.TYPES},
    "i": "identify",
    "t": "track",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
}
"""Paths of single calls; the browser SDK uses the short ones."""

BATCHES = ("/v1/batch", "/v1/import", "/v1/b", "/beacon/v1/batch")
SUCCESS = b'{"success": true}'


class Unreadable(Exception):
    """The body is no JSON of this interface, or too much of it."""


# ------------------------------------------------------------------------------------------------- calls
def single(kind: str) -> Response:
    """One call. Refused, it is kept with its reason and answered 400."""
    body = _body()
    source = _source(body)
    now = datetime.now(UTC)
    parsed = vocabulary.parse(body, source=source, received_at=now, kind=kind)
    if isinstance(parsed, Refusal):
        parts.current_parts().ingest.put([], refused=[parsed], now=now)
        return problems.answer(400, detail="The event was refused.", reason=parsed.reason, faults=parsed.faults)
    parts.current_parts().ingest.put([parsed], now=now)
    return Response(SUCCESS, 200, mimetype="application/json")


def batch() -> Response:
    """Many calls. Those refused are kept with their reasons; the rest is stored."""
    body = _body()
    calls = body.get("batch")
    if not isinstance(calls, list):
        _source(body)
        return problems.answer(400, reason="no_batch", faults=[Fault("/batch", "must be a list of calls")])
    sources = _sources(body, calls)
    now = datetime.now(UTC)
    sent_at = vocabulary.moment(body.get("sentAt"))
    events: list[Event] = []
    refused: list[Refusal] = []
    for call, source in zip(calls, sources, strict=True):
        parsed = vocabulary.parse(call, source=source, received_at=now, sent_at=sent_at)
        if isinstance(parsed, Event):
            events.append(parsed)
        else:
            refused.append(parsed)
    parts.current_parts().ingest.put(events, refused=refused, now=now)
    return Response(SUCCESS, 200, mimetype="application/json")


for _path in BATCHES:
    bp.post(_path, endpoint=f"batch{_path.replace('/', '_')}")(batch)
for _word, _kind in CALLS.items():
    bp.add_url_rule(f"/v1/{_word}", f"call_{_word}", single, defaults={"kind": _kind}, methods=["POST"])


# -------------------------------------------------------------------------------------------------- body
def _body() -> dict[str, Any]:
    request.max_content_length = REQUEST_BYTES
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Unreadable(f"The request is larger than {REQUEST_BYTES} bytes.") from None
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        raw = _unpacked(raw)
    elif encoding not in ("", "identity"):
        raise Unreadable("The only content encoding understood is gzip.")
    body = _json(raw)
    if not isinstance(body, dict):
        raise Unreadable("The body must be a JSON object.")
    return body


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
def _source(body: Mapping[str, Any]) -> Source:
    """Who speaks: the key of the header, of the body or, where no header can be sent, of the query."""
    text = security.presented_key() or body.get("writeKey")
    if not text and request.path.startswith("/beacon/"):
        text = request.args.get("writeKey")
    return _source_of_key(text)


def _source_of_key(text: object) -> Source:
    key = security.find_key(parts.current_parts().db, text) if isinstance(text, str) and text else None
    if key is None:
        if not rate_limits.buckets().take(f"refused:{request.remote_addr}", per_second=1, burst=60):
            abort(429)
        abort(401)
    return key.source


def _sources(body: Mapping[str, Any], calls: Iterable[object]) -> list[Source]:
    """The source of each call: that of the request, unless only the calls themselves carry keys."""
    calls = list(calls)
    keys = [call.get("writeKey") if isinstance(call, dict) else None for call in calls]
    named = security.presented_key() or body.get("writeKey") or request.path.startswith("/beacon/")
    if named or not any(keys):
        return [_source(body)] * len(calls)
    return [_source_of_key(key) for key in keys]


# ------------------------------------------------------------------------------ what browser SDKs ask first
@bp.get("/v1/projects/<key>/settings")
def segment_settings(key: str) -> Response:
    """What `@segment/analytics-next` loads before it starts: where to send, and no third parties."""
    _source_of_key(key)
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


@bp.get("/sourceConfig/")
def rudder_settings() -> Response:
    """What `@rudderstack/analytics-js` loads before it starts: a source without third parties."""
    key = security.presented_key() or request.args.get("writeKey", "")
    source = _source_of_key(key)
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


# --------------------------------------------------------------------------------------------- CORS, errors
@bp.before_request
def _preflight() -> Response | None:
    return current_app.response_class(status=204) if request.method == "OPTIONS" else None


@bp.after_request
def _any_origin(response: Response) -> Response:
    """Any site may call these paths: they take a public key and give nothing back. SDKs add headers of their own."""
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "*")
    headers["Vary"] = "Origin"
    if "Origin" in request.headers:
        headers["Access-Control-Allow-Credentials"] = "true"
    if request.method == "OPTIONS":
        headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        headers["Access-Control-Allow-Headers"] = request.headers.get(
            "Access-Control-Request-Headers", "Authorization, Content-Type"
        )
        headers["Access-Control-Max-Age"] = "86400"
    return response


@bp.errorhandler(Unreadable)
def _unreadable(error: Unreadable) -> Response:
    return problems.answer(400, detail=str(error), reason="unreadable")


@bp.errorhandler(ingest_queue.Overloaded)
def _overloaded(error: ingest_queue.Overloaded) -> Response:
    return problems.answer(429, detail="Too much is waiting to be stored.", headers={"Retry-After": str(error.seconds)})
