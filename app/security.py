"""Who may enter: the keys of programs, the sign-ins of people, and what each may do."""

import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

import sqlalchemy as sa
from flask import Blueprint, Response, abort, current_app, g, redirect, request
from sqlalchemy.dialects import postgresql
from werkzeug.wrappers import Response as BaseResponse

from app import console_settings, parts, rate_limits, second_factor, sessions, users
from app.tables import api_keys
from foundation.database import Database, new_id
from foundation.errors import Conflict
from shop import sources as shop_sources
from shop.tables import sources
from shop.vocabulary import Source

log = logging.getLogger(__name__)
View = TypeVar("View", bound=Callable[..., Any])

SIGN_IN_PATH = "/console/sign-in"
ENROL_PATH = "/console/account/second-factor"
FORM_HEADER = "X-CSRFToken"
"""The header by which a script sends the token of its form, and is told the one that holds by now: who signed in again
in another tab has a new one. No other site can read it."""
MOST_TRIES = 5
"""At a password or a code, within a minute."""
KEY_MEMORY_SECONDS = 30
"""How long a revoked key may still work in a process that has just seen it."""


class Kind(StrEnum):
    """What a key may do: `write` sends events and may be public, `secret` may do everything."""

    WRITE = "write"
    SECRET = "secret"  # noqa: S105 - the word, not a password


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was presented and is valid."""

    id: int
    kind: str
    source: Source


# ------------------------------------------------------------------------------------------ keys of programs
def create_key(
    conn: sa.Connection, *, kind: str, name: str, channel: str = "web", form: str = "", now: datetime
) -> str:
    """Makes a key for the source of this name and gives its text, which is kept nowhere.

    `form` is the random identifier of a form: the same one sent twice makes one key, and gives its text both times.
    Raises `Conflict` if that key was revoked since.
    """
    unique = _of_form(form, kind, name, channel) if form else secrets.token_urlsafe(32)
    text = {Kind.WRITE: "wk_", Kind.SECRET: "sk_"}[Kind(kind)] + unique
    source = shop_sources.source(conn, name, channel=channel, now=now)
    values = {"source_id": source.id, "kind": str(kind), "prefix": text[:9], "key_hash": _hash(text)}
    made = (
        postgresql.insert(api_keys).values(**values, created_at=now).on_conflict_do_nothing(index_elements=["key_hash"])
    )
    conn.execute(made)
    if conn.scalar(sa.select(api_keys.c.revoked_at).where(api_keys.c.key_hash == _hash(text))):
        raise Conflict("key_revoked", "the key this form made is revoked; load the page again to make another")
    return text


def _of_form(form: str, *filled: str) -> str:
    """What nobody can guess without the secret of the installation and the identifier of the form, which is random and
    kept nowhere."""
    secret = parts.current_parts().config.secret_keys[0]
    said = "\0".join(("api key", form, *filled))
    digest = hmac.new(secret.encode(), said.encode(errors="replace"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def find_key(db: Database, text: str) -> Key | None:
    """The key of this text, remembered for half a minute so that a busy caller costs no query."""
    digest = _hash(text)
    known: dict[bytes, tuple[datetime, Key]] = current_app.extensions.setdefault("relance_keys", {})
    now = datetime.now(UTC)
    if (entry := known.get(digest)) and (now - entry[0]).total_seconds() < KEY_MEMORY_SECONDS:
        return entry[1]
    with db.begin() as conn:
        found = _load_key(conn, digest)
    if found is None:
        known.pop(digest, None)
        return None
    known[digest] = (now, found)
    return found


def _load_key(conn: sa.Connection, digest: bytes) -> Key | None:
    row = conn.execute(
        sa.select(api_keys.c.id, api_keys.c.kind, api_keys.c.source_id, sources.c.name, sources.c.channel)
        .join(sources, sources.c.id == api_keys.c.source_id)
        .where(api_keys.c.key_hash == digest, api_keys.c.revoked_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    trusted = row.kind == Kind.SECRET
    return Key(row.id, row.kind, Source(id=row.source_id, name=row.name, channel=row.channel, trusted=trusted))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()


def require_key(*kinds: str) -> Callable[[], None]:
    """A blueprint's `before_request`: lets in requests that carry a valid key of one of these kinds.

    A key comes as a Bearer token, or as the user name of HTTP Basic. The pre-flight of a browser carries none.
    """

    def guard() -> None:
        if request.method == "OPTIONS":
            return
        limits = rate_limits.buckets()
        address = request.remote_addr or ""
        key = find_key(parts.current_parts().db, text) if (text := presented_key()) else None
        if key is None:
            if not limits.take(f"refused:{address}", per_second=1, burst=60):
                abort(429)
            abort(401)
        if key.kind not in kinds:
            abort(403)
        if not may_ask(key):
            abort(429)
        g.key = key

    return guard


def may_ask(key: Key) -> bool:
    """Counts a request by this key; False if there are too many."""
    return rate_limits.buckets().take(f"key:{key.id}", per_second=2000, burst=4000)


def presented_key() -> str | None:
    """The key in the Authorization header, if there is one."""
    given = request.authorization
    if given is None:
        return None
    return given.token if given.type == "bearer" else given.username


def current_key() -> Key:
    """The key of the current request; only behind `require_key`."""
    return cast("Key", g.key)


# ------------------------------------------------------------------------------------------ people's sign-ins
class Refusal(StrEnum):
    """Why a sign-in failed; one word for an unknown address and a wrong password."""

    WRONG = "wrong"
    TOO_MANY = "too_many"
    SECOND = "second"  # the password is right, the second factor is still asked for


def require_role(*roles: str) -> Callable[[View], View]:
    """Marks a console view with the roles that may use it; `protect` enforces the mark."""

    def mark(view: View) -> View:
        cast("Any", view).roles = frozenset(users.Role(role) for role in roles)
        return view

    return mark


def anyone(view: View) -> View:
    """Marks a console view that needs no sign-in."""
    cast("Any", view).roles = frozenset()
    return view


def protect(bp: Blueprint) -> None:
    """Guards a blueprint of pages: roles (a view without a mark is closed), CSRF, cookies, no copies in caches."""
    bp.before_request(_admit)
    bp.after_request(_write_cookies)
    bp.app_template_global("csrf_token")(csrf_token)
    bp.app_template_global("form_id")(new_id)


def current_user() -> users.User | None:
    """Who is signed in, or None."""
    if "session" not in g:
        token = request.cookies.get(_cookie("session"))
        g.session = None
        if token:
            with parts.current_parts().db.begin() as conn:
                g.session = sessions.find(conn, token, now=datetime.now(UTC))
    return cast("users.User | None", g.session.user if g.session else None)


def sign_in(email: str, password: str, *, now: datetime) -> users.User | Refusal:
    """Starts a session under a new id if the password is right. Five tries a minute for an account and address."""
    db = parts.current_parts().db
    who = f"login:{users.normalised(email)}:{request.remote_addr}"
    with db.begin() as conn:
        tries = rate_limits.count(conn, who, seconds=60, now=now)
    if tries > MOST_TRIES:
        log.warning("sign-in refused", extra={"reason": Refusal.TOO_MANY})
        return Refusal.TOO_MANY
    with db.begin() as conn:
        user = users.authenticate(conn, email, password)
        if user is None:
            log.warning("sign-in refused", extra={"reason": Refusal.WRONG})
            return Refusal.WRONG
        _start(conn, user, pending=user.second_factor, now=now)
    return Refusal.SECOND if user.second_factor else user


def _start(conn: sa.Connection, user: users.User, *, pending: bool = False, now: datetime) -> None:
    """A session under a new id in place of the one this browser had."""
    if old := request.cookies.get(_cookie("session")):
        sessions.end(conn, old)
    agent = request.headers.get("User-Agent", "")
    g.new_session = sessions.start(conn, user.id, agent=agent, pending=pending, now=now)
    g.session = None if pending else sessions.find(conn, g.new_session, now=now)
    log.info("password right" if pending else "signed in", extra={"user": user.id})


def waiting() -> users.User | None:
    """Who gave the right password in this browser and still owes the second factor."""
    token = request.cookies.get(_cookie("session"))
    if not token:
        return None
    with parts.current_parts().db.begin() as conn:
        return sessions.waiting(conn, token, now=datetime.now(UTC))


def pass_second(user: users.User, code: str, *, now: datetime) -> users.User | Refusal:
    """Opens the session of who waits if the code is right. Five tries a minute for an account, from wherever."""
    if not may_try_code(user, now=now):
        log.warning("second factor refused", extra={"reason": Refusal.TOO_MANY, "user": user.id})
        return Refusal.TOO_MANY
    with parts.current_parts().db.begin() as conn:
        keys = parts.current_parts().config.secret_keys
        if not second_factor.check(conn, user.id, code, keys=keys, now=now):
            log.warning("second factor refused", extra={"reason": Refusal.WRONG, "user": user.id})
            return Refusal.WRONG
        _start(conn, user, now=now)
    return user


def may_try_code(user: users.User, *, now: datetime) -> bool:
    """Counts a try at the second factor of this account."""
    with parts.current_parts().db.begin() as conn:
        return rate_limits.count(conn, f"second:{user.id}", seconds=60, now=now) <= MOST_TRIES


def knows_password(user: users.User, password: str, *, now: datetime) -> bool:
    """Whether who sits at a browser left open is its owner: asked before what cannot be undone, and counted."""
    db = parts.current_parts().db
    with db.begin() as conn:
        tries = rate_limits.count(conn, f"password:{user.id}", seconds=60, now=now)
    with db.begin() as conn:
        return tries <= MOST_TRIES and users.authenticate(conn, user.email, password) is not None


def restart(conn: sa.Connection, user: users.User, *, now: datetime) -> None:
    """A new session for this browser, after all were ended."""
    _start(conn, user, now=now)


def welcome(conn: sa.Connection, user_id: int, *, now: datetime) -> None:
    """Signs in who has just chosen her password by a link, unless a second factor is asked of her."""
    user = users.get(conn, user_id)
    if user is not None:
        _start(conn, user, pending=user.second_factor, now=now)


def this_session() -> int:
    """The number of the session of this request; 0 without one."""
    current_user()
    return cast("sessions.Session", g.session).number if g.session else 0


def sign_out() -> None:
    """Ends the current session on the server; its cookie is worth nothing from now on."""
    if token := request.cookies.get(_cookie("session")):
        with parts.current_parts().db.begin() as conn:
            sessions.end(conn, token)
    g.session, g.new_session = None, ""


def csrf_token() -> str:
    """The token every form of this visitor carries; bound to the session, or before one to a cookie of its own."""
    seed = g.get("new_session") or request.cookies.get(_cookie("session")) or request.cookies.get(_cookie("form"))
    if not seed:
        seed = g.new_form_seed = g.get("new_form_seed") or secrets.token_urlsafe(16)
    return _csrf_for(seed)


def _csrf_for(seed: str) -> str:
    key = parts.current_parts().config.secret_keys[0]
    return hmac.new(key.encode(), b"csrf:" + seed.encode(errors="replace"), hashlib.sha256).hexdigest()


def _admit() -> BaseResponse | None:
    roles = getattr(current_app.view_functions.get(request.endpoint or ""), "roles", None)
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        _check_csrf()
    if roles == frozenset():
        return None
    user = current_user()
    if user is None:
        return _ask_to_sign_in()
    if roles is None or user.role not in roles:
        abort(403)
    return None if _may_skip_enrolling(user) else redirect(ENROL_PATH, code=303)


def _may_skip_enrolling(user: users.User) -> bool:
    """Whether nothing is asked of her first: she has a second factor, needs none, or is setting it up."""
    if user.second_factor or request.path.startswith(ENROL_PATH):
        return True
    with parts.current_parts().db.begin() as conn:
        return not console_settings.must_enrol(conn, user)


def _ask_to_sign_in() -> BaseResponse:
    """To the door, and afterwards back to the page one stood on: where a form stands that was sent, its browser may
    still hold what was typed."""
    if request.headers.get("HX-Request"):
        door = _door(request.headers.get("HX-Current-URL", ""))
        return Response(status=401, headers={"HX-Redirect": door})
    stood = request.full_path if request.method == "GET" else request.referrer or ""
    return redirect(_door(stood), code=303)


def _door(stood: str) -> str:
    """Where to sign in, coming from a page of ours."""
    page = urlsplit(stood)
    back = f"{page.path}?{page.query}".rstrip("?")
    return f"{SIGN_IN_PATH}?next={quote(back)}" if back else SIGN_IN_PATH


def _check_csrf() -> None:
    origin = request.headers.get("Origin")
    ours = {request.host, urlsplit(parts.current_parts().config.base_url).netloc}
    if origin is not None and urlsplit(origin).netloc not in ours:
        abort(400, "The form came from another site.")
    given = request.headers.get(FORM_HEADER) or request.form.get("csrf_token") or ""
    if not hmac.compare_digest(given.encode(errors="replace"), csrf_token().encode()):
        if request.headers.get("HX-Request"):  # the browser's script sends it once more, with the token of by now
            abort(Response(status=400, headers={FORM_HEADER: csrf_token()}))
        abort(400, "The form is too old; load the page again.")


def _write_cookies(response: Response) -> Response:
    new = g.get("new_session")
    if new:
        _set_cookie(response, "session", new)
        response.delete_cookie(_cookie("form"), secure=_https(), httponly=True, samesite="Lax")
    elif new == "":
        response.delete_cookie(_cookie("session"), secure=_https(), httponly=True, samesite="Lax")
    elif seed := g.get("new_form_seed"):
        _set_cookie(response, "form", seed)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _set_cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(_cookie(name), value, httponly=True, samesite="Lax", secure=_https(), path="/")


def _cookie(name: str) -> str:
    return f"__Host-relance-{name}" if _https() else f"relance-{name}"


def _https() -> bool:
    return parts.current_parts().config.base_url.startswith("https:")


def safe_next(target: str | None, default: str) -> str:
    """Where to go after signing in: a path of this console, never another site."""
    if target and target.startswith("/console") and not set(target) & set("\\\r\n\t\0"):
        return target
    return default
