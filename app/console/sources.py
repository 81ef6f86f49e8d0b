"""The sources: who sends events, how many a minute, which were refused and why, and the keys they send with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import i18n, key_ring, security
from app.console import charts, paging, roles, words
from app.parts import current_parts
from foundation.errors import Fault
from shop import customers, events, replays, sources
from shop.vocabulary import CHANNELS, PAYLOAD_KEPT

bp = Blueprint("sources", __name__, url_prefix="/sources")

WINDOW = timedelta(hours=1)
MOST_CHUNKS = 10
"""Of refused events tried at once: more than a handful of thousands are tried in turns."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A refused event that was mended and refused again: what was typed, and what is still wrong."""

    id: int
    payload: str
    faults: Sequence[Fault]


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Every source with its last hour, what was refused, keys, shared handles."""
    return _page()


@bp.get("/rates")
@security.require_role(*roles.READ)
def rates() -> str:
    """The table of sources alone, asked for again every few seconds."""
    return render_template("console/sources/rates.html", **_rates(), words=words)


@bp.post("/keys")
@security.require_role(*roles.ADMIN)
def add_key() -> str | Response:
    """Makes a key; its text is on this one page and nowhere else. The form sent twice makes one."""
    name, kind, channel, form = (request.form.get(part, "").strip() for part in ("name", "kind", "channel", "form_id"))
    if (
        not name
        or len(name) > 60
        or not name.isprintable()
        or kind not in list(security.Kind)
        or channel not in CHANNELS
    ):
        flash(i18n.gettext("Give the source a name of at most 60 characters."))
        return redirect(url_for(".index", _anchor="keys"), code=303)
    with current_parts().db.begin() as conn:
        text = security.create_key(conn, kind=kind, name=name, channel=channel, form=form, now=datetime.now(UTC))
    return _page(new_key=text)


@bp.post("/keys/<int:key_id>/roll")
@security.require_role(*roles.ADMIN)
def roll_key(key_id: int) -> str:
    """Makes another key of the same source and kind. The old one works until it is revoked, so nothing is missed."""
    with current_parts().db.begin() as conn:
        old = key_ring.live(conn, key_id)
        text = security.create_key(conn, kind=old.kind, name=old.source, channel=old.channel, now=datetime.now(UTC))
    return _page(new_key=text, rolled=old.prefix)


@bp.post("/refused/<int:number>/replay")
@security.require_role(*roles.CHANGE)
def replay(number: int) -> str | tuple[str, int]:
    """Takes one refused event in as somebody mended it; if it is refused again, says why, and keeps what was typed."""
    payload = request.form.get("payload", "")[: 4 * PAYLOAD_KEPT]
    with current_parts().db.begin() as conn:
        faults = replays.replay(conn, number, payload, now=datetime.now(UTC))
    if faults:
        return _page(tried=Tried(number, payload, faults)), 422
    flash(i18n.gettext("The event is taken in."))
    return _page()


@bp.post("/refused/replay")
@security.require_role(*roles.CHANGE)
def replay_all() -> Response:
    """Tries every refused event again as it was kept, in chunks, within what one page may take."""
    taken, before, now = 0, None, datetime.now(UTC)
    for _ in range(MOST_CHUNKS):
        with current_parts().db.begin() as conn:
            more, before = replays.replay_all(conn, before=before, now=now)
        taken += more
        if before is None:
            break
    flash(i18n.ngettext("%(n)s event is taken in now.", "%(n)s events are taken in now.", taken))
    return redirect(url_for(".index", _anchor="refused"), code=303)


@bp.post("/keys/<int:key_id>/revoke")
@security.require_role(*roles.ADMIN)
def revoke_key(key_id: int) -> Response:
    """Whoever sends with this key is refused from now on."""
    with current_parts().db.begin() as conn:
        key_ring.revoke(conn, key_id, now=datetime.now(UTC))
    flash(i18n.gettext("The key is revoked. It stops working within half a minute."))
    return redirect(url_for(".index", _anchor="keys"), code=303)


def _page(*, new_key: str = "", rolled: str = "", tried: Tried | None = None) -> str:
    key = paging.after(1)
    before = int(key[0]) if key and key[0].isdecimal() else None
    with current_parts().db.begin() as conn:
        refused = events.refused(conn, before=before, limit=20)
        hubs = customers.quarantined(conn)
        keys = key_ring.every(conn)
    return render_template(
        "console/sources/index.html",
        **_rates(),
        refused=refused,
        hubs=hubs,
        keys=keys,
        new_key=new_key,
        rolled=rolled,
        tried=tried,
        whole=PAYLOAD_KEPT,
        channels=CHANNELS,
        words=words,
        paging=paging,
    )


def last_hour() -> tuple[dict[int, str], Sequence[events.Minute]]:
    """The names of sources, and what each sent in each minute of the last hour."""
    since = datetime.now(UTC).replace(second=0, microsecond=0) - WINDOW
    with current_parts().db.begin() as conn:
        return {sender.id: sender.name for sender in sources.senders(conn)}, events.per_minute(conn, since=since)


def _rates() -> dict[str, object]:
    """Each source's last hour, minute by minute."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    minutes = [now - timedelta(minutes=back) for back in range(59, -1, -1)]
    with current_parts().db.begin() as conn:
        senders = sources.senders(conn)
        counted = events.per_minute(conn, since=now - WINDOW)
    found: dict[int, dict[datetime, events.Minute]] = {}
    for minute in counted:
        found.setdefault(minute.source_id, {})[minute.minute.astimezone(UTC)] = minute
    lines = {
        sender.id: charts.spark([found.get(sender.id, {}).get(at, _NONE).accepted for at in minutes])
        for sender in senders
    }
    totals = {
        sender.id: tuple(sum(getattr(one, part) for one in found.get(sender.id, {}).values()) for part in _PARTS)
        for sender in senders
    }
    return {"senders": senders, "lines": lines, "totals": totals}


_PARTS = ("accepted", "repeated", "refused")
_NONE = events.Minute(0, datetime.min.replace(tzinfo=UTC), 0, 0, 0)
