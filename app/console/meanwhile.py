"""What somebody else changed while a form stood open: told before it is overwritten, and nothing typed is lost.

A form carries a fingerprint of what it showed when it was opened. Who saves takes a turn, reads what stands, and asks
for the clash before anything is written.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import sqlalchemy as sa

from app.console import forms
from app.console.forms import Form

SEEN = "seen"
OURS = frozenset({SEEN, "csrf_token"})


def turn(conn: sa.Connection, kind: str, name: object = "") -> None:
    """Until the transaction ends nobody else saves the same: who comes second reads what the first has written."""
    conn.execute(_TURN, {"what": f"{kind} {name}"})


def opened(form: Form) -> Form:
    """A form that shows what stands, with what tells later whether that was changed."""
    return replace(form, values={**form.values, SEEN: forms.fingerprint(dict(form.values))})


def clash(standing: Form, sent: Mapping[str, str], *, beside: Collection[str] = ()) -> Form | None:
    """What was typed, with each value that stands otherwise by now; None if nobody changed it since the form was
    opened. Fields named `beside` are sent with the form and are no part of what is kept."""
    now = forms.fingerprint(dict(standing.values))
    if sent.get(SEEN, now) == now:
        return None
    typed = {name: text.replace("\r\n", "\n") for name, text in sent.items()}
    names = (*standing.values, *(name for name in typed if name not in {*standing.values, *OURS, *beside}))
    theirs = {name: standing.value(name) for name in names if standing.value(name) != typed.get(name, "")}
    return Form({**typed, SEEN: now}, stands=theirs)


_TURN = sa.text("SELECT pg_advisory_xact_lock(7271, hashtext(:what))")
