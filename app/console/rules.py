"""The merchant's rules about products: read as sentences, changed, put in order, switched, tried on a customer."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import i18n, security
from app.console import customers as customer_pages
from app.console import forms, meanwhile, roles, rule_words, words
from app.console.forms import Form
from app.parts import current_parts
from foundation.errors import Invalid
from recommender import merchandising, placements, rules, serving
from recommender.rules import Rule
from recommender.slate import SlateItem
from shop import catalogue, finding

bp = Blueprint("rules", __name__, url_prefix="/rules")

BESIDE = ("rule_id", "who", "try_at")
"""What the form of a rule sends to try it, and is no part of the rule."""
HISTORY = 20
SHOWN = 6


@dataclass(frozen=True, slots=True)
class Shown:
    """One product of a slate, and how many places a rule moved it; None if it was not there before."""

    item: SlateItem
    moved: int | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What a rule changes for someone: the slate without it, and the slate with it."""

    who: str
    before: tuple[SlateItem, ...]
    after: tuple[Shown, ...]


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Every rule in its order, and who changed what."""
    return _list()


def _list(*, late: str = "") -> str:
    with current_parts().db.begin() as conn:
        kept = merchandising.every_rule(conn)
        history = merchandising.history(conn, limit=HISTORY)
    now = datetime.now(UTC)
    active = [one for one in kept if one.rule.enabled and (one.rule.ends_at is None or one.rule.ends_at > now)]
    return render_template(
        "console/rules/index.html",
        kept=kept,
        active=active,
        history=history,
        late=late,
        seen=_order([one.id for one in kept]),
        sentence=rule_words.sentence,
        where=rule_words.where,
        change=change,
        words=words,
        now=now,
    )


@bp.get("/new")
@security.require_role(*roles.READ)
def new() -> str:
    """An empty rule."""
    return _page(None, rule_words.blank())


@bp.post("/new")
@security.require_role(*roles.CHANGE)
def add() -> Response | tuple[str, int]:
    """Keeps a new rule, after the others; or says what is wrong. The form sent twice, as after going back, keeps one:
    a rule that says the same in all is there already."""
    try:
        rule = _given(enabled=True)
    except Invalid as refused:
        return _page(None, forms.with_faults(request.form, refused.faults)), 422
    with current_parts().db.begin() as conn:
        meanwhile.turn(conn, "rules")
        if all(kept.rule != rule for kept in merchandising.every_rule(conn)):
            merchandising.add_rule(conn, rule, by=_by(), now=datetime.now(UTC))
    return _done()


@bp.get("/<int:rule_id>")
@security.require_role(*roles.READ)
def show(rule_id: int) -> str:
    """One rule, to change or to try."""
    with current_parts().db.begin() as conn:
        rule = merchandising.get_rule(conn, rule_id)
    return _page(rule_id, meanwhile.opened(rule_words.form_of(rule)))


@bp.post("/<int:rule_id>")
@security.require_role(*roles.CHANGE)
def save(rule_id: int) -> Response | tuple[str, int]:
    """Keeps the rule as it was changed; or says what is wrong and changes nothing."""
    try:
        with current_parts().db.begin() as conn:
            meanwhile.turn(conn, "rules")
            standing = merchandising.get_rule(conn, rule_id)
            if clash := meanwhile.clash(rule_words.form_of(standing), request.form, beside=BESIDE):
                return _page(rule_id, clash), 409
            rule = _given(enabled=standing.enabled)
            merchandising.change_rule(conn, rule_id, rule, by=_by(), now=datetime.now(UTC))
    except Invalid as refused:
        return _page(rule_id, forms.with_faults(request.form, refused.faults)), 422
    return _done()


@bp.post("/try")
@security.require_role(*roles.READ)
def attempt() -> str | tuple[str, int]:
    """The rule of the form on someone's slate, before and after; nothing is kept."""
    rule_id = request.form.get("rule_id", type=int)
    form = Form(request.form)
    try:
        rule = _given(enabled=True)
    except Invalid as refused:
        return _page(rule_id, forms.with_faults(request.form, refused.faults)), 422
    with current_parts().db.begin() as conn:
        return _page(rule_id, form, tried=_tried(conn, rule_id, rule))


@bp.post("/<int:rule_id>/switch")
@security.require_role(*roles.CHANGE)
def switch(rule_id: int) -> Response:
    """On or off, as the button said that was pressed: when a colleague has just done it, it stays so."""
    with current_parts().db.begin() as conn:
        meanwhile.turn(conn, "rules")
        rule = replace(merchandising.get_rule(conn, rule_id), enabled=request.form.get("enabled") == "yes")
        merchandising.change_rule(conn, rule_id, rule, by=_by(), now=datetime.now(UTC))
    return redirect(url_for(".index"), code=303)


@bp.post("/<int:rule_id>/move")
@security.require_role(*roles.CHANGE)
def move(rule_id: int) -> Response | tuple[str, int]:
    """One place up or down, or to a place; the first rule decides where two cannot both. A place is one among those
    that were looked at: in another order nothing is moved, and that order is shown."""
    step, to = -1 if request.form.get("way") == "up" else 1, request.form.get("to", type=int)
    with current_parts().db.begin() as conn:
        meanwhile.turn(conn, "rules")
        names = {kept.id: kept.rule.name for kept in merchandising.every_rule(conn)}
        order = list(names)
        if rule_id not in order:
            abort(404)
        late = names[rule_id] if request.form.get(meanwhile.SEEN, _order(order)) != _order(order) else ""
        if late:
            return _list(late=late), 409
        place = order.index(rule_id)
        order.remove(rule_id)
        order.insert(max(place + step if to is None else to, 0), rule_id)
        merchandising.order_rules(conn, order, by=_by(), now=datetime.now(UTC))
    return redirect(url_for(".index", _anchor=f"rule-{rule_id}"), code=303)


@bp.post("/<int:rule_id>/remove")
@security.require_role(*roles.CHANGE)
def remove(rule_id: int) -> Response:
    """Takes it away; what it said stays in the history."""
    with current_parts().db.begin() as conn:
        merchandising.remove_rule(conn, rule_id, by=_by(), now=datetime.now(UTC))
    flash(i18n.gettext("Removed. What it said stays in the history below."))
    return redirect(url_for(".index"), code=303)


def change(one: merchandising.Change) -> str:
    """What someone changed, in a sentence."""
    if one.what == "rule":
        return _rule_change(one)
    if one.what == "order":
        return i18n.gettext("put the rules in another order")
    name = i18n.gettext(words.PLACEMENT[one.subject])
    if one.what == "placement":
        return i18n.gettext("changed the placement “%(name)s”", name=name)
    if one.after:
        return i18n.gettext("started an experiment at “%(name)s”", name=name)
    return i18n.gettext("ended the experiment at “%(name)s”", name=name)


def _rule_change(one: merchandising.Change) -> str:
    name = (one.after or one.before)["name"]
    if one.before is None:
        return i18n.gettext("added “%(name)s”", name=name)
    if one.after is None:
        return i18n.gettext("removed “%(name)s”", name=name)
    if one.before["enabled"] != one.after["enabled"]:
        return (
            i18n.gettext("switched “%(name)s” on", name=name)
            if one.after["enabled"]
            else (i18n.gettext("switched “%(name)s” off", name=name))
        )
    return i18n.gettext("changed “%(name)s”", name=name)


# ---------------------------------------------------------------------------------------------------- pieces
def _given(*, enabled: bool) -> Rule:
    return rules.parse(rule_words.definition_of(request.form, enabled=enabled, zone=i18n.zone()))


def _order(rule_ids: list[int]) -> str:
    return forms.fingerprint(rule_ids)


def _by() -> str:
    user = security.current_user()
    return user.email if user else ""


def _done() -> Response:
    flash(i18n.gettext("Saved. Slates follow within half a minute."))
    return redirect(url_for(".index"), code=303)


def _page(rule_id: int | None, form: Form, *, tried: Tried | None = None) -> str:
    with current_parts().db.begin() as conn:
        categories = list(catalogue.categories(conn))
    context: dict[str, Any] = {"rule_id": rule_id, "form": form, "tried": tried, "categories": categories}
    return render_template(
        "console/rules/edit.html",
        **context,
        words=words,
        actions=[(str(action), i18n.gettext(words.ACTION[action].word)) for action in rules.Action],
        channels=rules.SHOWN_ON,
        wanted=rules.WANTED,
    )


def _tried(conn: sa.Connection, rule_id: int | None, rule: Rule) -> Tried:
    """With the rule in its place among the others, and without it."""
    kept = merchandising.every_rule(conn)
    without = [one.rule for one in kept if one.id != rule_id]
    if any(one.id == rule_id for one in kept):
        with_it = [rule if one.id == rule_id else one.rule for one in kept]
    else:
        with_it = [*without, rule]
    placement = placements.known(merchandising.every_placement(conn), request.form.get("try_at") or "home")
    placement = replace(placement, explore=0.0)  # by lot, it would change more than the rule does
    text = request.form.get("who", "").strip()
    person = next(iter(finding.search(conn, text, limit=1).customers), None) if text else None
    asked = serving.Request(placement.name, customer_id=person.id if person else None, n=SHOWN, locale=i18n.locale())
    slates = [
        current_parts().recommender.preview(conn, asked, rules=tried, placement=placement, now=datetime.now(UTC)).items
        for tried in (without, with_it)
    ]
    who = customer_pages.name(person) if person else i18n.gettext("A new visitor")
    return Tried(who, slates[0], _compared(*slates))


def _compared(before: tuple[SlateItem, ...], after: tuple[SlateItem, ...]) -> tuple[Shown, ...]:
    places = {item.product_id: place for place, item in enumerate(before)}
    return tuple(
        Shown(item, places[item.product_id] - place if item.product_id in places else None)
        for place, item in enumerate(after)
    )
