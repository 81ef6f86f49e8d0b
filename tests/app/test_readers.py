"""Five hundred labelled readers and machines fetch the picture of their mails: who is taken for a person."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts, robots
from campaigns import mail_tables, tables
from foundation.database import Database, new_id
from shop import consent
from shop.tables import customers

NOW = datetime.now(UTC)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
PEOPLE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.17928; ms-office; "
    "MSOffice 16)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0",
    "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141 Mobile",
    CHROME,
)
"""Mail programs as they name themselves, and the proxies of Gmail and Yahoo, which fetch when somebody looks."""
RELAY = ("Mozilla/5.0", "203.0.113.7")
APPLE = ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", "17.58.102.4")
SCANNERS = (
    "",
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
    "Mozilla/5.0 (compatible; proofpoint-urldefense)",
    "Mimecast-TTP/1.0",
    "python-requests/2.32.3",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
)


def _mails(db: Database, number: int) -> list[UUID]:
    """As many mails, each to somebody who agreed to be measured."""
    with db.begin() as conn:
        plan = {"name": "news", "state": "sending", "created_at": NOW, "updated_at": NOW}
        campaign = conn.execute(sa.insert(tables.campaigns).values(plan).returning(tables.campaigns.c.id)).scalar_one()
        rows = [{"user_id": f"u{n}", "traits": {}, "created_at": NOW, "updated_at": NOW} for n in range(number)]
        people = list(conn.scalars(sa.insert(customers).returning(customers.c.id), rows))
        yes = consent.State.GRANTED
        consent.record_many(
            conn, [consent.Said(one, "email", "analytics", yes, NOW, "form") for one in people], now=NOW
        )
        sent = {"campaign_id": campaign, "version": 1, "step": "s", "channel": "email", "state": "accepted"}
        sent |= dict.fromkeys(("queued_at", "not_before", "expires_at"), NOW) | {
            "accepted_at": NOW - timedelta(hours=1)
        }
        ids = [new_id() for _ in people]
        made = [
            sent | {"id": key, "customer_id": one, "entry_key": str(one)} for key, one in zip(ids, people, strict=True)
        ]
        conn.execute(sa.insert(tables.messages), made)
    return ids


def test_of_five_hundred_labelled_fetches_nearly_all_are_told_apart(
    client: FlaskClient, installation: parts.Parts, db: Database
) -> None:
    chance, machines, people = random.Random(11), set[UUID](), set[UUID]()
    for number, message in enumerate(_mails(db, 500)):
        path = "/o/" + installation.links.open(message).rpartition("/")[2]
        if number % 2:
            people.add(message)
            address = f"198.51.100.{chance.randrange(1, 255)}"
            client.get(path, headers={"User-Agent": chance.choice(PEOPLE)}, environ_base={"REMOTE_ADDR": address})
            continue
        machines.add(message)
        kind = number // 2 % 5
        agent, address = (RELAY, APPLE, (chance.choice(SCANNERS), "192.0.2.1"), *[(CHROME, "192.0.2.2")] * 2)[kind]
        if kind == 4:  # a scanner that calls itself a browser, as soon as the mail is there
            with db.begin() as conn:
                mine = tables.messages.c.id == message
                conn.execute(sa.update(tables.messages).where(mine).values(accepted_at=datetime.now(UTC)))
        method = "HEAD" if kind == 3 else "GET"
        asked = {"User-Agent": agent}
        client.open(path, method=method, headers=asked, environ_base={"REMOTE_ADDR": address})
    with db.begin() as conn:
        opened = set(conn.scalars(sa.select(tables.messages.c.id).where(tables.messages.c.opened_at.is_not(None))))
        noted = set(conn.scalars(sa.select(mail_tables.visits.c.message_id).where(mail_tables.visits.c.machine)))
    assert len(machines - opened) >= 0.95 * len(machines), "machines recognised"
    assert len(people - opened) <= 0.01 * len(people), "people lost"
    assert noted == machines - opened, "recorded, and left out"


@pytest.mark.parametrize(("picture", "machine"), [(True, False), (False, True)])
def test_outlook_shows_pictures_to_somebody_and_tries_links_for_nobody(picture: bool, machine: bool) -> None:
    assert robots.is_machine("GET", PEOPLE[4], {}, picture=picture) is machine
