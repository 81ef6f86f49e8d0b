"""Rows sent in bulk: their shape in the OpenAPI document, and the result of each."""

from collections.abc import Sequence
from typing import Annotated, Any

import pydantic

from app.api.endpoint import Reply
from shop import catalogue, rows
from shop.feeds import RowResult

_TYPES: dict[rows.Reader, dict[str, Any]] = {
    rows.identifier: {"type": "string", "minLength": 1, "maxLength": rows.LONGEST_ID},
    rows.amount: {"type": "number", "minimum": 0},
    rows.short: {"type": "string", "maxLength": 1000},
    rows.quantity: {"type": "integer", "minimum": 0},
    rows.flag: {"type": "boolean"},
    rows.json_object: {"type": "object"},
    rows.link: {"type": "string", "description": "an https address, or a path on the shop's own site"},
    rows.path: {"type": "string", "description": "a path, such as Kitchen > Pots"},
    rows.currency: {"type": "string", "pattern": "^[A-Z]{3}$"},
    rows.timezone: {"type": "string", "description": "an IANA name, such as Europe/Paris"},
}


def rows_of(fields: Sequence[rows.Field]) -> Any:
    """The type of a body of such rows. Each row is read by the feed itself, so that one bad row spoils no other."""
    shape = {
        "type": "array",
        "maxItems": catalogue.MOST_ROWS,
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": [field.name for field in fields if field.required],
            "properties": {field.name: _TYPES.get(field.reader, {"type": "number"}) for field in fields},
        },
    }
    return Annotated[
        list[dict[str, Any]], pydantic.Field(max_length=catalogue.MOST_ROWS), pydantic.WithJsonSchema(shape)
    ]


class FaultReply(Reply):
    """One thing wrong with a row."""

    pointer: str
    detail: str


class RowReply(Reply):
    """What became of one row."""

    index: int
    ok: bool
    changed: bool
    faults: list[FaultReply]


class FeedReply(Reply):
    """What became of all of them."""

    accepted: int
    refused: int
    results: list[RowReply]


def reply(results: Sequence[RowResult]) -> FeedReply:
    """The results as they are answered."""
    accepted = sum(result.ok for result in results)
    return FeedReply(
        accepted=accepted,
        refused=len(results) - accepted,
        results=[
            RowReply(
                index=result.index,
                ok=result.ok,
                changed=result.changed,
                faults=[FaultReply(pointer=fault.pointer, detail=fault.detail) for fault in result.faults],
            )
            for result in results
        ],
    )
