"""Customers: found as one types, and for each the whole line of what happened to them and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
import sqlalchemy as sa
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import filters, i18n, security
from app.console import journeys, maps, paging, predictions, report_words, roles, words
from app.parts import current_parts
from campaigns import code_book, crediting, drafts, dry_runs, ledger, plans, policy, segments, timeline
from campaigns.definitions import campaign as definitions
from campaigns.states import State
from recommender import serving
from recommender.predictions import expected
from shop import baskets, carts, catalogue, consent, customers, finding, orders, privacy, stores
from shop.vocabulary import CHANNELS, Name

bp = Blueprint("customers", __name__, url_prefix="/customers")

TABS = {
    "messages": ("message", "enrolment"),
    "orders": ("event", "code"),
    "events": ("event",),
    "codes": ("code",),
    "consents": ("consent", "merge"),
}
BOUGHT = (Name.ORDER_COMPLETED, Name.ORDER_UPDATED, Name.ORDER_REFUNDED, Name.ORDER_CANCELLED)
UNTRIED = (State.SKIPPED, State.EXPIRED, State.CANCELLED)
"""Ends of messages that were never tried: their reason says all there is."""
PAGE = 30
REHEARSED = 30
"""Days replayed to say what one person would get."""


@dataclass(frozen=True, slots=True)
class Day:
    """The moments of one day, as the line of time groups them."""

    at: datetime
    moments: list[timeline.Moment]


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Everyone, narrowed as one types; nothing is counted. htmx asks for the rows alone."""
    text, key = request.args.get("q", "").strip(), paging.after(3)
    after = (int(key[0]), key[1], int(key[2])) if key and key[0].isdecimal() and key[2].isdecimal() else None
    with current_parts().db.begin() as conn:
        page = finding.search(conn, text, limit=paging.SIZE, after=after)
        figures = customers.profiles_of(conn, [customer.id for customer in page.customers])
    return render_template(
        f"console/customers/{'rows' if request.headers.get('HX-Target') == 'found' else 'index'}.html",
        found=page.customers,
        figures=figures,
        text=text,
        older=paging.here(after=paging.cursor(*page.after)) if page.after else "",
        newest=paging.newest(),
    )


@bp.get("/hits")
@security.require_role(*roles.READ)
def hits() -> str:
    """A few customers for a picker, as one types."""
    text = request.args.get("who", "").strip()
    with current_parts().db.begin() as conn:
        found = finding.search(conn, text, limit=8).customers if text else []
    return render_template("console/customers/hits.html", found=found, href=_picked)


def _picked(customer_id: int) -> str:
    """Back to the page that asked, with this customer chosen."""
    target = security.safe_next(request.args.get("to"), url_for("console.model.trying.customer"))
    return f"{target}{'&' if '?' in target else '?'}customer={customer_id}"


@bp.get("/<int:customer_id>")
@security.require_role(*roles.READ)
def show(customer_id: int) -> str | BaseResponse:
    """One person: who they are, what they said yes to, what they have in hand, and everything that happened."""
    now, parts = datetime.now(UTC), current_parts()
    with parts.db.begin() as conn:
        record = customers.record(conn, customer_id)
        if record.customer.id != customer_id:
            return redirect(url_for(".show", customer_id=record.customer.id))
        facts = _facts(conn, customer_id)
        asked = serving.Request(customer_id=customer_id, placement="home", n=4, record=False, locale=i18n.locale())
        slate = parts.recommender.recommend(conn, asked, now=now)
        moments = _moments(conn, customer_id)
    return render_template(
        "console/customers/show.html",
        record=record,
        slate=slate,
        words=words,
        now=now,
        **facts,
        **moments,
        called=name(record.customer),
        sentence=sentence(facts["profile"]),
    )


@bp.get("/<int:customer_id>/timeline")
@security.require_role(*roles.READ)
def older(customer_id: int) -> str:
    """The next stretch of the line of time, put where its button was."""
    with current_parts().db.begin() as conn:
        moments = _moments(conn, customer_id)
    return render_template("console/customers/days.html", words=words, **moments)


@bp.post("/<int:customer_id>/rehearse")
@security.require_role(*roles.READ)
def rehearse(customer_id: int) -> BaseResponse:
    """What a campaign, as it is written now, would have said to this person; a job works it out."""
    user, name_ = security.current_user(), request.form.get("campaign", "")
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name_)
        number = dry_runs.ask(
            conn,
            plan,
            definitions.parse(drafts.of(conn, plan).definition),
            days=REHEARSED,
            customer_id=customers.record(conn, customer_id).customer.id,
            by=user.email if user else "",
            now=datetime.now(UTC),
        )
    return redirect(url_for("console.rehearsals.show", name=name_, run=number), code=303)


@bp.get("/<int:customer_id>/export")
@security.require_role(*roles.CHANGE)
def export(customer_id: int) -> Response:
    """Everything held on one person, as a file."""
    with current_parts().db.begin() as conn:
        held = privacy.export(conn, customer_id)
    attachment = f"attachment; filename*=UTF-8''{quote(f'customer-{customer_id}.json')}"
    body = orjson.dumps(held, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str)
    return Response(body, mimetype="application/json", headers={"Content-Disposition": attachment})


@bp.post("/<int:customer_id>/erase")
@security.require_role(*roles.ADMIN)
def erase(customer_id: int) -> BaseResponse:
    """Erases one person for good, once the dialog was answered."""
    with current_parts().db.begin() as conn:
        privacy.erase(conn, customer_id, now=datetime.now(UTC))
    flash(i18n.gettext("Everything held on this person is erased."))
    return redirect(url_for(".index"), code=303)


@bp.post("/<int:customer_id>/merges/<int:merge_id>/undo")
@security.require_role(*roles.CHANGE)
def undo_merge(customer_id: int, merge_id: int) -> BaseResponse:
    """Makes two people of one again; each keeps what was first written for them."""
    user = security.current_user()
    with current_parts().db.begin() as conn:
        customers.undo_merge(conn, merge_id, by=user.email if user else "", now=datetime.now(UTC))
    flash(i18n.gettext("They are two customers again; each has what was theirs."))
    return redirect(url_for(".show", customer_id=customer_id), code=303)


def name(customer: customers.Customer) -> str:
    """What to call someone: their name, else their address, else their number."""
    full = " ".join(part for part in (customer.first_name, customer.last_name) if part)
    called = full or customer.email or customer.user_id
    return called or i18n.gettext("Anonymous visitor %(id)s", id=customer.id)


def _facts(conn: sa.Connection, customer_id: int) -> dict[str, Any]:
    """What stands beside the line of time."""
    bought = orders.of_customer(conn, customer_id, limit=10)
    held = [cart for cart in carts.of_customer(conn, customer_id) if cart.state == baskets.State.OPEN and cart.lines]
    shown = [line.product_id for order in bought for line in order.lines]
    return {
        "profile": customers.profiles_of(conn, [customer_id]).get(customer_id),
        "cart": held[0] if held else None,
        "orders": bought,
        "products": catalogue.get_many(conn, shown),
        "codes": code_book.of_customer(conn, customer_id),
        "segments": segments.of_customer(conn, customer_id),
        "said": consent.history(conn, customer_id),
        "standing": consent.standing(conn, customer_id),
        "expected": expected.of_customers(conn, [customer_id]).get(customer_id),
        "unexpected": predictions.unexpected(conn, customer_id),
        "messages": len(ledger.page(conn, customer_id=customer_id, limit=100)),
        "plans": [plan for plan in plans.every(conn) if plan.state in ("draft", "sending", "paused")],
        **_where(conn, customer_id, bought),
    }


def _where(conn: sa.Connection, customer_id: int, bought: Sequence[orders.Order]) -> dict[str, Any]:
    """The shops she bought in, and a map of them around where she lives, if both are known."""
    known = customers.get_many(conn, [customer_id])[customer_id]
    visited = Counter(order.store_id for order in bought if order.store_id)
    every = stores.list_all(conn)
    shops = [(shop, visited[shop.store_id]) for shop in every if shop.store_id in visited]
    return {"shops": sorted(shops, key=lambda one: -one[1]), "map": _map(known, every, visited)}


def _map(known: customers.Customer, every: Sequence[stores.Store], visited: Counter[str]) -> maps.Map | None:
    spots = [
        maps.Spot(shop.name or shop.store_id, shop.latitude, shop.longitude, visited[shop.store_id])
        for shop in every
        if shop.latitude is not None and shop.longitude is not None
    ]
    return maps.draw(maps.home(known.traits), spots)


def _moments(conn: sa.Connection, customer_id: int) -> dict[str, Any]:
    tab = request.args.get("tab", "")
    key = paging.after(3)
    before = (at, key[1], key[2]) if key and (at := paging.moment(key[0])) else None
    names = BOUGHT if tab == "orders" else ()
    found = timeline.page(conn, customer_id, before=before, kinds=TABS.get(tab, ()), names=names, limit=PAGE)
    full = len(found) == PAGE
    return {
        "days": _by_day(found),
        "credits": _credits(conn, found),
        "entries": _entries(conn) if any(one.kind in TABS["messages"] for one in found) else {},
        "tab": tab if tab in TABS else "",
        "next": paging.cursor(found[-1].at.isoformat(), *found[-1].place[1:]) if full else "",
        "customer_id": customer_id,
    }


def _entries(conn: sa.Connection) -> dict[str, str]:
    """How customers come into each campaign, in a sentence."""
    return {plan.name: journeys.entry(plan.definition.entry) for plan in plans.every(conn)}


def _credits(conn: sa.Connection, moments: list[timeline.Moment]) -> dict[str, str]:
    """Whose each order among these is and why, in a sentence."""
    told = (one.facts for one in moments if one.kind == "event")
    ordered = [facts["order_id"] for facts in told if facts["name"] == Name.ORDER_COMPLETED and facts["order_id"]]
    if not ordered:
        return {}
    window = timedelta(days=policy.load(conn).attribution_days)
    titles = plans.titles(conn)
    decided = crediting.decisions(conn, ordered, window=window)
    return {order_id: report_words.credit(one, titles, window) for order_id, one in decided.items()}


def _by_day(moments: list[timeline.Moment]) -> list[Day]:
    days: list[Day] = []
    for moment in moments:
        at = moment.at.astimezone(i18n.zone())
        if not days or days[-1].at.date() != at.date():
            days.append(Day(at, []))
        days[-1].moments.append(moment)
    return days


def day_title(at: datetime) -> str:
    """`Today`, `Yesterday`, else the day itself with its year."""
    today = datetime.now(i18n.zone()).date()
    if at.date() == today:
        return i18n.gettext("Today")
    if at.date() == today - timedelta(days=1):
        return i18n.gettext("Yesterday")
    return filters.capital(filters.day(at, "full"))


def sentence(profile: Any) -> str:
    """One true sentence about this person, from what is known of them."""
    if profile is None:
        return i18n.gettext("Nothing has happened with this person yet.")
    channel = max(CHANNELS, key=lambda one: getattr(profile, f"{one}_last_at") or profile.first_seen_at)
    last = words.word(words.CHANNEL, channel).word.lower()
    since = filters.day(profile.first_seen_at, "medium")
    if not profile.orders:
        return i18n.gettext("Known since %(since)s, last on: %(last)s. Has not bought yet.", since=since, last=last)
    return i18n.gettext("Customer since %(since)s, last on: %(last)s.", since=since, last=last)


def purpose_word(purpose: str) -> str:
    """What a consent is for."""
    return i18n.gettext(words.PURPOSES.get(purpose, purpose))


def merge_why(evidence: dict[str, Any]) -> str:
    """What tied two customers together."""
    kind = words.word(words.IDENTITY, str(evidence.get("kind", ""))).word
    return i18n.gettext("the same %(kind)s: %(value)s", kind=kind, value=evidence.get("value", ""))


def detail(event: dict[str, Any]) -> str:
    """The second line of an event: what was looked for, which page, how many, which code."""
    told = event["properties"]
    if event["name"] == "Products Searched":
        return str(told.get("query") or "")
    if event["name"] in ("Page Viewed", "Screen Viewed"):
        return str(told.get("title") or told.get("path") or told.get("url") or told.get("name") or "")
    if told.get("coupon"):
        return i18n.gettext("code %(code)s", code=told["coupon"])
    counted = told.get("quantity") if event["name"] in ("Product Added", "Product Removed") else None
    return i18n.gettext("× %(n)s", n=counted) if counted else ""


def what(order: orders.Order, products: dict[str, catalogue.Product]) -> str:
    """What an order holds: its first products by name, and how many more."""
    titles = [
        products[line.product_id].title if line.product_id in products else line.product_id for line in order.lines
    ]
    more = len(titles) - 2
    return ", ".join(titles[:2]) + (" " + i18n.ngettext("and %(n)s more", "and %(n)s more", more) if more > 0 else "")


@bp.context_processor
def _context() -> dict[str, Any]:
    return {
        "name": name,
        "day_title": day_title,
        "purpose_word": purpose_word,
        "merge_why": merge_why,
        "detail": detail,
        "what": what,
        "favourites": predictions.favourites,
        "likely": predictions.likely,
        "untried": UNTRIED,
        "shown": partial(ledger.shown, now=datetime.now(UTC)),
    }
