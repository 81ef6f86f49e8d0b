"""The sources: who sends events, how many a minute, which were refused and why, and the keys they send with."""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import i18n, key_ring, security
from app.console import charts, paging, roles, words
from app.parts import current_parts
from shop import customers, events, sources
from shop.vocabulary import CHANNELS

bp = Blueprint("sources", __name__, url_prefix="/sources")

WINDOW = timedelta(hours=1)


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
    """Makes a key; its text is on this one page and nowhere else."""
    name, kind, channel = (request.form.get(part, "").strip() for part in ("name", "kind", "channel"))
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
        text = security.create_key(conn, kind=kind, name=name, channel=channel, now=datetime.now(UTC))
    return _page(new_key=text)


@bp.post("/keys/<int:key_id>/revoke")
@security.require_role(*roles.ADMIN)
def revoke_key(key_id: int) -> Response:
    """Whoever sends with this key is refused from now on."""
    with current_parts().db.begin() as conn:
        key_ring.revoke(conn, key_id, now=datetime.now(UTC))
    flash(i18n.gettext("The key is revoked. It stops working within half a minute."))
    return redirect(url_for(".index", _anchor="keys"), code=303)


def _page(*, new_key: str = "") -> str:
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
        channels=CHANNELS,
        words=words,
        paging=paging,
    )


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
