"""What stands around every page: where one can go, whether the scheduler is alive, who is signed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import request

from app import filters, i18n, security, users
from app.console import charts, policy_fields, sentences, words
from app.i18n import N_
from app.parts import current_parts
from campaigns import ledger
from foundation import jobs

THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the navigation."""

    endpoint: str
    icon: str
    word: str
    here: bool
    count: int = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """Whether the scheduler is alive, in a sentence and a tone."""

    tone: str
    sentence: str


NAVIGATION = (
    (
        ("overview.index", "house", N_("Home")),
        ("customers.index", "users", N_("Customers")),
        ("store.index", "store", N_("At the counter")),
        ("segments.index", "blend", N_("Segments")),
        ("campaigns.index", "route", N_("Campaigns")),
        ("messages.index", "mail", N_("Messages")),
        ("mailbox.index", "inbox", N_("Mailbox")),
        ("onsite.index", "panel-top", N_("On site")),
        ("promotions.index", "ticket-percent", N_("Promotions")),
        ("audiences.index", "target", N_("Audiences")),
        ("model.index", "compass", N_("Recommendations")),
        ("predictions.index", "calendar-days", N_("Predictions")),
        ("reports.index", "chart-no-axes-column", N_("Reports")),
    ),
    (
        ("sources.index", "plug", N_("Sources")),
        ("channels.index", "send", N_("Channels")),
        ("webhooks.index", "code-xml", N_("Webhooks")),
        ("health.index", "activity", N_("Health")),
        ("settings.index", "sliders-horizontal", N_("Settings")),
    ),
)
INSIDE = {
    "reports": ("insights",),
    "model": ("placements", "rules"),
    "campaigns": ("builder", "editor", "looks", "launches", "campaign_list", "calendar", "rehearsals"),
    "settings": ("team", "changes", "backups", "domain"),
    "sources": ("imports", "goods"),
}
"""Rooms that are entered by another's entry."""

FOR_STORES = ("store.index", "promotions.index")


def context() -> dict[str, Any]:
    """What every template of the console may call."""
    return {
        "locale": i18n.locale,
        "theme": theme,
        "user": security.current_user,
        "sections": sections,
        "scheduler": scheduler,
        "initials": initials,
        "role_word": lambda role: i18n.gettext(words.ROLES[role]),
        "word": words.word,
        "reason": words.reason,
        "said": sentences.said,
        "account": sentences.account,
        "may_change": _may_change,
        "demo": lambda: current_parts().config.demo,
        "seconds": seconds,
        "shares": shares,
        "signed": signed,
        "counted": counted,
        "arm": arm,
        "policy_parts": lambda: policy_fields.PARTS,
    }


def theme() -> str | None:
    """The look this browser asked for; None follows the system."""
    chosen = request.cookies.get("theme")
    return chosen if chosen in THEMES else None


def sections() -> list[list[Section]]:
    """Where the signed-in person can go, in the navigation's two groups."""
    user = security.current_user()
    return [
        [
            _section(endpoint, icon, word)
            for endpoint, icon, word in group
            if user and (user.role != users.Role.STORE or endpoint in FOR_STORES)
        ]
        for group in NAVIGATION
    ]


def _section(endpoint: str, icon: str, word: str) -> Section:
    room = endpoint.split(".")[0]
    here = any(f".{name}." in f".{request.endpoint}." for name in (room, *INSIDE.get(room, ())))
    return Section(f"console.{endpoint}", icon, i18n.gettext(word), here, _unread() if room == "mailbox" else 0)


def _unread() -> int:
    with current_parts().db.begin() as conn:
        return ledger.unread(conn)


def scheduler() -> Beat:
    """Whether messages can leave at all: when the scheduler last gave a sign of life."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        beat = jobs.last_beat(conn, "scheduler")
    if beat is None:
        return Beat("bad", i18n.gettext("Scheduler never started"))
    if now - beat > jobs.STALE:
        return Beat("bad", i18n.gettext("Scheduler silent, last seen %(ago)s", ago=filters.ago(beat, now)))
    return Beat("ok", i18n.gettext("Scheduler active, %(ago)s", ago=filters.ago(beat, now)))


def initials(name: str) -> str:
    """Two letters that stand for a person, or for the name before a sender's `<address>`."""
    parts = [part for part in name.split(" <")[0].replace("@", " ").replace(".", " ").split() if part[0].isalnum()]
    letters = [part[0] for part in (parts[:1] + parts[-1:] if len(parts) > 1 else parts)]
    return "".join(letters).upper() or "?"


def seconds(value: float | None) -> str:
    """How long something took: `40 ms`, `1.2 s`, `6 min 12 s`."""
    if value is None:
        return ""
    if value < 1:
        return i18n.gettext("%(n)s ms", n=round(value * 1000))
    if value < 60:
        return i18n.gettext("%(n)s s", n=filters.number(value, 1))
    return i18n.gettext("%(minutes)s min %(seconds)s s", minutes=int(value // 60), seconds=int(value % 60))


def signed(difference: float) -> str:
    """A difference of shares in points, with its sign: `+3.2 pts`."""
    points = filters.number(difference * 100, 1)
    return i18n.gettext("%(points)s pts", points=f"+{points}" if difference > 0 else points)


def arm(key: str) -> str:
    """Which group of a campaign someone fell in, and what that means."""
    return i18n.gettext(words.ARMS[key]) if key in words.ARMS else key


def counted(part: str, n: int) -> str:
    """The word for so many messages of one part of the ledger; French agrees in number."""
    one, many = words.PARTS[part]
    return i18n.ngettext(one, many, n)


def shares(parts: Sequence[int], width: float) -> list[tuple[float, float]]:
    """Where each part of a drawn sum begins, and how wide it is."""
    return charts.shares(parts, width=width)


def _may_change() -> bool:
    user = security.current_user()
    return user is not None and user.role in (users.Role.ADMIN, users.Role.MARKETER)
