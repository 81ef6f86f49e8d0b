"""The tracking API as the OpenAPI document tells it: written out, for its bodies are Segment's."""

from typing import Any

Json = dict[str, Any]

_TEXT: Json = {"type": ["string", "null"]}
_OBJECT: Json = {"type": ["object", "null"], "additionalProperties": True}

_COMMON: Json = {
    "messageId": {"type": "string", "maxLength": 100, "description": "makes a repeat nothing"},
    "userId": _TEXT,
    "anonymousId": _TEXT,
    "timestamp": {"type": "string", "format": "date-time"},
    "originalTimestamp": {"type": "string", "format": "date-time"},
    "sentAt": {"type": "string", "format": "date-time", "description": "corrects the clock of the sender"},
    "context": _OBJECT,
    "integrations": _OBJECT,
    "writeKey": {"type": "string", "description": "instead of the Authorization header"},
}

_KINDS: dict[str, tuple[str, Json]] = {
    "identify": ("Says who a visitor is.", {"traits": _OBJECT}),
    "track": ("Says what someone did.", {"event": {"type": "string"}, "properties": _OBJECT}),
    "page": ("Says which page was seen.", {"name": _TEXT, "category": _TEXT, "properties": _OBJECT}),
    "screen": ("Says which screen of an app was seen.", {"name": _TEXT, "category": _TEXT, "properties": _OBJECT}),
    "group": ("Says which group someone belongs to.", {"groupId": _TEXT, "traits": _OBJECT}),
    "alias": ("Says that two ids are one person.", {"previousId": _TEXT}),
}

_BATCH: Json = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "items": {"$ref": "#/components/schemas/TrackingEvent"}},
        "sentAt": {"type": "string", "format": "date-time"},
        "context": _OBJECT,
        "writeKey": _COMMON["writeKey"],
    },
}

SCHEMAS: Json = {
    "TrackingEvent": {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"enum": sorted(_KINDS)},
            **_COMMON,
            **{name: shape for _, own in _KINDS.values() for name, shape in own.items()},
        },
    },
    "TrackingBatch": _BATCH,
    **{
        f"Tracking{kind.title()}": {"type": "object", "properties": {**_COMMON, **own}}
        for kind, (_, own) in _KINDS.items()
    },
}

_SUCCESS: Json = {
    "type": "object",
    "required": ["success"],
    "properties": {"success": {"const": True}},
}


def _responses(schema: Json) -> Json:
    problem = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {
        "200": {"description": "Done, and durable.", "content": {"application/json": {"schema": schema}}},
        "400": {"description": "Malformed, too large, or without anyone it is about.", **problem},
        "401": {"description": "No write key, or an unknown one.", **problem},
        "413": {"description": "Too large.", **problem},
        "429": {"description": "Too many; `Retry-After` says when to come again.", **problem},
    }


def _post(path: str, summary: str, schema: str) -> Json:
    return {
        "post": {
            "operationId": "post" + path.replace("/", "_"),
            "summary": summary,
            "tags": ["tracking"],
            "security": [{"writeKey": []}, {}],
            "parameters": [],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
            },
            "responses": _responses(_SUCCESS),
        }
    }


def _settings(path: str, parameter: Json) -> Json:
    return {
        "get": {
            "operationId": "get_" + path.strip("/").replace("/", "_"),
            "summary": "What a browser SDK asks for before it starts.",
            "tags": ["tracking"],
            "security": [{}],
            "parameters": [{**parameter, "schema": {"type": "string", "minLength": 1}}],
            "responses": _responses({"type": "object"}),
        }
    }


def _paths() -> Json:
    paths: Json = {}
    for kind, (summary, _) in _KINDS.items():
        for path in (f"/v1/{kind}", f"/v1/{kind[0]}"):
            paths[path] = _post(path, summary, f"Tracking{kind.title()}")
    for path in ("/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"):
        paths[path] = _post(path, "Many events in one call; those refused are kept with their reason.", "TrackingBatch")
    paths["/v1/projects/{key}/settings"] = _settings(
        "/v1/projects/settings", {"name": "key", "in": "path", "required": True}
    )
    paths["/sourceConfig/"] = _settings("/sourceConfig/", {"name": "writeKey", "in": "query", "required": False})
    return paths


PATHS: Json = _paths()
