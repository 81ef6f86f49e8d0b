"""Notifications from the storefront's click to the screen: the real tracker and service worker in a real browser."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from playwright.sync_api import Page

from campaigns import reachable, subscriptions
from campaigns.channels import carriers, webpush
from campaigns.channels.tables import push_subscriptions
from foundation.config import Config
from foundation.database import Database
from shop import consent, customers
from shop.tables import consent_log
from tests import browser
from tests.app import storefront
from tests.app.conftest import NOW
from tests.contracts import providers, test_messengers
from tests.contracts.providers import Rerouted

BROWSER = test_messengers.a_browser(7)

SUBSCRIBED = """
([endpoint, p256dh, auth]) => {
  // The push service of browsers is out of reach here: all that is replaced is its answer to `subscribe`.
  const made = {endpoint, expirationTime: null, options: {}, unsubscribe: () => Promise.resolve(true),
                toJSON: () => ({endpoint, expirationTime: null, keys: {p256dh, auth}})};
  PushManager.prototype.subscribe = function (options) { window.__asked = options; return Promise.resolve(made); };
}
"""


def _subscription(**changes: Any) -> dict[str, Any]:
    known = BROWSER.subscription
    keys = {"p256dh": known.p256dh, "auth": known.auth}
    return {"endpoint": known.endpoint, "keys": keys, "expirationTime": None} | changes


def _post(client: FlaskClient, key: str, body: object, path: str = "subscriptions") -> Any:
    return client.post(f"/v1/push/{path}", json=body, headers={"Authorization": f"Bearer {key}"})


# ------------------------------------------------------------------------------------------------ the interface
def test_a_browser_is_kept_once_with_the_words_she_agreed_to(client: FlaskClient, make_key: Any, db: Database) -> None:
    key = make_key("write")
    body = {"subscription": _subscription(), "anonymous_id": "a-1", "text": "Tell me of offers", "form": "footer, 1"}
    assert _post(client, key, body).get_json() == {"new": True}
    assert _post(client, key, {"subscription": _subscription(), "anonymous_id": "a-1"}).get_json() == {"new": False}
    with db.begin() as conn:
        person = customers.find(conn, anonymous_id="a-1")
        assert person is not None
        assert consent.states(conn, [person], channel="push") == {person: "granted"}
        said = conn.execute(sa.select(consent_log)).mappings().one()
        found = subscriptions.of_customers(conn, [person])[person]
    assert (said["text"], said["form"], said["source"]) == ("Tell me of offers", "footer, 1", "browser prompt")
    assert set(said["proof"]) == {"endpoint_sha256", "user_agent", "page", "text_sha256"}
    assert [one.endpoint for one in found] == [BROWSER.subscription.endpoint]


def test_a_browser_without_words_has_agreed_to_nothing(client: FlaskClient, make_key: Any, db: Database) -> None:
    assert _post(client, make_key("write"), {"subscription": _subscription(), "anonymous_id": "a-1"}).status_code == 200
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(consent_log)) == 0


@pytest.mark.parametrize("endpoint", test_messengers.PRIVATE)
def test_an_address_that_is_no_push_service_is_refused_by_name(
    client: FlaskClient, make_key: Any, db: Database, endpoint: str
) -> None:
    body = {"subscription": _subscription(endpoint=endpoint), "anonymous_id": "a-1"}
    answer = _post(client, make_key("write"), body)
    assert answer.status_code == 422
    assert answer.get_json()["faults"][0]["pointer"] == "/subscription/endpoint"
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(push_subscriptions)) == 0


@pytest.mark.parametrize(
    "keys", [{"p256dh": "BAAA", "auth": "AAAA"}, {"p256dh": "é", "auth": "x"}, {"p256dh": "A" * 87, "auth": "A" * 22}]
)
def test_keys_that_are_none_are_refused(client: FlaskClient, make_key: Any, keys: dict[str, str]) -> None:
    answer = _post(client, make_key("write"), {"subscription": _subscription(keys=keys), "anonymous_id": "a-1"})
    assert answer.status_code == 422 and answer.get_json()["faults"][0]["pointer"] == "/subscription/keys"


def test_nobody_without_a_key_is_heard(client: FlaskClient) -> None:
    assert client.post("/v1/push/subscriptions", json={}).status_code == 401
    assert client.get("/v1/push/key").status_code == 401


def test_a_shop_on_another_host_may_take_a_browser_back(client: FlaskClient) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "DELETE"}
    answer = client.options("/v1/push/subscriptions", headers=asked)
    assert answer.status_code < 300
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"].split(", ")


def test_a_browser_can_be_taken_back_and_one_that_is_silent_is_forgotten(
    client: FlaskClient, make_key: Any, db: Database
) -> None:
    key, endpoint = make_key("write"), BROWSER.subscription.endpoint
    _post(client, key, {"subscription": _subscription(), "anonymous_id": "a-1"})
    with db.begin() as conn:
        conn.execute(sa.update(push_subscriptions).values(seen_at=NOW - subscriptions.SILENT * 2))
    assert _post(client, key, {"endpoint": endpoint}, "seen").status_code == 204
    with db.begin() as conn:
        assert subscriptions.prune(conn, now=NOW) == 0
        conn.execute(sa.update(push_subscriptions).values(seen_at=NOW - subscriptions.SILENT * 2))
        assert subscriptions.prune(conn, now=NOW) == 1
    _post(client, key, {"subscription": _subscription(), "anonymous_id": "a-1"})
    gone = client.delete(
        "/v1/push/subscriptions", json={"endpoint": endpoint}, headers={"Authorization": f"Bearer {key}"}
    )
    assert gone.status_code == 204
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(push_subscriptions)) == 0


def _kept(db: Database) -> list[tuple[str, int]]:
    with db.begin() as conn:
        rows = conn.execute(sa.select(push_subscriptions.c.endpoint, push_subscriptions.c.customer_id))
        return sorted((endpoint, person) for endpoint, person in rows)


def test_a_browser_whose_address_changed_stays_its_customers(client: FlaskClient, make_key: Any, db: Database) -> None:
    key, fresh = make_key("write"), test_messengers.a_browser(8).subscription
    moved = {"endpoint": fresh.endpoint, "keys": {"p256dh": fresh.p256dh, "auth": fresh.auth}}
    _post(client, key, {"subscription": _subscription(), "anonymous_id": "a-1", "text": "Tell me of offers"})
    body = {"subscription": moved, "replaces": BROWSER.subscription.endpoint}
    assert [_post(client, key, body).get_json() for _ in range(2)] == [{"new": True}, {"new": False}]
    with db.begin() as conn:
        person = customers.find(conn, anonymous_id="a-1")
        assert person is not None
        (found,) = subscriptions.of_customers(conn, [person])[person]
        assert consent.states(conn, [person], channel="push") == {person: "granted"}
    assert (found.endpoint, found.p256dh, found.auth) == (fresh.endpoint, fresh.p256dh, fresh.auth)
    assert _kept(db) == [(fresh.endpoint, person)]


def test_who_subscribed_with_the_new_address_meanwhile_keeps_it(
    client: FlaskClient, make_key: Any, db: Database
) -> None:
    key, fresh = make_key("write"), test_messengers.a_browser(8).subscription
    moved = {"endpoint": fresh.endpoint, "keys": {"p256dh": fresh.p256dh, "auth": fresh.auth}}
    _post(client, key, {"subscription": _subscription(), "anonymous_id": "a-1"})
    _post(client, key, {"subscription": moved, "anonymous_id": "a-2"})
    assert _post(client, key, {"subscription": moved, "replaces": BROWSER.subscription.endpoint}).status_code == 200
    with db.begin() as conn:
        second = customers.find(conn, anonymous_id="a-2")
    assert _kept(db) == [(fresh.endpoint, second)]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"replaces": "https://fcm.googleapis.com/fcm/send/guessed"}, "/replaces"),
        ({"replaces": ""}, "/replaces"),
        ({"replaces": BROWSER.subscription.endpoint, "anonymous_id": "a-2"}, "/replaces"),
        ({"replaces": BROWSER.subscription.endpoint, "text": "Tell me"}, "/replaces"),
        ({}, "/anonymous_id"),
    ],
    ids=["a guess", "nothing", "of somebody else", "with words", "neither"],
)
def test_only_who_knows_the_old_address_replaces_it(
    client: FlaskClient, make_key: Any, db: Database, changes: dict[str, str], pointer: str
) -> None:
    key, other = make_key("write"), test_messengers.a_browser(8).subscription
    _post(client, key, {"subscription": _subscription(), "anonymous_id": "a-1"})
    before = _kept(db)
    body = {"subscription": {"endpoint": other.endpoint, "keys": {"p256dh": other.p256dh, "auth": other.auth}}}
    answer = _post(client, key, body | changes)
    assert answer.status_code == 422 and answer.get_json()["faults"][0]["pointer"] == pointer
    assert _kept(db) == before


def test_a_browser_that_is_gone_is_forgotten_where_it_is_found(
    client: FlaskClient, make_key: Any, db: Database, config: Config
) -> None:
    _post(client, make_key("write"), {"subscription": _subscription(), "anonymous_id": "a-1"})
    with db.begin() as conn:
        person = customers.find(conn, anonymous_id="a-1")
        assert person is not None
        address = reachable.addresses(conn, [person], "push")[person]
    with providers.speaking(lambda asked: (410, {}, b"")) as peer:
        made = webpush.WebPush(carriers.voice(config), transport=Rerouted(peer.url))
        began = time.monotonic()
        (receipt,) = made.deliver([test_messengers.a_note(None, addresses=(address,))])
        with db.begin() as conn:
            reachable.forget(conn, "push", receipt.dead)
            left = reachable.addresses(conn, [person], "push")
        made.close()
    assert left == {} and time.monotonic() - began < 1


# -------------------------------------------------------------------------------------------------- the browser
@pytest.mark.browser
@pytest.mark.skipif(browser.executable() is None, reason="no Chromium")
def test_a_visitor_agrees_and_the_real_worker_shows_what_was_encrypted_for_her(
    config: Config, db: Database, tmp_path: Path
) -> None:
    known = BROWSER.subscription
    with storefront.opened(config, db) as (built, address), storefront.visiting(tmp_path / "profile") as context:
        context.grant_permissions(["notifications"], origin=address)
        context.add_init_script(f"({SUBSCRIBED})({json.dumps([known.endpoint, known.p256dh, known.auth])})")
        page = context.new_page()
        page.goto(f"{address}/demo/")
        assert page.evaluate("() => navigator.serviceWorker.getRegistrations().then(all => all.length)") == 0
        page.click("[data-consent=granted]")
        with page.expect_response("**/v1/push/subscriptions") as told:
            page.click("[data-notify]")
        assert told.value.status == 200
        voice = carriers.voice(built.config)
        key = page.evaluate("() => Array.from(window.__asked.applicationServerKey)")
        assert bytes(key) == test_messengers.signing.decode(voice.public)
        with db.begin() as conn:
            (row,) = conn.execute(sa.select(push_subscriptions)).mappings().all()
            states = consent.states(conn, [row["customer_id"]], channel="push")
            line = reachable.addresses(conn, [row["customer_id"]], "push")[row["customer_id"]]
        assert states == {row["customer_id"]: "granted"}
        note = test_messengers.a_note(None, addresses=(line,), url=f"{address}/demo/basket", image=None)
        shown = _shown(page, _sent(voice, note), address)
        assert shown["title"] == note.title and shown["body"] == note.text
        assert shown["tag"] == str(note.message_id)
        assert shown["data"]["url"] == note.url and [one["title"] for one in shown["actions"]] == ["Reprendre"]
        worker = context.service_workers[0]
        assert worker.evaluate(FOLLOWED) == [note.url, note.actions[0][1]]
        with db.begin() as conn:
            assert conn.scalar(sa.select(push_subscriptions.c.seen_at)) is not None
        fresh = test_messengers.a_browser(8).subscription
        asked = worker.evaluate(CHANGED, [known.endpoint, fresh.endpoint, fresh.p256dh, fresh.auth])
        assert bytes(asked) == test_messengers.signing.decode(voice.public)
        assert _kept(db) == [(fresh.endpoint, row["customer_id"])]


CHANGED = """
async ([old, endpoint, p256dh, auth]) => {
  // No push service changes an address here: the event is made, and so is the answer to `subscribe`.
  let key, done;
  const made = {endpoint, toJSON: () => ({endpoint, expirationTime: null, keys: {p256dh, auth}})};
  PushManager.prototype.getSubscription = () => Promise.resolve(null);
  PushManager.prototype.subscribe = (options) => { key = options.applicationServerKey; return Promise.resolve(made); };
  const event = new ExtendableEvent("pushsubscriptionchange");
  Object.defineProperty(event, "oldSubscription", {value: {endpoint: old}});
  Object.defineProperty(event, "waitUntil", {value: (promise) => { done = promise; }});
  self.dispatchEvent(event);
  await done;
  return Array.from(key);
}
"""

FOLLOWED = """
async () => {
  // A click on a notification cannot be made by a machine: its event is, and where it leads is written down.
  const opened = [];
  const openWindow = (url) => { opened.push(url); return Promise.resolve(); };
  Object.defineProperty(self, "clients", {value: {openWindow}});
  const [notification] = await self.registration.getNotifications();
  for (const action of ["", "0"]) {
    self.dispatchEvent(new NotificationEvent("notificationclick", {notification, action}));
  }
  return opened;
}
"""


def _sent(voice: Any, note: Any) -> str:
    """What leaves for the push service, opened with the browser's own keys by another implementation."""
    with providers.speaking(test_messengers.GOOD["webpush"]) as peer:
        made = webpush.WebPush(voice, transport=Rerouted(peer.url))
        assert made.deliver([note])[0].outcome == "accepted"
        made.close()
    return json.dumps(BROWSER.read(peer.taken[0].body))


def _shown(page: Page, plain: str, address: str) -> Any:
    """Hands the plain text to the worker as the browser does once it has decrypted it; what is then on the screen."""
    session = page.context.new_cdp_session(page)
    found: list[Any] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(event["registrations"]))
    session.send("ServiceWorker.enable")
    page.wait_for_function("() => navigator.serviceWorker.ready")
    registration = next(one for one in found if one["scopeURL"].endswith("/demo/"))
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": address, "registrationId": registration["registrationId"], "data": plain},
    )
    look = """() => navigator.serviceWorker.ready.then(r => r.getNotifications()).then(all => all.map(n =>
        ({title: n.title, body: n.body, tag: n.tag, data: n.data, actions: n.actions.map(a => ({title: a.title}))})))"""
    page.wait_for_timeout(1500)  # who asks while a notification is on its way to the screen makes it vanish
    (shown,) = page.evaluate(look)
    return shown
