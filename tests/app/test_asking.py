"""A question asked by every channel: what arrives at the provider leads to the page where it is answered."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from campaigns import onsite, surveys, tables
from foundation.database import Database
from shop import customers
from tests.app.test_public import FIREFOX
from tests.campaigns import test_other_channels
from tests.campaigns.test_other_channels import BROWSER, Peers
from tests.conftest import NOW

WORDS = {
    "en": {"subject": "A question", "heading": "How was your order?", "intro": "Two clicks, and we know."},
    "fr": {"subject": "Une question", "heading": "Et votre commande ?", "intro": "Deux clics, et nous savons."},
}
ASK = {"type": "ask", "id": "stars", "kind": "stars", "words": WORDS, "alert_at_most": 2}
Arrived = tuple[str, str, str | None]
"""What she reads, where it leads, and what the button says; a text message has none."""


@pytest.fixture
def peers(installation: parts.Parts, db: Database, tmp_path: Path, now: datetime) -> Iterator[Peers]:
    """The providers, and a sender whose links lead to this installation."""
    with test_other_channels.connected(db, tmp_path, now=now) as made:
        yield replace(made, sending=replace(installation.sending(), channels=made.sending.channels))


def _pushed(db: Database, peers: Peers) -> Arrived:
    (asked,) = peers.service.taken
    told = BROWSER.read(asked.body)
    (button,) = told["actions"]
    assert button["url"] == told["url"]
    return f"{told['title']} {told['body']}", told["url"], button["title"]


def _texted(db: Database, peers: Peers) -> Arrived:
    (asked,) = peers.gateway.taken
    said, link = asked.form["Body"], re.search(r"https?://\S+", asked.form["Body"])
    assert link is not None
    return said, link.group(), None


def _met(db: Database, peers: Peers) -> Arrived:
    with db.begin() as conn:
        note = onsite.waiting(conn, customers.find(conn, user_id="camille") or 0, now=NOW)
    assert note is not None and note.url is not None
    return f"{note.title} {note.text}", note.url, note.button


SAYS = {"fr": ("Deux clics, et nous savons.", "Répondre"), "en": ("Two clicks, and we know.", "Answer")}
WAYS: dict[str, tuple[str, str, Callable[[Database, Peers], Arrived]]] = {
    "push": ("push", "fr", _pushed),
    "sms": ("sms", "en", _texted),
    "onsite": ("onsite", "en", _met),
    "best is a telephone": ("best", "fr", _texted),
    "best is a browser": ("best", "en", _pushed),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_question_by_any_channel_is_answered_where_it_leads(
    client: FlaskClient, db: Database, peers: Peers, way: str, now: datetime
) -> None:
    channel, locale, arrives = WAYS[way]
    agreed = ("sms",) if arrives is _texted else ("push", "sms")
    test_other_channels.camille(db, now, *agreed, locale=locale)
    test_other_channels.run(db, peers, ASK | {"channel": channel}, now=now)
    assert test_other_channels.state(db) == ("accepted", None)
    (read, link, label), (says, button) = arrives(db, peers), SAYS[locale]
    assert says in read and label in (None, button)
    clicked = client.get(urlsplit(link).path, headers=FIREFOX)
    assert clicked.status_code == 302
    page = urlsplit(clicked.headers["Location"]).path
    shown = client.get(page, headers=FIREFOX | {"Accept-Language": locale}).text
    assert WORDS[locale]["heading"] in shown and shown.count('name="score"') == 5
    assert client.post(page, data={"score": "2", "comment": "late"}, headers=FIREFOX).status_code == 200
    client.post(page, data={"score": "5"}, headers=FIREFOX)
    with db.begin() as conn:
        (result,) = surveys.results(conn, conn.scalar(sa.select(tables.campaigns.c.id)) or 0)
        (alert,) = surveys.alerts(conn)
    assert result.counts == {2: 1} and (alert.score, alert.comment) == (2, "late")


def test_a_question_by_text_message_alone_has_its_words_on_its_page(
    client: FlaskClient, db: Database, peers: Peers, now: datetime
) -> None:
    test_other_channels.camille(db, now, "sms")
    test_other_channels.run(db, peers, ASK | {"channel": "sms", "words": {"en": {"intro": "How was it?"}}}, now=now)
    _, link, _ = _texted(db, peers)
    page = client.get(urlsplit(link).path, headers=FIREFOX).headers["Location"]
    assert "<h1>How was it?</h1>" in client.get(urlsplit(page).path, headers=FIREFOX).text
