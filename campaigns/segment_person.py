"""Rules on what a customer is: traits, handles, consent, channels, fifths, predictions, where she lives, segments."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from campaigns import segment_parts as parts
from campaigns import tables
from campaigns.definitions import comparisons, conditions
from campaigns.definitions.conditions import Consent, Distance, Identity, InSegment, Prediction, Rfm, Trait, Used
from campaigns.segment_parts import Clause, Expression, Measured, OnRow, Scope
from recommender.tables import customer_predictions
from shop import consent as consents_kept
from shop import handles
from shop.tables import consents, identities, profiles, stores

EARTH_KM = 6371.0088
"""Mean radius; the error against the ellipsoid is below 0.6%."""
KM_A_DEGREE = 110.5
"""A degree of latitude, at its shortest."""


# ------------------------------------------------------------------------------------------------- traits
def trait(rule: Trait, scope: Scope) -> OnRow:
    """What the shop told us of her."""
    return OnRow(
        holds=lambda row: _trait_holds(rule, row, now=scope.now),
        value=lambda row: trait_text(row, rule.name),
    )


def trait_text(row: sa.FromClause, name: str) -> Expression:
    """A trait as text: from its own column, else from what else the shop told us."""
    if name == "created_at":
        return sa.func.to_char(sa.func.timezone("UTC", row.c.created_at), "YYYY-MM-DD")
    if name in (*handles.COLUMNS, "user_id"):
        return sa.cast(row.c[name], sa.Text)
    return parts.text_at(row.c.traits, name)


def _trait_holds(rule: Trait, row: sa.FromClause, *, now: datetime) -> Clause:
    words = trait_text(row, rule.name)
    if rule.op == "exists":
        return words.is_not(None)
    if rule.of_days:
        return parts.calendar(parts.day(words), rule, now=now)
    if isinstance(rule.value, bool):
        return words == str(rule.value).lower()
    if rule.op not in comparisons.TEXTS or not isinstance(rule.value, str | tuple):
        return parts.compared(parts.number(words), rule)
    if rule.name in (*handles.COLUMNS, "user_id", "created_at"):
        return parts.same_text(words, rule)
    return _any_member(rule, words, parts.at_path(row.c.traits, rule.name))


def _any_member(rule: Trait, words: Expression, json: Expression) -> Clause:
    """A list holds a text if one of its members does."""
    listed = sa.func.jsonb_typeof(json) == "array"
    members = sa.func.jsonb_array_elements_text(
        sa.case((listed, json), else_=sa.literal_column("'[]'::jsonb"))
    ).table_valued("value")
    one = sa.exists(sa.select(members.c.value).where(parts.same_text(members.c.value, rule)))
    return sa.case((listed, one), else_=parts.same_text(words, rule))


def distance(rule: Distance, scope: Scope) -> Measured:
    """She lives near a store; her place is two of her traits. Stores are looked for in her band of a degree of latitude
    and the next ones that matter, so that not everybody is measured against every store."""
    near, home = _bands(rule), _homes(rule, scope)
    apart = sa.case(
        (
            sa.func.abs(near.c.latitude - home.c.latitude) * KM_A_DEGREE <= rule.km,
            _haversine(home.c.latitude, home.c.longitude, near.c.latitude, near.c.longitude),
        )
    )
    rows = (
        sa.select(home.c.customer_id, sa.func.min(apart).label("value"))
        .join_from(home, near, sa.func.floor(home.c.latitude) == near.c.band)
        .where(home.c.latitude.between(-90, 90), home.c.longitude.between(-180, 180), apart <= rule.km)
    )
    return Measured(rows.group_by(home.c.customer_id))


def _homes(rule: Distance, scope: Scope) -> sa.Subquery:
    """Where customers live, read from their traits once each: OFFSET keeps PostgreSQL from doing so for every store."""
    person = scope.people()
    query = sa.select(
        person.c.id.label("customer_id"),
        sa.cast(parts.number(trait_text(person, rule.latitude)), sa.Double).label("latitude"),
        sa.cast(parts.number(trait_text(person, rule.longitude)), sa.Double).label("longitude"),
    )
    return query.where(*scope.of(person.c.id)).offset(0).subquery("home")


def _bands(rule: Distance) -> sa.Subquery:
    """Each store meant, once for each whole degree of latitude that may hold somebody near it."""
    reach = rule.km / KM_A_DEGREE
    bands = sa.func.generate_series(
        sa.cast(sa.func.floor(stores.c.latitude - reach), sa.Integer),
        sa.cast(sa.func.floor(stores.c.latitude + reach), sa.Integer),
    )
    query = sa.select(stores.c.latitude, stores.c.longitude, bands.label("band"))
    if rule.store:
        query = query.where(stores.c.store_id == rule.store)
    return query.where(stores.c.latitude.is_not(None), stores.c.longitude.is_not(None)).subquery("near")


def _haversine(lat1: Expression, lon1: Expression, lat2: Expression, lon2: Expression) -> Expression:
    chord = sa.func.pow(sa.func.sin(sa.func.radians(lat2 - lat1) / 2), 2) + sa.func.cos(sa.func.radians(lat1)) * (
        sa.func.cos(sa.func.radians(lat2)) * sa.func.pow(sa.func.sin(sa.func.radians(lon2 - lon1) / 2), 2)
    )
    return 2 * EARTH_KM * sa.func.asin(sa.func.sqrt(sa.func.least(1.0, chord)))


# -------------------------------------------------------------------------------------- other tables' rows
def identity(rule: Identity, scope: Scope) -> Measured:
    """A handle of this kind that still says who she is."""
    rows = sa.select(identities.c.customer_id, sa.func.min(identities.c.value).label("value")).where(
        identities.c.kind == rule.kind, identities.c.quarantined_at.is_(None), *scope.of(identities.c.customer_id)
    )
    return Measured(rows.group_by(identities.c.customer_id))


def consent(rule: Consent, scope: Scope) -> Measured:
    """What she says; a no that covers it outweighs every yes."""
    denied = sa.func.bool_or(consents.c.state == consents_kept.State.DENIED)
    said = sa.case((denied, "denied"), else_="granted")
    rows = sa.select(consents.c.customer_id, said.label("value")).where(
        consents.c.channel.in_((rule.channel, "any")),
        consents.c.purpose.in_((rule.purpose, "any")),
        *scope.of(consents.c.customer_id),
    )
    rows = rows.group_by(consents.c.customer_id)
    if rule.state == "unknown":
        return Measured(rows, none=True)
    return Measured(rows, denied if rule.state == "denied" else sa.not_(denied))


def used(rule: Used, scope: Scope) -> Measured:
    """Something of hers happened on a source channel."""
    at = profiles.c[f"{rule.channel}_last_at"]
    rows = sa.select(profiles.c.customer_id, at.label("value")).where(
        at.is_not(None), *scope.of(profiles.c.customer_id)
    )
    if rule.in_last_days is not None:
        today = datetime.combine(scope.now.astimezone(UTC).date(), time(), UTC)
        rows = rows.where(at >= today - timedelta(days=rule.in_last_days))
    return Measured(rows)


def rfm(rule: Rfm, scope: Scope) -> Measured:
    """Her fifth of all who ever ordered, against the bounds of last night. A value on a bound is in the lower fifth."""
    bounds = sa.select(tables.fifths.c.bounds).where(tables.fifths.c.measure == rule.measure).scalar_subquery()
    value = FIFTHS[rule.measure]
    fifth = 1 + sum((sa.cast(value > bounds[n], sa.Integer) for n in range(1, 5)), start=sa.literal(0))
    rows = sa.select(profiles.c.customer_id, fifth.label("value")).where(
        profiles.c.orders > 0, *scope.of(profiles.c.customer_id), fifth.in_(sorted(set(rule.quintiles)))
    )
    return Measured(rows)


FIFTHS: dict[str, Expression] = {
    "recency": sa.cast(sa.func.extract("epoch", profiles.c.last_order_at), sa.Double),
    "frequency": sa.cast(profiles.c.orders, sa.Double),
    "value": sa.cast(profiles.c.spent, sa.Double),
}
"""What customers are ranked by; more is better."""


def prediction(rule: Prediction, scope: Scope) -> Measured:
    """What is expected of her."""
    value = customer_predictions.c[rule.name]
    rows = sa.select(customer_predictions.c.customer_id, value.label("value")).where(
        _expected(rule, value, now=scope.now), *scope.of(customer_predictions.c.customer_id)
    )
    return Measured(rows)


def _expected(rule: Prediction, value: Expression, *, now: datetime) -> Clause:
    if rule.op == "exists":
        return value.is_not(None)
    if conditions.PREDICTED[rule.name] == "moment":
        written = sa.func.to_char(sa.func.timezone("UTC", value), "YYYY-MM-DD").collate("C")
        return parts.calendar(written, rule, now=now)
    if conditions.PREDICTED[rule.name] == "number":
        return parts.compared(sa.cast(value, sa.Numeric), rule)
    return parts.same_text(value, rule)


def in_segment(rule: InSegment, scope: Scope) -> Measured:
    """She is a member of another segment, as it stands."""
    members = tables.segment_members
    named = sa.select(tables.segments.c.id).where(tables.segments.c.name == rule.name).scalar_subquery()
    rows = sa.select(members.c.customer_id, members.c.since.label("value")).where(
        members.c.segment_id == named, *scope.of(members.c.customer_id)
    )
    return Measured(rows)


RULES: dict[type, Callable[[Any, Scope], parts.Leaf]] = {
    Trait: trait,
    Distance: distance,
    Identity: identity,
    Consent: consent,
    Used: used,
    Rfm: rfm,
    Prediction: prediction,
    InSegment: in_segment,
}
