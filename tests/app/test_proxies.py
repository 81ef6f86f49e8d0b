"""Who asks, behind reverse proxies: the address that as many of them as are trusted wrote down, and no other."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import request
from flask.testing import FlaskClient

import app as front
from app import parts

OURS, VISITOR, FORGED = "10.0.0.2", "203.0.113.9", "17.58.1.1"


def behind(installation: parts.Parts, hops: int) -> FlaskClient:
    """A client of an application that trusts so many proxies; `/whoami` says who asks for what."""
    web = front.create_app(replace(installation, config=replace(installation.config, trusted_proxies=hops)))
    web.add_url_rule("/whoami", view_func=lambda: f"{request.remote_addr} {request.host_url}")
    return web.test_client()


@pytest.mark.parametrize(
    ("hops", "said", "who"),
    [
        (0, VISITOR, OURS),
        (1, VISITOR, VISITOR),
        (1, f"{FORGED}, {VISITOR}", VISITOR),
        (2, f"{FORGED}, {VISITOR}, 10.0.0.1", VISITOR),
        (2, VISITOR, OURS),
        (1, "", OURS),
        (1, f"{FORGED}, 2001:db8::7", "2001:db8::7"),
    ],
)
def test_as_many_entries_are_believed_as_there_are_proxies(
    installation: parts.Parts, hops: int, said: str, who: str
) -> None:
    """What a visitor wrote into the header herself stands before theirs, and is never reached."""
    client = behind(installation, hops)
    answer = client.get("/whoami", headers={"X-Forwarded-For": said}, environ_base={"REMOTE_ADDR": OURS})
    assert answer.text == f"{who} http://localhost/"


def test_nothing_but_the_address_is_taken_from_a_proxy(installation: parts.Parts) -> None:
    client = behind(installation, 1)
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "ftp", "X-Forwarded-Prefix": "/evil"}
    assert client.get("/whoami", headers=forged).text == "127.0.0.1 http://localhost/"


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/onsite"])
def test_each_visitor_has_a_limit_of_her_own(
    installation: parts.Parts, make_key: Callable[..., str], path: str
) -> None:
    """Sixty refused keys of one address refuse no other's, at the door before Flask and within."""
    client = behind(installation, 1)
    call = client.post if path == "/v1/batch" else client.get

    def ask(address: str) -> int:
        headers = {"X-Forwarded-For": address, "Authorization": "Bearer none"}
        body = {"json": {"batch": []}} if path == "/v1/batch" else {}
        return call(path, headers=headers, environ_base={"REMOTE_ADDR": OURS}, **body).status_code

    answers = {ask(VISITOR) for _ in range(80)}
    assert answers == {401, 429} and ask("203.0.113.10") == 401
