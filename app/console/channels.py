"""Who carries each channel: what is connected, how it stands, and connecting another without a restart."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import i18n, security
from app.console import roles, sentences
from app.i18n import N_
from app.parts import current_parts
from campaigns import connections, tables
from campaigns.connections import OUTBOX
from foundation.errors import Fault, Invalid

bp = Blueprint("channels", __name__, url_prefix="/channels")

ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel in words, and what its address looks like."""

    name: str
    icon: str
    title: str
    text: str
    example: str = ""


CHANNELS = (
    Channel("email", "mail", N_("E-mail"), N_("Named by the setting RELANCE_EMAIL_URL.")),
    Channel("push", "bell", N_("Notifications in browsers"), N_("Always there: the key was made at the first start.")),
    Channel("onsite", "panel-top", N_("On site"), N_("Always there: the tracker shows what waits for a visitor.")),
    Channel(
        "push_app",
        "smartphone",
        N_("Notifications in apps"),
        N_("Firebase: paste the service account’s JSON."),
        '{"type": "service_account", …}',
    ),
    Channel(
        "sms",
        "message-square",
        N_("Text messages"),
        N_("A gateway’s address with its secrets, which are kept encrypted and never shown again."),
        "twilio+https://SID:TOKEN@api.twilio.com?from=+33…",
    ),
    Channel(
        "whatsapp",
        "phone",
        N_("WhatsApp templates"),
        N_("Twilio’s address, with the number templates are approved for."),
        "twilio+https://SID:TOKEN@api.twilio.com?from=+33…",
    ),
)


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Every channel, who carries it, and whether its gate is open."""
    return _page()


@bp.post("/<channel>")
@security.require_role(*roles.ADMIN)
def connect(channel: str) -> Response | tuple[str, int]:
    """Connects a carrier, or puts the mailbox in its place."""
    address = OUTBOX if "outbox" in request.form else request.form.get(ADDRESS, "").strip()
    user = security.current_user()
    try:
        if wrong := connections.outside(address):
            raise Invalid(Fault("/address", wrong))
        with current_parts().db.begin() as conn:
            keys = current_parts().config.secret_keys
            origin = user.email if user else "console"
            connections.connect(conn, channel, address, keys=keys, origin=origin, now=datetime.now(UTC))
    except Invalid as refused:
        sentence = " ".join(sentences.said(fault.detail) for fault in refused.faults)
        return _page(wrong={channel: i18n.gettext("This address %(fault)s.", fault=sentence)}), 422
    flash(i18n.gettext("Connected. Messages leave by it within seconds."))
    return redirect(url_for(".index", _anchor=channel), code=303)


@bp.post("/<channel>/disconnect")
@security.require_role(*roles.ADMIN)
def disconnect(channel: str) -> Response:
    """Nobody carries it any more; messages for it end as not connected."""
    with current_parts().db.begin() as conn:
        connections.disconnect(conn, channel)
    flash(i18n.gettext("Disconnected."))
    return redirect(url_for(".index"), code=303)


def _page(*, wrong: dict[str, str] | None = None) -> str:
    with current_parts().db.begin() as conn:
        kept = {one.channel: one for one in connections.every(conn)}
        gates = _gates(conn)
    return render_template(
        "console/channels/index.html",
        channels=CHANNELS,
        kept=kept,
        held=connections.of_settings(current_parts().config),
        gates=gates,
        provider=_provider,
        wrong=wrong or {},
        email=current_parts().config.email_url.partition(":")[0],
        now=datetime.now(UTC),
    )


def _gates(conn: sa.Connection) -> dict[str, sa.RowMapping]:
    """Providers that are not spoken to right now."""
    gates = tables.provider_gates
    shut = (gates.c.breaker != "closed") | (gates.c.blocked_until > datetime.now(UTC))
    return {row["provider"]: row for row in conn.execute(sa.select(gates).where(shut)).mappings()}


def _provider(channel: str) -> str:
    """The name the gate of its carrier goes by, as who sends asks for it; notifications of both kinds share one."""
    carrier = current_parts().channels.get("push" if channel == "push_app" else channel)
    return carrier.provider if carrier else ""
