"""Settings of the console: the policy, the team, one's own account, its second factor, the log, the hold."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import change_log, parts, second_factor, tables, users
from app.console import policy_fields
from campaigns import holding, policy, rules
from foundation.errors import Conflict
from tests.app import console_world
from tests.app.console_world import EMAIL, PASSWORD

NOW = datetime.now(UTC)


def _seen(client: FlaskClient, part: str) -> str:
    (found,) = re.findall(r'name="seen" value="(\w+)"', client.get(f"/console/settings/policy/{part}").text)
    return str(found)


def _form(client: FlaskClient, part: str, **changed: str) -> dict[str, str]:
    """The form of a part as its page shows it, with some of it changed."""
    standing = policy_fields.of_policy(rules.Policy(), policy_fields.part(part) or policy_fields.PARTS[0])
    return {**standing.values, "seen": _seen(client, part), **{f"/{name}": text for name, text in changed.items()}}


def _post(
    client: FlaskClient, path: str, data: dict[str, str] | None = None, *, on: str = "/console/account"
) -> TestResponse:
    return console_world.post(client, path, data, on=on)


# -------------------------------------------------------------------------------------------------- policy
def test_every_value_of_the_policy_has_a_field() -> None:
    asked = {one.name for part in policy_fields.PARTS for one in part.fields}
    assert asked == set(rules.dump(rules.Policy()))


@pytest.mark.parametrize("part", [one.name for one in policy_fields.PARTS])
def test_a_form_sent_as_it_was_shown_changes_nothing(part: str) -> None:
    chosen = policy_fields.part(part)
    assert chosen
    told = {
        "topics": {"sales": "Sales"},
        "channel_caps": {"sms": 1},
        "message_prices": {"sms": 5.5},
        "warm_up": {"begins": "2026-11-22", "first_day": 300, "factor": 1.5},
        "keep_days": {"slates": 30},
        "link_hosts": ["shop.example"],
        "quiet_from": "21:30",
    }
    standing = rules.parse(told)
    given = dict(policy_fields.of_policy(standing, chosen).values)
    assert rules.parse(rules.dump(standing) | policy_fields.asked(given, chosen)) == standing


def test_what_is_saved_is_in_force_and_in_the_log(ines: FlaskClient, installation: parts.Parts) -> None:
    given = _form(ines, "pressure", cap_messages="2", holdout_percent="2,5", **{"channel_caps/sms": "1"})
    assert _post(ines, "/console/settings/policy/pressure", given).status_code == 303
    with installation.db.begin() as conn:
        standing = policy.load(conn)
        (line,) = change_log.read(conn, limit=5)
    assert (standing.cap_messages, standing.holdout_percent, standing.channel_caps) == (2, 2.5, {"sms": 1})
    assert line.act == "policy" and line.detail["changed"]["cap_messages"] == [3, 2]
    page = ines.get("/console/settings/log").text
    assert "Inès Moreau" in page and "changed the policy: Pressure" in page
    assert "at most 2 messages within" in ines.get("/console/settings/policy/pressure").text


@pytest.mark.parametrize(
    ("part", "field", "wrong"),
    [
        ("pressure", "cap_messages", "many"),
        ("pressure", "cap_days", "0"),
        ("hours", "quiet_until", ""),
        ("shop", "timezone", "Europe/Nantes"),
        ("sending", "warm_up/begins", "soon"),
        ("retention", "keep_days/slates", "99999"),
        ("topics", "topics/0/word", "Deux Mots"),
        ("money", "message_prices/sms", "free"),
    ],
)
def test_a_fault_stands_at_its_field_and_nothing_is_saved(
    ines: FlaskClient, installation: parts.Parts, part: str, field: str, wrong: str
) -> None:
    answer = _post(ines, f"/console/settings/policy/{part}", _form(ines, part, **{field: wrong}))
    assert answer.status_code == 422
    name = field.split("/")[0]
    assert f'id="/{name}-fault"' in answer.text
    assert wrong in answer.text
    with installation.db.begin() as conn:
        assert policy.load(conn) == rules.Policy()


def test_a_colleague_s_change_is_shown_and_never_overwritten(ines: FlaskClient, installation: parts.Parts) -> None:
    mine = _form(ines, "pressure", cap_messages="5")
    with installation.db.begin() as conn:
        policy.save(conn, rules.Policy(cap_messages=1), now=NOW)
    answer = _post(ines, "/console/settings/policy/pressure", mine)
    assert answer.status_code == 409
    assert "Somebody changed this while you were writing." in answer.text and 'value="5"' in answer.text
    with installation.db.begin() as conn:
        assert policy.load(conn).cap_messages == 1
    again = {**mine, "seen": re.findall(r'name="seen" value="(\w+)"', answer.text)[0]}
    assert _post(ines, "/console/settings/policy/pressure", again).status_code == 303
    with installation.db.begin() as conn:
        assert policy.load(conn).cap_messages == 5


def test_a_change_to_another_part_is_no_conflict(ines: FlaskClient, installation: parts.Parts) -> None:
    mine = _form(ines, "pressure", cap_messages="5")
    with installation.db.begin() as conn:
        policy.save(conn, rules.Policy(shop_name="Aubier"), now=NOW)
    assert _post(ines, "/console/settings/policy/pressure", mine).status_code == 303
    with installation.db.begin() as conn:
        assert (policy.load(conn).shop_name, policy.load(conn).cap_messages) == ("Aubier", 5)


def test_a_marketer_reads_the_policy_and_changes_none_of_it(enter: Callable[[str], FlaskClient]) -> None:
    client = enter("marketer")
    assert client.get("/console/settings/policy/hours").status_code == 200
    assert _post(client, "/console/settings/policy/hours", {}).status_code == 403
    assert client.get("/console/settings/log").status_code == 403


# ---------------------------------------------------------------------------------------------------- team
def test_who_is_invited_chooses_a_password_and_is_signed_in(ines: FlaskClient, web: Flask) -> None:
    page = _post(ines, "/console/settings/team/invite", {"email": "Paul@aubier.example", "role": "analyst"})
    (link,) = re.findall(r'id="link">([^<]+)<', page.text)
    path = link.removeprefix("http://localhost")
    newcomer = web.test_client()
    short = _post(newcomer, path, {"name": "Paul", "password": "short"}, on=path)
    assert short.status_code == 422 and "/password-fault" in short.text
    entered = _post(newcomer, path, {"name": "Paul", "password": PASSWORD}, on=path)
    assert entered.status_code == 303
    assert "Hello Paul." in newcomer.get("/console/").text
    assert newcomer.get("/console/settings/log").status_code == 403
    assert web.test_client().get(path).status_code == 404
    assert "invited paul@aubier.example" in ines.get("/console/settings/log").text


def test_a_link_is_for_a_week_and_can_be_withdrawn(ines: FlaskClient, web: Flask, installation: parts.Parts) -> None:
    paths = []
    for name in ("one", "two"):
        invited = {"email": f"{name}@aubier.example", "role": "store"}
        page = _post(ines, "/console/settings/team/invite", invited)
        paths.append(re.findall(r'id="link">http://localhost([^<]+)<', page.text)[0])
    with installation.db.begin() as conn:
        mine = tables.invitations.c.email == "one@aubier.example"
        old = {"invited_at": NOW - timedelta(days=8)}
        conn.execute(sa.update(tables.invitations).where(mine).values(old))
        second = conn.scalar(sa.select(tables.invitations.c.id).where(~mine))
    _post(ines, f"/console/settings/team/invitations/{second}/withdraw")
    assert [web.test_client().get(path).status_code for path in paths] == [404, 404]


def test_an_address_with_an_account_is_not_invited_again(ines: FlaskClient) -> None:
    answer = _post(ines, "/console/settings/team/invite", {"email": EMAIL, "role": "admin"})
    assert answer.status_code == 422 and "already has an account" in answer.text


def test_who_is_closed_is_signed_out_at_once(ines: FlaskClient, web: Flask, installation: parts.Parts) -> None:
    console_world.make_user(installation, role="marketer", email="paul@aubier.example", name="Paul")
    paul = web.test_client()
    login = {"email": "paul@aubier.example", "password": PASSWORD}
    _post(paul, "/console/sign-in", login, on="/console/sign-in")
    assert paul.get("/console/settings/policy/shop").status_code == 200
    with installation.db.begin() as conn:
        (paul_id,) = (one.id for one in users.team(conn) if one.name == "Paul")
    _post(ines, f"/console/settings/team/{paul_id}/role", {"role": "analyst"})
    assert "Analyst" in paul.get("/console/account").text
    _post(ines, f"/console/settings/team/{paul_id}/disable")
    assert paul.get("/console/settings/policy/shop").status_code == 303


def test_the_last_administrator_stays(conn: sa.Connection) -> None:
    only = users.create(conn, email=EMAIL, role="admin", password=PASSWORD, now=NOW)
    with pytest.raises(Conflict):
        users.disable(conn, only, now=NOW)
    with pytest.raises(Conflict):
        users.change_role(conn, only, role=users.Role.ANALYST)
    users.create(conn, email="b@aubier.example", role="admin", password=PASSWORD, now=NOW)
    users.disable(conn, only, now=NOW)
    found = users.get(conn, only)
    assert found and found.disabled


# ----------------------------------------------------------------------------------- account, second factor
def _enrol(client: FlaskClient) -> tuple[str, list[str]]:
    """Sets the second factor up; gives the secret and the recovery codes."""
    path = "/console/account/second-factor"
    secret = re.findall(r'id="secret">([^<]+)<', client.get(path).text)[0].replace(" ", "")
    page = _post(client, path, {"code": pyotp.TOTP(secret).now()}, on=path)
    assert page.status_code == 200, page.text
    return secret, re.findall(r'<li class="mono">([\w-]+)</li>', page.text)


def _sign_in(web: Flask) -> FlaskClient:
    client = web.test_client()
    answer = _post(client, "/console/sign-in", {"email": EMAIL, "password": PASSWORD}, on="/console/sign-in")
    assert answer.headers["Location"].startswith("/console/sign-in/code")
    return client


def test_the_second_factor_is_asked_after_the_password(ines: FlaskClient, web: Flask) -> None:
    secret, recovery = _enrol(ines)
    assert len(recovery) == 10
    client, code = _sign_in(web), "/console/sign-in/code"
    assert client.get("/console/settings/policy/shop").status_code == 303
    assert _post(client, code, {"code": "000000"}, on=code).status_code == 401
    used = _post(client, code, {"code": pyotp.TOTP(secret).now()}, on=code)
    assert used.status_code == 401, "the code that set it up counts once"
    entered = _post(client, code, {"code": recovery[0].upper()}, on=code)
    assert entered.status_code == 303
    assert client.get("/console/settings/policy/shop").status_code == 200
    other = _sign_in(web)
    assert _post(other, code, {"code": recovery[0]}, on=code).status_code == 401


def test_codes_are_tried_five_times_a_minute(ines: FlaskClient, web: Flask) -> None:
    _, recovery = _enrol(ines)
    client, code = _sign_in(web), "/console/sign-in/code"
    answers = [_post(client, code, {"code": "000000"}, on=code).status_code for _ in range(4)]
    assert answers == [401] * 4, "setting it up was the first try"
    assert _post(client, code, {"code": recovery[0]}, on=code).status_code == 429


def test_a_code_counts_once_and_for_its_moment(conn: sa.Connection) -> None:
    keys = ["a key of the tests"]
    user = users.create(conn, email=EMAIL, role="admin", password=PASSWORD, now=NOW)
    made = pyotp.TOTP(second_factor.begin(conn, user, keys=keys))
    assert second_factor.confirm(conn, user, made.at(NOW), keys=keys, now=NOW)
    later = NOW + timedelta(minutes=2)
    assert not second_factor.check(conn, user, made.at(NOW), keys=keys, now=later)
    assert second_factor.check(conn, user, made.at(later), keys=keys, now=later)
    assert not second_factor.check(conn, user, made.at(later), keys=keys, now=later)
    row = conn.execute(sa.select(tables.users.c.second_factor)).scalar_one()
    assert made.secret.encode() not in row


def test_who_must_have_a_second_factor_is_led_to_it(ines: FlaskClient) -> None:
    _post(ines, "/console/settings/team/rule", {"who": "admins"})
    assert ines.get("/console/settings/policy/shop").headers["Location"] == "/console/account/second-factor"
    path = "/console/account/second-factor"
    secret = re.findall(r'id="secret">([^<]+)<', ines.get(path).text)[0].replace(" ", "")
    _post(ines, path, {"code": pyotp.TOTP(secret).now()}, on=path)
    assert ines.get("/console/settings/policy/shop").status_code == 200


def test_a_new_password_signs_every_other_browser_out(ines: FlaskClient, web: Flask) -> None:
    other = web.test_client()
    _post(other, "/console/sign-in", {"email": EMAIL, "password": PASSWORD}, on="/console/sign-in")
    wrong = _post(ines, "/console/account/password", {"/current": "no", "/password": "a new sentence"})
    assert wrong.status_code == 422 and "/current-fault" in wrong.text
    right = {"/current": PASSWORD, "/password": "a new sentence"}
    assert _post(ines, "/console/account/password", right).status_code == 303
    assert ines.get("/console/account").status_code == 200
    assert other.get("/console/account").status_code == 303


def test_a_browser_elsewhere_is_signed_out_from_here(ines: FlaskClient, web: Flask) -> None:
    other = web.test_client()
    _post(other, "/console/sign-in", {"email": EMAIL, "password": PASSWORD}, on="/console/sign-in")
    page = ines.get("/console/account").text
    (number,) = re.findall(r"/console/account/sessions/(\d+)/end", page)
    _post(ines, f"/console/account/sessions/{number}/end")
    assert other.get("/console/account").status_code == 303
    assert ines.get("/console/account").status_code == 200


# ------------------------------------------------------------------------------------------------- hold, log
def test_everything_is_held_and_let_go_from_the_console(ines: FlaskClient, installation: parts.Parts) -> None:
    _post(ines, "/console/settings/backups/hold")
    with installation.db.begin() as conn:
        held = holding.held(conn)
    assert held and held.reason == "operator"
    assert "Everything is held" in ines.get("/console/settings/backups").text
    _post(ines, "/console/settings/backups/release")
    with installation.db.begin() as conn:
        assert holding.held(conn) is None
        assert [line.act for line in change_log.read(conn, limit=2)] == ["backups.release", "backups.hold"]


def test_every_act_leaves_a_line(ines: FlaskClient, installation: parts.Parts) -> None:
    _post(ines, "/console/sources/keys", {"name": "<b>site</b>", "kind": "write", "channel": "web"})
    with installation.db.begin() as conn:
        (line,) = change_log.read(conn, limit=5)
    assert (line.by, line.act) == ("Inès Moreau", "sources.add_key")
    assert "made a key" in ines.get("/console/settings/log").text
