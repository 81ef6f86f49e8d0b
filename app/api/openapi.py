"""The API described from the signatures of its own views: `/v1/openapi.json`, and `/docs/api` for people."""

import re
from collections.abc import Iterator
from typing import Any, Literal

import pydantic
from flask import Blueprint, Flask, Response, current_app, jsonify, render_template
from werkzeug.routing import Rule

from app import parts
from app.api import tracking_shapes
from app.api.endpoint import WRITES, Operation
from campaigns import files

bp = Blueprint("openapi", __name__)

Json = dict[str, Any]
Mode = Literal["validation", "serialization"]

ABOUT = """What the console shows of a customer, a shop's own programs can read and change here. Send the secret key as
a Bearer token. Amounts are decimal numbers in their currency; times are ISO 8601 in UTC. A write that carries an
Idempotency-Key is done once: sent again within 24 hours, it is answered the same. Errors are application/problem+json
with a list of faults, each with its place. Unknown fields are refused."""

PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "faults"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {"type": "string", "description": "a stable word for programs"},
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}

SCHEMES: Json = {
    "secretKey": {"type": "http", "scheme": "bearer", "description": "a secret key; for servers only"},
    "writeKey": {"type": "http", "scheme": "basic", "description": "a write key as user name, no password"},
}


@bp.get("/v1/openapi.json")
def document() -> Response:
    """The OpenAPI document."""
    return jsonify(describe(current_app._get_current_object(), parts.current_parts().config.base_url))  # type: ignore[attr-defined]


@bp.get("/v1/schemas/campaign.json")
def campaign_schema() -> Response:
    """The JSON Schema of a file of campaigns, for editors and programs."""
    return jsonify(files.schema())


@bp.get("/docs/api")
def readable() -> str:
    """The same, to read."""
    described = describe(current_app._get_current_object(), parts.current_parts().config.base_url)  # type: ignore[attr-defined]
    return render_template("public/api.html", language="en", document=described, operations=list(_by_tag(described)))


def _by_tag(described: Json) -> Iterator[tuple[str, list[tuple[str, str, Json]]]]:
    found: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    yield from sorted(found.items())


def describe(app: Flask, base_url: str) -> Json:
    """The document of this application: each of its views made by `operation`, and the tracking calls."""
    found = list(_operations(app))
    shapes = list(_shapes(found))
    schemas, definitions = pydantic.TypeAdapter.json_schemas(shapes, ref_template="#/components/schemas/{model}")
    paths: Json = {}
    for path, method, operation in found:
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Relance", "version": "1", "description": ABOUT},
        "servers": [{"url": base_url}],
        "paths": dict(sorted({**paths, **tracking_shapes.PATHS}.items())),
        "components": {
            "schemas": {**definitions.get("$defs", {}), **tracking_shapes.SCHEMAS, "Problem": PROBLEM},
            "securitySchemes": SCHEMES,
        },
    }


def _operations(app: Flask) -> Iterator[tuple[str, str, Operation]]:
    for rule in app.url_map.iter_rules():
        described = getattr(app.view_functions[rule.endpoint], "operation", None)
        if isinstance(described, Operation):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield _template(rule), method, described


def _template(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _shapes(found: list[tuple[str, str, Operation]]) -> Iterator[tuple[str, Mode, "pydantic.TypeAdapter[Any]"]]:
    for path, method, operation in found:
        if operation.body is not None:
            yield f"{method} {path} body", "validation", operation.body
        yield f"{method} {path} reply", "serialization", operation.reply


def _operation(path: str, method: str, operation: Operation, schemas: Any) -> Json:
    described: Json = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": [{"secretKey": []}, *([{"writeKey": []}] if "write" in operation.kinds else [])],
        "parameters": [*_path_parameters(path), *_query_parameters(operation)],
        "responses": _responses(schemas[f"{method} {path} reply", "serialization"]),
    }
    if method in WRITES:
        described["parameters"].append(_IDEMPOTENCY)
    if body := schemas.get((f"{method} {path} body", "validation")):
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return described


_IDEMPOTENCY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "names this request: sent again within 24 hours it is done once and answered the same",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(operation: Operation) -> list[Json]:
    """Each field of the query model; their own definitions are written out, a parameter being short."""
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template="#/components/schemas/{model}")
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _responses(reply: Json | None) -> Json:
    problem = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    good: Json = {"204": {"description": "Done."}}
    if reply and reply.get("type") != "null":
        good = {"200": {"description": "Done.", "content": {"application/json": {"schema": reply}}}}
    refusals = {
        "401": "No key, or an unknown one.",
        "403": "This kind of key may not.",
        "404": "Nothing has this name.",
        "409": "Its state forbids it; `reason` says why.",
        "413": "Too large.",
        "422": "Something sent is wrong; `faults` names each place.",
        "429": "Too many; `Retry-After` says when to come again.",
    }
    return {**good, **{status: {"description": text, **problem} for status, text in refusals.items()}}
