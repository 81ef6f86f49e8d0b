"""Segments: the list with their sizes, the builder that counts as one writes, lists from files, and why one is in."""

import re
import tempfile
import threading
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import i18n, security
from app.console import customers as customer_pages
from app.console import forms, roles, segment_fields, segment_forms, segment_words, sentences, time_charts, venn, words
from app.console.forms import Form
from app.parts import current_parts
from campaigns import crowds, known_values, list_imports, members, segment_explain, segment_preview, segments
from campaigns.definitions import conditions
from campaigns.definitions.conditions import Condition
from campaigns.insights import house
from foundation.errors import Conflict, Fault, Invalid, RelanceError
from shop import customers

bp = Blueprint("segments", __name__, url_prefix="/segments")

EDITING = timedelta(seconds=3)
"""How long an editor waits for a count."""
FIELD_OF = {"/title": "/title", "/name": "/title"}
"""Which field of a handed-in list a fault is about; every other is about what its file says."""
NEW = "new"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is being written: the rule as JSON, its faults by place, and what it comes to once it has none. `since` is
    when the segment it was begun from was kept, as text; empty for a new one."""

    name: str
    title: str
    rule: dict[str, Any]
    faults: dict[str, str] = field(default_factory=dict)
    counted: segment_preview.Counted | None = None
    each: dict[str, int | None] = field(default_factory=dict)
    people: tuple[customers.Customer, ...] = ()
    total: int = 0
    since: str = ""


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Every segment with its size, kept as members come and go."""
    return _list(Form({}))


def _list(form: Form) -> str:
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        kept = segments.every(conn)
        grown = members.grown(conn, since=month_ago())
        total = house.customers_known(conn)
        given = _given(conn, now=now)
    return render_template("console/segments/index.html", kept=kept, grown=grown, total=total, form=form, **given)


def _given(conn: sa.Connection, *, now: datetime) -> dict[str, Any]:
    """The files handed in of late."""
    found = list_imports.latest(conn, now=now)
    return {"lists": found, "reading": any(one.running(now) for one in found), "now": now, "say": sentences.said}


@bp.get("/-/new")
@security.require_role(*roles.CHANGE)
def new() -> str:
    """An empty builder."""
    return _editor(Draft("", "", dict(segment_forms.EMPTY)), None)


@bp.get("/<name>")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """A segment in its builder; beside it, with `customer`, why that person is in or out."""
    with current_parts().db.begin() as conn:
        kept = segments.get(conn, name)
        shown = members.some(conn, kept.id, limit=segment_preview.SHOWN)
        people = tuple(customers.get_many(conn, shown).values())
        total = house.customers_known(conn)
    rule = conditions.dump(kept.rule) if kept.rule else dict(segment_forms.EMPTY)
    counted = segment_preview.Counted(kept.size, True, tuple(shown), None) if kept.size is not None else None
    since = kept.updated_at.isoformat()
    return _editor(Draft(kept.name, kept.title, _grouped(rule), {}, counted, {}, people, total, since), kept)


@bp.post("/draft")
@security.require_role(*roles.CHANGE)
def draft() -> str:
    """The builder after a change, with its count; nothing is kept."""
    return render_template("console/segments/builder.html", **_context(_sent()))


@bp.post("")
@security.require_role(*roles.CHANGE)
def save() -> BaseResponse | tuple[str, int]:
    """Keeps what was written; every fault comes back beside its rule, and so does what somebody else has changed
    meanwhile. A button of the builder keeps nothing: without scripts it comes here too."""
    if request.form.get("do"):
        return _editor(_sent(), _begun_from()), 200
    written, now = _sent(counting=False), datetime.now(UTC)
    value = {"name": written.name, "title": written.title, "rule": written.rule}
    try:
        with current_parts().db.begin() as conn:
            definition = segments.parse(value)
            theirs = _changed_meanwhile(conn, definition, written.since)
            if theirs is None:
                segments.apply(conn, definition, now=now)
    except Invalid as error:
        return _editor(_with_faults(written, error.faults), _begun_from()), 422
    if theirs is None:
        flash(i18n.gettext("Saved. Its members are found within seconds."))
        return redirect(url_for(".show", name=written.name), code=303)
    if not request.form.get("name"):
        taken = i18n.gettext("There is a segment of this name already.")
        return _editor(replace(written, faults={"/title": taken}), None), 422
    mine = replace(written, since=theirs.updated_at.isoformat())
    return _editor(mine, theirs, overtaken=True), 409


def _changed_meanwhile(conn: sa.Connection, written: segments.Definition, since: str) -> segments.Segment | None:
    """The segment as somebody else has kept it since the form was drawn; None if nobody did, or both wrote the same."""
    current = segments.find(conn, written.name, held=True)
    if current is None or current.updated_at.isoformat() == since:
        return None
    return None if (current.title, current.rule) == (written.title, written.rule) else current


def _begun_from() -> segments.Segment | None:
    """The segment the form changes; None for a new one."""
    with current_parts().db.begin() as conn:
        return segments.find(conn, request.form.get("name", ""))


@bp.get("/-/values")
@security.require_role(*roles.READ)
def values() -> str:
    """What could stand in a field, from the shop's own data, as options; of a list, after what it holds already."""
    typed = next((text for key, text in request.args.items() if key.startswith(segment_forms.ROOT)), "")[:200]
    kept, _, begun = typed.rpartition(",") if request.args.get("of") in LISTS else ("", "", typed)
    with current_parts().db.begin() as conn:
        found = _offered(conn, request.args.get("of", ""), request.args.get("name", ""), begun.strip())
    before = f"{kept.strip()}, " if kept.strip() else ""
    return render_template("console/segments/values.html", found=[(before + value, said) for value, said in found])


LISTS = ("categories", "brands", "products", "stores")


def _offered(conn: sa.Connection, of: str, name: str, begun: str) -> list[tuple[str, str]]:
    """Values with what is said beside each."""
    match of:
        case "stores":
            return known_values.shops(conn)
        case "categories" | "brands" | "products":
            found = known_values.goods(conn, of, begun)
        case "trait":
            found = known_values.trait_values(conn, name, begun)
        case "property":
            found = known_values.properties(conn, name)
        case "campaign":
            found = known_values.campaign_names(conn)
        case "offer":
            found = known_values.offer_names(conn)
        case _:
            found = []
    return [(value, "") for value in found]


@bp.get("/<name>/overlap")
@security.require_role(*roles.READ)
def overlap(name: str) -> str:
    """This segment and another as two circles; counted when somebody asks."""
    with current_parts().db.begin() as conn:
        one = segments.get(conn, name)
        other = segments.find(conn, request.args.get("with", ""))
        both = members.shared(conn, one.id, other.id) if other else 0
    drawn = venn.draw(one.size or 0, other.size or 0, both) if other else None
    return render_template("console/segments/overlap.html", one=one, other=other, both=both, venn=drawn)


@bp.post("/-/lists")
@security.require_role(*roles.CHANGE)
def upload() -> BaseResponse | tuple[str, int]:
    """A list of customers from a file, kept as a segment of that name; sent again, it replaces the first. What is wrong
    with either is said where they were named."""
    title = request.form.get("title", "").strip()
    typed = {"title": title, "file": ""}
    try:
        return _uploaded(title)
    except Invalid as refused:
        placed = [replace(one, pointer=FIELD_OF.get(one.pointer, "/file")) for one in refused.faults]
        return _list(forms.with_faults(typed, placed)), 422
    except Conflict:
        taken = i18n.gettext("There is a segment of this name already, and it is a rule.")
        return _list(Form(typed, {"title": taken})), 409


def _uploaded(title: str) -> BaseResponse:
    """The file is looked at here, and made a list beside this request; the page of segments shows how far it is."""
    sent, now, user, name = request.files.get("file"), datetime.now(UTC), security.current_user(), _slug(title)
    if sent is None or not sent.filename:
        raise Invalid(Fault("/file", "is needed"))
    db, folder = current_parts().db, tempfile.TemporaryDirectory()
    try:
        path = Path(folder.name) / f"list{Path(sent.filename).suffix.lower()}"
        sent.save(path)
        with db.begin() as conn:
            by, file = user.email if user else "", Path(sent.filename).name
            number = list_imports.begin(conn, name, title=title, path=path, file=file, by=by, now=now)
    except RelanceError:
        folder.cleanup()
        raise

    def make() -> None:
        with folder:
            list_imports.run(db, number, name, title=title, path=path, now=now)

    threading.Thread(target=make, name=f"list-import-{number}", daemon=True).start()
    return redirect(url_for(".index"), code=303)


@bp.get("/-/lists")
@security.require_role(*roles.READ)
def lists() -> str:
    """How far the files are; asked for again and again until none is read any more."""
    with current_parts().db.begin() as conn:
        given = _given(conn, now=datetime.now(UTC))
    return render_template("console/segments/lists.html", **given)


@bp.post("/<name>/crowds")
@security.require_role(*roles.CHANGE)
def decide_crowd(name: str) -> BaseResponse:
    """Campaigns are told of very many who moved at once, or are not."""
    number, wanted = request.form.get("crowd", 0, type=int), request.form.get("wanted") == "yes"
    with current_parts().db.begin() as conn:
        decided = crowds.decide(conn, segments.get(conn, name).id, number, wanted=wanted, now=datetime.now(UTC))
    if not decided:
        flash(i18n.gettext("Somebody decided on it already."))
    else:
        flash(i18n.gettext("Campaigns learn of it within seconds.") if wanted else i18n.gettext("It is left."))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/delete")
@security.require_role(*roles.CHANGE)
def delete(name: str) -> BaseResponse:
    """Removes a segment that nothing uses."""
    with current_parts().db.begin() as conn:
        segments.remove(conn, name)
    flash(i18n.gettext("The segment is gone."))
    return redirect(url_for(".index"), code=303)


# -------------------------------------------------------------------------------------------------- parts
def _sent(*, counting: bool = True) -> Draft:
    """What the form holds, after the button that was pressed."""
    form = request.form.to_dict()
    rule = segment_forms.read(form)
    if do := form.get("do", ""):
        rule = segment_forms.changed(rule, do, form.get("kind" + do.partition(":")[2], ""))
    title = form.get("title", "").strip()
    draft = Draft(form.get("name") or _slug(title), title, _grouped(rule), since=form.get("since", ""))
    return _counted(draft) if counting else draft


def _slug(title: str) -> str:
    """A short word from a title."""
    letters = unicodedata.normalize("NFKD", title.lower())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63]


def _grouped(rule: dict[str, Any]) -> dict[str, Any]:
    """The builder begins with a group."""
    return rule if rule["type"] in segment_forms.GROUPS else {"type": "all", "of": [rule]}


def _counted(draft: Draft) -> Draft:
    """The draft with how many it means, each of its rules by itself, and ten of them; or with its faults."""
    if not draft.rule["of"]:
        return draft
    db, now = current_parts().db, datetime.now(UTC)
    try:
        rule = conditions.parse(draft.rule)
        with db.begin() as conn:
            faults = segments.check(conn, rule, name=draft.name or None)
            total = house.customers_known(conn)
    except Invalid as error:
        return _with_faults(draft, error.faults)
    if faults:
        return _with_faults(draft, faults)
    counted = segment_preview.count(db, rule, now=now, patience=EDITING)
    with db.begin() as conn:
        people = customers.get_many(conn, counted.sample)
    sample = tuple(people[one] for one in counted.sample if one in people)
    known = max(total, counted.number or 0)
    return replace(draft, counted=counted, each=_each(rule, now=now), people=sample, total=known)


def _each(rule: Condition, *, now: datetime) -> dict[str, int | None]:
    """How many each rule and group means by itself, by its place; the whole is counted already."""
    places = [
        (pointer, one) for pointer, one in conditions.walk(rule) if pointer and not isinstance(one, conditions.Not)
    ]
    numbers = segment_preview.numbers(current_parts().db, [one for _, one in places], now=now, patience=EDITING)
    return {pointer: number for (pointer, _), number in zip(places, numbers, strict=True)}


def _with_faults(draft: Draft, faults: list[Fault]) -> Draft:
    said: dict[str, str] = {}
    for fault in faults:
        place = fault.pointer.removeprefix("/rule") if fault.pointer.startswith("/rule/of") else fault.pointer
        said.setdefault(place, i18n.gettext("This value %(fault)s.", fault=sentences.said(fault.detail)))
    return replace(draft, faults=said)


def _editor(draft: Draft, kept: segments.Segment | None, *, overtaken: bool = False) -> str:
    chosen = request.args.get("customer", type=int)
    with current_parts().db.begin() as conn:
        asides = {"why": _why(conn, kept, chosen), **_about(conn, kept)}
        asides |= {"known_traits": known_values.traits(conn), "known_events": known_values.event_names(conn)}
    return render_template("console/segments/edit.html", kept=kept, overtaken=overtaken, **_context(draft), **asides)


def _context(draft: Draft) -> dict[str, Any]:
    with current_parts().db.begin() as conn:
        names = [(one.name, one.title) for one in segments.every(conn) if one.name != draft.name]
    return {
        "draft": draft,
        "kinds": segment_fields.KINDS,
        "names": names,
        "asks": segment_fields.ASKS,
        "forms": segment_forms,
        "fields": segment_fields,
        "said": segment_words,
        "words": words,
    }


def _about(conn: sa.Connection, kept: segments.Segment | None) -> dict[str, Any]:
    """What is told of a segment that is kept: its sizes of thirty days, and who uses it."""
    if kept is None:
        return {"sizes": [], "grown": None, "used_by": [], "others": [], "crowds": []}
    sizes = members.sizes_since(conn, kept.id, since=month_ago())
    line = time_charts.Series(i18n.gettext("Customers"), "c1", [size for _, size in sizes])
    return {
        "sizes": sizes,
        "grown": time_charts.draw([day for day, _ in sizes], [line]),
        "used_by": segments.uses(conn, kept.name),
        "others": [one for one in segments.every(conn) if one.id != kept.id and one.size],
        "crowds": crowds.waiting(conn, segment_id=kept.id),
    }


@dataclass(frozen=True, slots=True)
class Why:
    """One person before a segment: in or out, rule by rule, and when she came and went."""

    person: customers.Customer
    inside: bool
    reasons: segment_words.Reason | None
    missing: list[segment_words.Reason]
    moves: list[tuple[datetime, bool]]


def _why(conn: sa.Connection, kept: segments.Segment | None, chosen: int | None) -> Why | None:
    if kept is None or chosen is None:
        return None
    person = customers.record(conn, chosen).customer
    moves = members.moves_of(conn, kept.id, person.id)
    if kept.rule is None:
        return Why(person, members.inside(conn, kept.id, person.id), None, [], moves)
    told = segment_explain.explain(conn, kept.rule, person.id, now=datetime.now(UTC))
    missing = [segment_words.reasons(one) for one in segment_words.missing(told)]
    return Why(person, told.holds, segment_words.reasons(told), missing, moves)


def month_ago() -> date:
    """The first day of those the growth of a segment is drawn over."""
    return datetime.now(UTC).date() - timedelta(days=30)


@bp.context_processor
def _processor() -> dict[str, Any]:
    return {"called": customer_pages.name}
