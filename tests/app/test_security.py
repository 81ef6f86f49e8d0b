"""Who may enter: keys, sign-ins, sessions, forms, roles."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import argon2
import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask, jsonify, request
from flask.testing import FlaskClient

import app as front
from app import parts, rate_limits, security, sessions, tables, users
from foundation.database import Database
from foundation.errors import Conflict, Invalid

NOW = datetime.now(UTC)
PASSWORD = "a long pass phrase"


def section() -> Blueprint:
    """A small guarded section: a door, a page for marketers, a change, and a page that names no role."""
    bp = Blueprint("section", __name__, url_prefix="/section")
    security.protect(bp)

    @bp.get("/door")
    @security.anyone
    def door() -> Any:
        return jsonify(token=security.csrf_token())

    @bp.post("/door")
    @security.anyone
    def enter() -> Any:
        answer = security.sign_in(request.form["email"], request.form["password"], now=datetime.now(UTC))
        return (jsonify(answer), 401) if isinstance(answer, security.Refusal) else jsonify(answer.email)

    @bp.post("/leave")
    @security.anyone
    def leave() -> Any:
        security.sign_out()
        return jsonify("left")

    @bp.get("/page")
    @security.require_role("admin", "marketer")
    def page() -> Any:
        user = security.current_user()
        return jsonify(email=user.email if user else None, token=security.csrf_token())

    @bp.post("/page")
    @security.require_role("admin", "marketer")
    def change() -> Any:
        return jsonify("changed")

    @bp.get("/unmarked")
    def unmarked() -> Any:
        return jsonify("nobody decided who may see this")

    return bp


@pytest.fixture
def doors(web: Flask) -> Flask:
    """The application with that section."""
    web.register_blueprint(section())
    return web


@pytest.fixture
def browser(doors: Flask) -> FlaskClient:
    """A person's browser."""
    return doors.test_client()


@pytest.fixture
def ada(db: Database) -> int:
    """A marketer."""
    with db.begin() as conn:
        return users.create(conn, email="Ada@example.com", role="marketer", password=PASSWORD, now=NOW)


def token_of(browser: FlaskClient, path: str = "/section/door") -> str:
    return str(browser.get(path).json["token"])


def sign_in(browser: FlaskClient, *, email: str = "ada@example.com", password: str = PASSWORD) -> Any:
    form = {"csrf_token": token_of(browser), "email": email, "password": password}
    return browser.post("/section/door", data=form)


# ---------------------------------------------------------------------------------------------------- keys
def test_a_key_is_shown_once_and_only_its_hash_is_kept(db: Database, make_key: Callable[..., str]) -> None:
    key = make_key("secret")
    with db.begin() as conn:
        row = conn.execute(sa.select(tables.api_keys)).one()
    assert key.startswith("sk_") and len(key) >= 43
    assert key.startswith(row.prefix) and key not in str(row)


def test_a_write_key_speaks_for_its_source(web: Flask, db: Database, make_key: Callable[..., str]) -> None:
    key = make_key("write", name="web shop")
    with web.app_context():
        found = security.find_key(db, key)
        assert found is not None and found.kind == "write"
        assert (found.source.name, found.source.channel, found.source.trusted) == ("web shop", "web", False)
        assert security.find_key(db, key[:-1]) is None
        secret = security.find_key(db, make_key("secret"))
        assert secret is not None and secret.kind == "secret"


def test_a_revoked_key_is_worth_nothing(web: Flask, db: Database, make_key: Callable[..., str]) -> None:
    key = make_key("write")
    with db.begin() as conn:
        conn.execute(sa.update(tables.api_keys).values(revoked_at=NOW))
    with web.app_context():
        assert security.find_key(db, key) is None


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nothing", "Basic !!!", "Digest x=1", "Bearer \u00e9\x00"])
def test_without_a_known_key_nothing_is_answered(client: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = client.get("/v1/carts/1", headers=headers)
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_write_key_may_not_read_customers(client: FlaskClient, make_key: Callable[..., str]) -> None:
    answer = client.get("/v1/customers/1", headers={"Authorization": f"Bearer {make_key('write')}"})
    assert answer.status_code == 403


def test_who_tries_many_keys_is_told_to_wait(client: FlaskClient) -> None:
    statuses = [client.get("/v1/carts/1", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(70)]
    assert statuses[0] == 401 and statuses[-1] == 429


# ------------------------------------------------------------------------------------------------- people
def test_passwords_are_argon2id_and_addresses_unique(db: Database, ada: int) -> None:
    with db.begin() as conn:
        kept = conn.scalar(sa.select(tables.users.c.password_hash))
    assert str(kept).startswith("$argon2id$")
    with pytest.raises(Conflict), db.begin() as conn:
        users.create(conn, email="ADA@example.com ", role="admin", password=PASSWORD, now=NOW)


def test_every_fault_of_a_new_person_is_named(conn: sa.Connection) -> None:
    with pytest.raises(Invalid) as refused:
        users.create(conn, email="nobody", role="king", password="short", now=NOW)
    assert {fault.pointer for fault in refused.value.faults} == {"/email", "/role", "/password"}


def test_a_right_password_signs_in_and_a_wrong_one_does_not(browser: FlaskClient, ada: int) -> None:
    assert sign_in(browser, password="wrong").json == "wrong"
    assert sign_in(browser, email="who@example.com").json == "wrong"
    assert sign_in(browser, email="\x00\ufffd").json == "wrong"
    assert browser.get("/section/page").status_code == 303
    assert sign_in(browser).json == "ada@example.com"
    assert browser.get("/section/page").json["email"] == "ada@example.com"


def test_an_old_hash_is_made_new_at_sign_in(db: Database, browser: FlaskClient, ada: int) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    with db.begin() as conn:
        conn.execute(sa.update(tables.users).values(password_hash=weak))
    assert sign_in(browser).status_code == 200
    with db.begin() as conn:
        assert conn.scalar(sa.select(tables.users.c.password_hash)) != weak


def test_five_tries_a_minute_are_looked_at(browser: FlaskClient, ada: int) -> None:
    answers = [sign_in(browser, password="wrong").json for _ in range(6)]
    assert answers == ["wrong"] * 5 + ["too_many"]
    assert sign_in(browser).json == "too_many"


def test_counts_begin_again_with_the_next_window(conn: sa.Connection) -> None:
    assert [rate_limits.count(conn, "x", seconds=60, now=NOW) for _ in range(3)] == [1, 2, 3]
    assert rate_limits.counted(conn, "x", seconds=60, now=NOW) == 3
    assert rate_limits.counted(conn, "x", seconds=60, now=NOW + timedelta(seconds=61)) == 0
    assert rate_limits.count(conn, "x", seconds=60, now=NOW + timedelta(seconds=61)) == 1


# ----------------------------------------------------------------------------------------------- sessions
def test_each_sign_in_gets_a_new_session_and_ends_the_old(db: Database, browser: FlaskClient, ada: int) -> None:
    sign_in(browser)
    first = browser.get_cookie("relance-session")
    sign_in(browser)
    second = browser.get_cookie("relance-session")
    assert first is not None and second is not None and first.value != second.value
    with db.begin() as conn:
        assert sessions.find(conn, first.value, now=datetime.now(UTC)) is None
        assert conn.scalar(sa.select(sa.func.count()).select_from(tables.sessions)) == 1


def test_a_session_cookie_is_kept_from_scripts_and_other_sites(browser: FlaskClient, ada: int) -> None:
    cookie = next(text for text in sign_in(browser).headers.getlist("Set-Cookie") if "relance-session" in text)
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie


def test_over_https_cookies_are_bound_to_the_host(installation: parts.Parts, ada: int) -> None:
    secure = replace(installation, config=replace(installation.config, base_url="https://relance.example"))
    web = front.create_app(secure)
    web.register_blueprint(section())
    answer = web.test_client().get("/section/door", base_url="https://relance.example")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-relance-form=") and "Secure" in cookie and "Domain" not in cookie
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


def test_signing_out_ends_the_session_on_the_server(browser: FlaskClient, ada: int) -> None:
    sign_in(browser)
    kept = browser.get_cookie("relance-session")
    assert browser.post("/section/leave", data={"csrf_token": token_of(browser)}).status_code == 200
    assert kept is not None
    browser.set_cookie("relance-session", kept.value)
    assert browser.get("/section/page").status_code == 303


@pytest.mark.parametrize(
    ("later", "alive"),
    [(timedelta(hours=7, minutes=59), True), (timedelta(hours=8, minutes=1), False)],
)
def test_an_idle_session_ends_after_eight_hours(conn: sa.Connection, later: timedelta, alive: bool) -> None:
    user_id = users.create(conn, email="b@example.com", role="admin", password=PASSWORD, now=NOW)
    token = sessions.start(conn, user_id, now=NOW)
    assert (sessions.find(conn, token, now=NOW + later) is not None) is alive


def test_a_session_used_every_hour_ends_after_seven_days(conn: sa.Connection) -> None:
    user_id = users.create(conn, email="b@example.com", role="admin", password=PASSWORD, now=NOW)
    token = sessions.start(conn, user_id, now=NOW)
    alive = [sessions.find(conn, token, now=NOW + timedelta(hours=n)) is not None for n in range(0, 170)]
    assert alive.count(True) == 7 * 24


@pytest.mark.parametrize("how", ["password", "disabled"])
def test_a_new_password_or_a_closed_account_ends_every_session(conn: sa.Connection, how: str) -> None:
    user_id = users.create(conn, email="b@example.com", role="admin", password=PASSWORD, now=NOW)
    token = sessions.start(conn, user_id, now=NOW)
    if how == "password":
        users.change_password(conn, user_id, password="another long one")
    else:
        users.create(conn, email="c@example.com", role="admin", password=PASSWORD, now=NOW)
        users.disable(conn, user_id, now=NOW)
        assert users.authenticate(conn, "b@example.com", PASSWORD) is None
    assert sessions.find(conn, token, now=NOW) is None


# -------------------------------------------------------------------------------------------- forms, roles
def test_a_form_without_its_token_is_refused(browser: FlaskClient, ada: int) -> None:
    sign_in(browser)
    assert browser.post("/section/page").status_code == 400
    assert browser.post("/section/page", data={"csrf_token": "\u00e9"}).status_code == 400
    token = token_of(browser, "/section/page")
    assert browser.post("/section/page", data={"csrf_token": token}).json == "changed"
    assert browser.post("/section/page", headers={"X-CSRFToken": token}).json == "changed"


def test_a_token_is_worth_nothing_in_another_session(doors: Flask, browser: FlaskClient, ada: int) -> None:
    sign_in(browser)
    other = doors.test_client()
    sign_in(other)
    token = token_of(other, "/section/page")
    assert browser.post("/section/page", data={"csrf_token": token}).status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
def test_a_form_from_another_site_is_refused(browser: FlaskClient, ada: int, origin: str) -> None:
    sign_in(browser)
    token = token_of(browser, "/section/page")
    assert browser.post("/section/page", headers={"X-CSRFToken": token, "Origin": origin}).status_code == 400
    ours = {"X-CSRFToken": token, "Origin": "http://localhost"}
    assert browser.post("/section/page", headers=ours).status_code == 200


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("marketer", 200), ("analyst", 403), ("store", 403)])
def test_a_page_opens_for_the_roles_it_names(db: Database, browser: FlaskClient, role: str, status: int) -> None:
    with db.begin() as conn:
        users.create(conn, email="c@example.com", role=role, password=PASSWORD, now=NOW)
    sign_in(browser, email="c@example.com")
    assert browser.get("/section/page").status_code == status


def test_a_page_that_names_no_role_opens_for_nobody(db: Database, browser: FlaskClient) -> None:
    with db.begin() as conn:
        users.create(conn, email="c@example.com", role="admin", password=PASSWORD, now=NOW)
    sign_in(browser, email="c@example.com")
    assert browser.get("/section/unmarked").status_code == 403


def test_who_is_not_signed_in_is_led_to_the_door_and_back(browser: FlaskClient) -> None:
    answer = browser.get("/section/page?a=1")
    assert answer.headers["Location"] == "/console/sign-in?next=/section/page%3Fa%3D1"
    from_htmx = browser.get("/section/page", headers={"HX-Request": "true"})
    assert (from_htmx.status_code, from_htmx.headers["HX-Redirect"]) == (401, "/console/sign-in")


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil", "/console\r\nSet-Cookie: a=b", "javascript:1", ""]
)
def test_signing_in_leads_to_no_other_site(target: str) -> None:
    assert security.safe_next(target, "/console/") == "/console/"
    assert security.safe_next("/console/customers?page=2", "/console/") == "/console/customers?page=2"


def test_every_answer_is_hardened(browser: FlaskClient) -> None:
    answer = browser.get("/section/door")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    page = browser.get("/docs/api").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page and "script-src 'self'" in page
    assert "unsafe-inline" not in page.split("script-src")[1].split(";")[0]
