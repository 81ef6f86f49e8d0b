"""An installation in which every page of the console has something to show."""

from datetime import UTC, timedelta

import sqlalchemy as sa
from flask.testing import FlaskClient

import app as front
import scheduler
from app import file_imports, invitations, parts, security
from app.demo import blocks, storefront
from campaigns import drafts, dry_runs, files, offers, plans, promotions, segments
from campaigns import tables as campaign_tables
from campaigns.audiences import kept
from campaigns.definitions import campaign as definitions
from campaigns.definitions import edits
from campaigns.definitions.offers import Offer
from foundation import database, jobs
from foundation.database import new_id
from recommender import merchandising, training
from recommender.rules import Action, Rule
from shop import stores, tables
from tests.app import console_world, test_reports
from tests.app.console_world import EMAIL, NOW, PASSWORD, Day
from tests.campaigns import world

APART = ("train", "prepare", "predict", "train-asked", "doctor", "provider-log", "provider-lists", "prune")
"""Jobs in processes of their own, or that ask the world."""
DRAFT, CANARY = "basket-relaunch", "ten-first"
RULES = {
    "written": {"type": "consent", "channel": "email"},
    "lyon": {"type": "trait", "name": "city", "op": "starts", "value": "Lyon"},
    "both": {"type": "segment", "name": "lyon"},
}


def opened(installation: parts.Parts) -> Day:
    """A day with customers, campaigns of every state, an experiment that is decided, offers, imports and a team."""
    day = console_world.live(installation)
    test_reports.proved(installation)
    _people(installation)
    _offers(installation)
    _campaigns(installation)
    _imported(installation)
    _team(installation)
    training.run(installation.db, now=NOW, progress=lambda *_: None)
    for job in scheduler.timetable(installation):
        if job.name not in APART:
            jobs.run(installation.db, job.name, job.work)
    return day


def signed_in(installation: parts.Parts) -> FlaskClient:
    """The administrator's client."""
    client = front.create_app(installation).test_client()
    login = {"email": EMAIL, "password": PASSWORD}
    assert console_world.post(client, "/console/sign-in", login, on="/console/sign-in").status_code == 303
    return client


def _people(installation: parts.Parts) -> None:
    """Two browsers that became one customer, a name that is a script, segments of them, and stores to visit."""
    with installation.db.begin() as conn:
        world.make_customer(
            conn, "zoe", at=NOW, city="Lyon <b>", first_name="<script>alert(1)</script>", last_name="ש" * 60
        )
        for user in ("camille", "zoe"):
            world.order(conn, user, at=NOW - timedelta(days=40), order_id=f"old-{user}")
            world.say(conn, user, "Product Viewed", at=NOW - timedelta(hours=3), product_id="sel")
        stores.put(
            conn, [{"store_id": "367", "name": "Nantes Crébillon", "latitude": 47.21, "longitude": -1.56}], now=NOW
        )
        for name, rule in RULES.items():
            value = {"name": name, "title": name.title(), "rule": {"type": "all", "of": [rule]}}
            segments.apply(conn, segments.parse(value), now=NOW)
        held = {"name": "lyon-file", "title": "Lyon, as a file", "platform": "csv", "segment": "lyon"}
        kept.apply(conn, kept.parse(held), now=NOW)


def _offers(installation: parts.Parts) -> None:
    someone = hostile(installation)
    with installation.db.begin() as conn:
        storefront.ensure(conn, installation.config.var, now=NOW)
        blocks.ensure(conn, now=NOW)
        offer = offers.create(conn, Offer(name="ten", kind="percentage", value=1000, prefix="TEN"), now=NOW)
        message_id = new_id()
        promotions.reserve(conn, offer, {someone: message_id}, zone=UTC, now=NOW)
        promotions.issue(conn, [message_id], now=NOW)


def _campaigns(installation: parts.Parts) -> None:
    """A draft of each ready-made campaign, one of them tried for a month and sent to its author."""
    with installation.db.begin() as conn:
        for ready in files.ready_made():
            if ready.name != files.DEMO:
                files.start_from(conn, ready.name, now=NOW)
    ines = signed_in(installation)
    for act in ("dry-run", "tests"):
        answer = console_world.post(ines, f"/console/campaigns/{DRAFT}/{act}", {"step": "reminder"})
        assert answer.status_code == 303, act


def _imported(installation: parts.Parts) -> None:
    """A file taken in with a row refused, and one whose columns are not named yet."""
    for name, text in (
        ("people.csv", "user_id,email\nnew-1,new@example.org\n,\n"),
        ("later.csv", "qui,courriel\na,b\n"),
    ):
        folder = installation.config.var / "imports"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(text)
        with installation.db.begin() as conn:
            number = file_imports.begin(conn, folder, "customers", file=name, path=path, by=EMAIL, now=NOW)
            standing = file_imports.get(conn, number)
            if name == "people.csv":
                standing = file_imports.start(conn, number, mapping=standing.mapping, dry=False, now=NOW)
        if standing.state == "running":
            file_imports.run(installation.db, folder, standing, now=NOW)


def _team(installation: parts.Parts) -> None:
    console_world.make_user(installation, role="marketer", email="marc@aubier.example", name="Marc")
    with installation.db.begin() as conn:
        invitations.invite(conn, email="nina@aubier.example", role="analyst", by=EMAIL, now=NOW)
        security.create_key(conn, kind="write", name="site", channel="web", now=NOW)


def telling(installation: parts.Parts, day: Day) -> list[str]:
    """Pages with what takes time to come about: a canary that is out, two versions beside each other, finished dry
    runs of everybody and of one, rules of merchandising, and a segment with its growth and its overlap."""
    with installation.db.begin() as conn:
        _canary(conn)
        _rules(conn)
        _grown(conn)
        plan = plans.get(conn, DRAFT)
        written = definitions.parse(drafts.of(conn, plan).definition)
        runs = [
            dry_runs.ask(conn, plan, written, days=days, customer_id=who, by=EMAIL, now=NOW)
            for days, who in ((30, None), (7, day.camille))
        ]
    while dry_runs.run_due(installation.db, now=NOW):
        pass
    return [
        *(f"/console/campaigns/{CANARY}", f"/console/campaigns/{CANARY}/compare?left=1&right=2"),
        *(f"/console/campaigns/{DRAFT}/dry-run?run={run}" for run in runs),
        *("/console/rules", "/console/segments/written"),
    ]


def _canary(conn: sa.Connection) -> None:
    first = world.relaunch() | {"title": "Ten first", "canary": {"messages": 10, "wait": "30m"}}
    later = {**first, "entry": {**first["entry"], "delay": "2h"}, "holdout_percent": 10}
    later["steps"] = [{"type": "wait", "id": "a-night", "duration": "14h"}, *first["steps"]]
    later["steps"][1] = {**first["steps"][0], "products": 6}
    plans.create(conn, CANARY, definition=first, now=NOW)
    plans.update(conn, CANARY, definition=later, now=NOW)
    plan = plans.launch(conn, CANARY, now=NOW)
    standing = {"canary_left": 0, "canary_since": NOW}
    conn.execute(sa.update(campaign_tables.campaigns).where(campaign_tables.campaigns.c.id == plan.id).values(standing))


def _rules(conn: sa.Connection) -> None:
    for rule in (
        Rule("Salt first on the home page", Action.PIN, placements=("home",), products=("sel",), position=1),
        Rule("More of the kitchen this winter", Action.BOOST, categories=("Cuisine",), strength=2.0, starts_at=NOW),
        Rule("No towels in mails", Action.EXCLUDE, channels=("email",), products=("torchon",)),
        Rule("Two of a brand at most", Action.CAP_BRAND, most=2, enabled=False),
    ):
        merchandising.add_rule(conn, rule, by=EMAIL, now=NOW)


def _grown(conn: sa.Connection) -> None:
    kept = segments.get(conn, "written")
    rows = [
        {"segment_id": kept.id, "day": NOW.date() - timedelta(days=ago), "size": 9_000 + 37 * (30 - ago)}
        for ago in range(30, 0, -1)
    ]
    database.upsert(conn, campaign_tables.segment_sizes, rows, key=["segment_id", "day"])


def saying(installation: parts.Parts) -> list[str]:
    """The steps of the journey over every channel that say something, each on a page of its own."""
    with installation.db.begin() as conn:
        draft = drafts.of(conn, plans.get(conn, "basket-everywhere"))
    return [found.step["id"] for found in edits.walk(draft.definition) if found.step.get("words")]


def hostile(installation: parts.Parts) -> int:
    """Whose name is a script and a word as long as a line."""
    with installation.db.begin() as conn:
        found = conn.scalar(sa.select(tables.customers.c.id).where(tables.customers.c.user_id == "zoe"))
    assert found
    return int(found)
