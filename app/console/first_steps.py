"""The first ten minutes: four steps whose progress is read from the installation itself, until done or put away."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, url_for
from werkzeug.wrappers import Response

from app import console_settings, i18n, security, tables, users
from app.console import roles
from app.parts import current_parts
from campaigns import tables as campaign_tables
from recommender import registry, runs
from shop import tables as shop_tables

bp = Blueprint("first_steps", __name__, url_prefix="/first-steps")

OWN = ("relance", "import")
"""Sources that are no shop's."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what to do, what is there already, and where it is done. `state` is done, running or open."""

    state: str
    title: str
    text: str
    href: str
    act: str


@dataclass(frozen=True, slots=True)
class Guide:
    """The four steps; `done` of them are."""

    steps: list[Step]

    @property
    def done(self) -> int:
        """How many are done."""
        return sum(step.state == "done" for step in self.steps)

    @property
    def next(self) -> Step:
        """The first that is not done."""
        return next(step for step in self.steps if step.state != "done")


@bp.post("/hide")
@security.require_role(*roles.CHANGE)
def hide() -> Response:
    """Puts the guide away, for everybody."""
    with current_parts().db.begin() as conn:
        console_settings.hide_first_steps(conn, now=datetime.now(UTC))
    flash(i18n.gettext("The guide is put away. Health and Sources say the same things."))
    return redirect(url_for("console.overview.index"), code=303)


def guide() -> Guide | None:
    """What is left to do; None once all is done, when it was put away, or for who could not do it."""
    user = security.current_user()
    if user is None or user.role not in (users.Role.ADMIN, users.Role.MARKETER):
        return None
    with current_parts().db.begin() as conn:
        if console_settings.first_steps_hidden(conn):
            return None
        found = Guide([_source(conn), _imported(conn), _trained(conn), _tested(conn)])
    return found if found.done < len(found.steps) else None


def _source(conn: sa.Connection) -> Step:
    sources, keys = shop_tables.sources, tables.api_keys
    heard = _any(conn, sa.select(sources.c.id).where(sources.c.last_event_at.is_not(None), sources.c.name.not_in(OWN)))
    keyed = _any(conn, sa.select(keys.c.id).where(keys.c.revoked_at.is_(None)))
    said = {
        "done": i18n.gettext("Events come in."),
        "running": i18n.gettext("There is a key; no event has come yet. Put it into the SDK of the site."),
        "open": i18n.gettext("Make a key, and point the shop’s Segment or RudderStack SDK here: nothing else changes."),
    }
    state = "done" if heard else "running" if keyed else "open"
    here = url_for("console.sources.index", _anchor="keys")
    return Step(state, i18n.gettext("Connect a source"), said[state], here, i18n.gettext("Make a key"))


def _imported(conn: sa.Connection) -> Step:
    tables_of = (shop_tables.customers, shop_tables.products, shop_tables.orders)
    there = [_any(conn, sa.select(sa.literal(1)).select_from(table)) for table in tables_of]
    words = (i18n.gettext("customers"), i18n.gettext("products"), i18n.gettext("orders"))
    missing = ", ".join(word for word, known in zip(words, there, strict=True) if not known)
    state = "done" if all(there) else "running" if any(there) else "open"
    said = {
        "done": i18n.gettext("Customers, products and orders are known."),
        "running": i18n.gettext("Still missing: %(what)s.", what=missing),
        "open": i18n.gettext("Customers, products and orders of the past, by file: tried before anything is stored."),
    }
    here = url_for("console.imports.index")
    return Step(state, i18n.gettext("Import what is known"), said[state], here, i18n.gettext("Hand in a file"))


def _trained(conn: sa.Connection) -> Step:
    live = registry.live_id(conn) is not None
    last = next(iter(runs.latest(conn, limit=1)), None)
    state = "done" if live else "running" if last is not None and last.pending else "open"
    said = {
        "done": i18n.gettext("A model serves recommendations."),
        "running": i18n.gettext("Training is under way; it takes minutes."),
        "open": i18n.gettext("From orders and visits Relance learns what to recommend to whom."),
    }
    here = url_for("console.model.index")
    return Step(state, i18n.gettext("Train the recommender"), said[state], here, i18n.gettext("Train"))


def _tested(conn: sa.Connection) -> Step:
    campaigns, samples, sent = campaign_tables.campaigns, campaign_tables.campaign_tests, campaign_tables.messages
    tried = _any(conn, sa.select(samples.c.id)) or _any(conn, sa.select(sent.c.id))
    name = conn.scalar(sa.select(campaigns.c.name).order_by(campaigns.c.id).limit(1))
    state = "done" if tried else "open"
    said = {
        "done": i18n.gettext("A relaunch has been sent."),
        "open": i18n.gettext("See one as a customer would, in your own mailbox. Nobody else gets it."),
    }
    here = url_for("console.launches.tests", name=name) if name else url_for("console.campaigns.index")
    return Step(state, i18n.gettext("Send yourself a relaunch"), said[state], here, i18n.gettext("Send a test"))


def _any(conn: sa.Connection, wanted: "sa.Select[Any]") -> bool:
    return bool(conn.scalar(sa.select(wanted.exists())))
