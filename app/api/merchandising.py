"""The merchant's rules about products: `/v1/merchandising/rules`."""

from datetime import datetime
from typing import Annotated, Any

import pydantic
import sqlalchemy as sa
from flask import Blueprint

from app import security
from app.api.endpoint import Body, Reply, operation
from foundation.errors import Fault, Invalid
from recommender import merchandising, rules
from recommender.rules import Rule

bp = Blueprint("api_merchandising", __name__)
bp.before_request(security.require_key(security.Kind.SECRET))


class Wanted(Body):
    """All rules, in their order: where two cannot both, the first decides."""

    rules: Annotated[list[dict[str, Any]], pydantic.Field(max_length=merchandising.MOST_RULES)]


class Rules(Reply):
    """All rules as they stand, as they may be sent back."""

    rules: list[dict[str, Any]]


@bp.get("/v1/merchandising/rules")
@operation("The rules by which slates are made", tag="recommendations")
def read(conn: sa.Connection) -> Rules:
    """In their order."""
    return _standing(conn)


@bp.put("/v1/merchandising/rules")
@operation("Replaces the rules by which slates are made", tag="recommendations")
def replace(conn: sa.Connection, body: Wanted, now: datetime) -> Rules:
    """These instead of all there were; slates follow within half a minute. A single fault leaves all as they were."""
    wanted = _parsed(body.rules)
    merchandising.replace_rules(conn, wanted, by=f"API key of {security.current_key().source.name}", now=now)
    return _standing(conn)


def _standing(conn: sa.Connection) -> Rules:
    return Rules(rules=[rules.dump(kept.rule) for kept in merchandising.every_rule(conn)])


def _parsed(given: list[dict[str, Any]]) -> list[Rule]:
    parsed, faults = [], []
    for place, one in enumerate(given):
        try:
            parsed.append(rules.parse(one))
        except Invalid as refused:
            faults += [Fault(f"/rules/{place}{fault.pointer}", fault.detail) for fault in refused.faults]
    if faults:
        raise Invalid(*faults[:50])
    return parsed
