"""`operation`: what lies between a route and its verb - parsing, one transaction, repeats, the answer as JSON.

A view's own signature is its contract. `query` and `body` are pydantic models, read and checked before the view runs;
its return type is what it answers; `now` is given to those who ask. The OpenAPI document is drawn from the same
signatures, so it cannot say anything else than what is done.
"""

import base64
import binascii
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar, get_type_hints

import orjson
import pydantic
import sqlalchemy as sa
from flask import Response, request

from app import parts, security
from app.api import idempotency
from foundation.errors import Fault, Invalid, NotFound

WRITES = ("PUT", "POST", "DELETE", "PATCH")

View = Callable[..., object]
M = TypeVar("M", bound=pydantic.BaseModel)


def no_nul(text: str) -> str:
    """PostgreSQL keeps every character but this one."""
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, pydantic.Field(max_length=2000), pydantic.AfterValidator(no_nul)]
Word = Annotated[str, pydantic.Field(min_length=1, max_length=200), pydantic.AfterValidator(no_nul)]
Amount = Annotated[Decimal, pydantic.PlainSerializer(float, return_type=float, when_used="json")]


class Body(pydantic.BaseModel):
    """What a caller sends: JSON types as they are, no unknown fields."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class Query(pydantic.BaseModel):
    """What a caller asks in the address: text that reads as the type wanted, no unknown fields."""

    model_config = pydantic.ConfigDict(extra="forbid")


class Page(Query):
    """Which part of a long list."""

    cursor: Annotated[str, pydantic.Field(max_length=500)] | None = None
    limit: Annotated[int, pydantic.Field(ge=1, le=200)] = 50


class Reply(pydantic.BaseModel):
    """What we answer."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What the OpenAPI document says of a view."""

    summary: str
    tag: str
    kinds: tuple[str, ...]
    query: type[pydantic.BaseModel] | None
    body: "pydantic.TypeAdapter[Any] | None"
    reply: "pydantic.TypeAdapter[Any]"


def operation(
    summary: str, *, tag: str, kinds: tuple[str, ...] = (security.Kind.SECRET,), body: Any = None
) -> Callable[[View], Callable[..., Response]]:
    """Makes a function of values into a view. Its first parameter is the transaction it works in.

    :param body: the shape of the body, where it is made at run time and cannot be an annotation
    """

    def decorate(view: View) -> Callable[..., Response]:
        hints = get_type_hints(view, include_extras=True)
        shape = body or hints.get("body")
        reader = pydantic.TypeAdapter(shape) if shape else None
        described = Operation(summary, tag, kinds, hints.get("query"), reader, pydantic.TypeAdapter(hints["return"]))
        wants_now = "now" in inspect.signature(view).parameters

        @functools.wraps(view)
        def answer(**path: str) -> Response:
            if any("\0" in value for value in path.values()):
                raise NotFound("Nothing has this name.")
            now = datetime.now(UTC)
            given = {**path, **_read(described), **({"now": now} if wants_now else {})}
            with parts.current_parts().db.begin() as conn:
                return _once(conn, lambda: _dump(described.reply, view(conn, **given)), now=now)

        answer.operation = described  # type: ignore[attr-defined]
        return answer

    return decorate


def _read(described: Operation) -> dict[str, object]:
    given: dict[str, object] = {}
    if described.query is not None:
        given["query"] = parse(described.query, arguments(described.query, request.args.lists()))
    if described.body is not None:
        given["body"] = _body(described.body)
    return given


def arguments(model: type[pydantic.BaseModel], given: Iterable[tuple[str, list[str]]]) -> dict[str, object]:
    """The query string; a name given several times is a list where the model wants one, else a fault."""
    values: dict[str, object] = {}
    for name, texts in given:
        many = name in _lists(model)
        if len(texts) > 1 and not many:
            raise Invalid(Fault(f"/{name}", "is given more than once"))
        values[name] = texts if many else texts[0]
    return values


@functools.cache
def _lists(model: type[pydantic.BaseModel]) -> frozenset[str]:
    """The fields that take several values."""
    return frozenset(name for name, field in model.model_fields.items() if "list" in str(field.annotation))


def parse(model: type[M], values: dict[str, object]) -> M:
    """Reads values into a model, or raises `Invalid` with a fault for each place."""
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise Invalid(*_faults(error)) from None


def _body(reader: "pydantic.TypeAdapter[Any]") -> object:
    try:
        return reader.validate_json(request.get_data())
    except pydantic.ValidationError as error:
        raise Invalid(*_faults(error)) from None


def _faults(error: pydantic.ValidationError) -> list[Fault]:
    """At most fifty of them: nobody reads more, and a hostile body may hold a million."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:50]
    return [Fault("".join(f"/{_escaped(part)}" for part in fault["loc"]), fault["msg"]) for fault in found]


def _escaped(part: object) -> str:
    return str(part)[:100].replace("~", "~0").replace("/", "~1")


def _once(conn: sa.Connection, work: Callable[[], idempotency.Answer], *, now: datetime) -> Response:
    """Does the work, or, for a write whose Idempotency-Key was seen, gives the answer of the first time."""
    name = request.headers.get("Idempotency-Key")
    if name is None or request.method not in WRITES:
        return _response(work())
    if not 0 < len(name) <= idempotency.LONGEST or not name.isprintable():
        raise Invalid(Fault("Idempotency-Key", f"needs 1 to {idempotency.LONGEST} printable characters"))
    key_id = security.current_key().id
    digest = hashlib.sha256(b"\n".join((request.method.encode(), request.full_path.encode(), request.get_data())))
    known = idempotency.earlier(conn, key_id=key_id, name=name, request_hash=digest.digest(), now=now)
    if known is not None:
        response = _response(known)
        response.headers["Idempotency-Replayed"] = "true"
        return response
    done = work()
    idempotency.keep(conn, key_id=key_id, name=name, answer=done)
    return _response(done)


def _dump(reply: "pydantic.TypeAdapter[Any]", value: object) -> idempotency.Answer:
    if value is None:
        return idempotency.Answer(204, "")
    return idempotency.Answer(200, reply.dump_json(value).decode())


def _response(answer: idempotency.Answer) -> Response:
    return Response(answer.body, answer.status, mimetype="application/json" if answer.body else None)


def cursor(*position: object) -> str:
    """Where a page ended, as one opaque word."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def position(text: str | None, length: int) -> list[Any] | None:
    """What `cursor` was made of; raises `Invalid` if it was not made here."""
    if text is None:
        return None
    try:
        found = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, list) or len(found) != length:
        raise Invalid(Fault("/cursor", "is not a cursor given by this list"))
    return found
