"""The demo shop: its basket, checkout, till and tracker, seen as its visitors and assistants see them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page

import app as front
from app import parts
from app.demo import baskets, phrases, pictures, storefront
from campaigns import codes, offers
from campaigns.definitions.offers import Offer
from campaigns.tables import promo_codes
from foundation import format
from foundation.config import Config
from foundation.database import Database
from recommender import results
from recommender.tables import slate_clicks, slates
from shop import carts, catalogue, consent, customers, stores
from shop.tables import consent_log, events, orders
from tests import serving

NOW = datetime.now(UTC)
ELSEWHERE = "https://cdn.shop.example/tea.png"
PRODUCTS = (
    ("1001", "Onion soup 11 oz", "Grocery > Soup", "24.90", "soup"),
    ("1002", "Rye bread 20 oz", "Grocery > Bread", "3.50", "bread"),
    ("1003", "Carrots 2 lb", "Fruit and vegetables > Carrots", "1.99", "vegetables"),
)


@pytest.fixture
def shop(config: Config, db: Database) -> Iterator[parts.Parts]:
    """An installation with the demo shop open, three products and one store."""
    built = parts.build(replace(config, demo=True))
    with db.begin() as conn:
        storefront.ensure(conn, config.var, now=NOW)
        catalogue.put(conn, [_feed(*row) for row in PRODUCTS], now=NOW)
        stores.put(conn, [{"store_id": "367", "name": "Nantes Crébillon"}], now=NOW)
    yield built
    built.close()


def _feed(product_id: str, title: str, category: str, price: str, picture: str) -> dict[str, object]:
    image = f"http://localhost/demo/images/{picture}.png"
    return {"product_id": product_id, "title": title, "category": category, "price": price, "image_url": image}


@pytest.fixture
def visitor(shop: parts.Parts) -> FlaskClient:
    """Somebody who has just come in."""
    return front.create_app(shop).test_client()


def _text(page: Any) -> str:
    return str(page.get_data(as_text=True))


def _checked_out(visitor: FlaskClient, **more: str) -> None:
    visitor.post("/demo/basket/add", data={"product_id": "1001"})
    form = {"first_name": "Camille", "last_name": "Laurent", "email": "camille@example.com"}
    assert visitor.post("/demo/checkout", data=form | more).status_code == 303


def _code(db: Database, user_id: str) -> str:
    """A code of ten percent in this customer's hands."""
    with db.begin() as conn:
        terms = Offer(name="back", kind="percentage", value=1000, prefix="AUBIER", valid_days=3)
        offer = offers.create(conn, terms, now=NOW)
        holder = customers.find(conn, user_id=user_id)
        text = codes.new("AUBIER")
        row = {
            "code": text,
            "shown": codes.shown(text, "AUBIER"),
            "offer_id": offer.id,
            "customer_id": holder,
            "state": "issued",
        }
        later = NOW.replace(year=NOW.year + 1, day=1)
        conn.execute(sa.insert(promo_codes).values(**row, reserved_at=NOW, issued_at=NOW, expires_at=later))
    return codes.shown(text, "AUBIER")


def _user_id(db: Database) -> str:
    with db.begin() as conn:
        found = customers.find(conn, email="camille@example.com")
        assert found is not None
        return customers.get_many(conn, [found])[found].user_id or ""


# ------------------------------------------------------------------------------------------------- pages
def test_the_shop_is_closed_outside_demo_mode(client: FlaskClient) -> None:
    assert client.get("/demo/").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/department/grocery", "/department/grocery?category=Soup", "/product/1001", "/search?q=soup", "/basket"]
    + ["/sign-in", "/till", "/till?q=nobody"],
)
def test_every_page_opens_in_both_languages(visitor: FlaskClient, path: str) -> None:
    for language in ("fr", "en"):
        page = visitor.get("/demo" + path, headers={"Accept-Language": language})
        assert page.status_code == 200
        assert f'<html lang="{language}"' in _text(page)


@pytest.mark.parametrize(("name", "kind"), [("soup.svg", "image/svg+xml"), ("soup.png", "image/png")])
def test_a_drawing_is_served_for_pages_and_for_mail(visitor: FlaskClient, name: str, kind: str) -> None:
    with visitor.get(f"/demo/images/{name}") as picture:
        assert (picture.status_code, picture.mimetype) == (200, kind)


@pytest.mark.parametrize("path", ["/product/none", "/department/none", "/department/grocery?category=None", "/none"])
def test_what_the_shop_does_not_have_is_said_in_its_own_words(visitor: FlaskClient, path: str) -> None:
    page = visitor.get("/demo" + path)
    assert page.status_code == 404
    assert "This shelf is empty" in _text(page)


def test_no_page_holds_inline_script_or_style(visitor: FlaskClient) -> None:
    visitor.post("/demo/basket/add", data={"product_id": "1001"})
    for path in ("/", "/product/1001", "/basket", "/checkout", "/till"):
        page = visitor.get("/demo" + path)
        assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|https?://(?!localhost)", _text(page))


def test_slots_without_consent_are_filled_by_the_shop_and_tell_nothing(visitor: FlaskClient, db: Database) -> None:
    assert "Loved this week" in _text(visitor.get("/demo/"))
    assert "Goes well with it" in _text(visitor.get("/demo/product/1001"))
    _checked_out(visitor)
    visitor.post("/demo/checkout/pay", data={"order_id": "W-0A1B2C3D"})
    thanks = _text(visitor.get("/demo/thanks?order=W-0A1B2C3D"))
    assert "To go with your order" in thanks and "Rye bread" in thanks and "data-clicked" not in thanks
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(slates)) == 0


def test_a_regular_who_agreed_is_shown_what_to_buy_again(visitor: FlaskClient, shop: parts.Parts, db: Database) -> None:
    _checked_out(visitor)
    visitor.post("/demo/checkout/pay", data={"order_id": "W-0A1B2C3D"})
    assert "Time to buy it again" not in _text(visitor.get("/demo/"))
    visitor.set_cookie("relance-consent", "granted")
    page = _text(visitor.get("/demo/"))
    assert "Time to buy it again" in page and "data-clicked" in page and "You bought this before" in page
    shop.recommender.flush()
    with db.begin() as conn:
        assert conn.scalars(sa.select(slates.c.placement)).all() == ["buy_again"]


@pytest.mark.parametrize("body", [None, [], {}, {"items": 3}, {"items": [1, {"product_id": 5}], "slate_id": ["x"]}])
def test_cards_of_a_nonsense_slate_are_none(visitor: FlaskClient, body: object) -> None:
    answer = visitor.post("/demo/cards", json=body)
    assert answer.status_code == 200 and "<li" not in _text(answer)


def test_a_form_sent_from_another_site_is_turned_away(visitor: FlaskClient) -> None:
    sent = visitor.post("/demo/basket/add", data={"product_id": "1001"}, headers={"Origin": "https://evil.example"})
    assert sent.status_code == 403


def test_a_cookie_that_was_tampered_with_is_no_visit(visitor: FlaskClient) -> None:
    visitor.set_cookie("maison-aubier", "eyJ1c2VyX2lkIjoiMSJ9.forged", path="/demo")
    assert "Your basket is empty" in _text(visitor.get("/demo/basket"))


def test_nothing_is_kept_of_a_visitor_who_only_looks(visitor: FlaskClient) -> None:
    for path in ("/", "/product/1001", "/basket"):
        assert "Set-Cookie" not in visitor.get("/demo" + path).headers


# ------------------------------------------------------------------------------------ basket and checkout
def test_a_basket_counts_its_pieces_and_delivery(visitor: FlaskClient) -> None:
    visitor.post("/demo/basket/add", data={"product_id": "1001"})
    visitor.post("/demo/basket/add", data={"product_id": "1002"})
    basket = visitor.get("/demo/basket", headers={"Accept-Language": "fr"})
    assert "33,30\u202f€" in _text(basket)  # 24.90 + 3.50 + 4.90 of delivery
    visitor.post("/demo/basket/add", data={"product_id": "1001"})
    assert "53,30\u202f€" in _text(visitor.get("/demo/basket", headers={"Accept-Language": "fr"}))


def test_the_drawer_answers_with_the_basket_alone(visitor: FlaskClient) -> None:
    drawer = visitor.post("/demo/basket/add", data={"product_id": "1001"}, headers={"X-Fragment": "drawer"})
    assert 'data-count="1"' in _text(drawer)
    assert "<html" not in _text(drawer)


@pytest.mark.parametrize("email", ["", "camille", "camille@", "a b@example.com", "camille@example"])
def test_a_wrong_address_comes_back_with_its_fault(visitor: FlaskClient, email: str) -> None:
    visitor.post("/demo/basket/add", data={"product_id": "1001"})
    page = visitor.post("/demo/checkout", data={"first_name": "Camille", "email": email})
    assert page.status_code == 422
    assert "Write an address such as" in _text(page)


def test_agreeing_at_checkout_is_kept_with_its_proof(visitor: FlaskClient, db: Database) -> None:
    _checked_out(visitor, consent="yes")
    with db.begin() as conn:
        said = conn.execute(sa.select(consent_log)).mappings().one()
        assert consent.states(conn, [said["customer_id"]], channel="email") == {said["customer_id"]: "granted"}
    assert said["text"] == phrases.say("consent.email", "en")
    assert said["form"] == "demo checkout, version 1"
    assert set(said["proof"]) >= {"text_sha256", "url", "locale", "user_agent"}


def test_a_box_left_unticked_says_nothing(visitor: FlaskClient, db: Database) -> None:
    _checked_out(visitor)
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(consent_log)) == 0


def _pay(visitor: FlaskClient) -> str:
    form = _text(visitor.get("/demo/checkout/pay"))
    order_id = re.findall(r"W-[0-9A-F]{8}", form)[0]
    for _ in range(2):  # a double click is one order
        assert visitor.post("/demo/checkout/pay", data={"order_id": order_id}).status_code == 303
    return str(order_id)


def test_an_order_is_placed_once_and_empties_the_basket(visitor: FlaskClient, db: Database) -> None:
    _checked_out(visitor)
    order_id = _pay(visitor)
    with db.begin() as conn:
        order = conn.execute(sa.select(orders)).mappings().one()
    assert (order["order_id"], order["channel"], order["total"]) == (order_id, "web", 2980)
    assert "Your basket is empty" in _text(visitor.get("/demo/basket"))


def test_a_code_in_the_basket_is_used_by_its_order(visitor: FlaskClient, db: Database) -> None:
    _checked_out(visitor)
    code = _code(db, _user_id(db))
    visitor.post("/demo/basket/code", data={"code": code.lower().replace("-", " ")})
    assert format.money(-249, "EUR", "en") in _text(visitor.get("/demo/basket"))
    _pay(visitor)
    with db.begin() as conn:
        assert conn.scalar(sa.select(promo_codes.c.state)) == "redeemed"
        assert conn.scalar(sa.select(orders.c.discount)) == 249


def test_a_code_that_is_none_is_refused_once(visitor: FlaskClient) -> None:
    visitor.post("/demo/basket/add", data={"product_id": "1001"})
    visitor.post("/demo/basket/code", data={"code": "<script>"})
    assert "We do not know this code" in _text(visitor.get("/demo/basket"))
    assert "We do not know this code" not in _text(visitor.get("/demo/basket"))


def _tracked_cart(shop: parts.Parts, user_id: str, cart_id: str) -> None:
    key = storefront.pages.key_path(shop.config.var)
    added = {"cart_id": cart_id, "product_id": "1002", "quantity": 2, "price": 3.5, "name": "Rye bread"}
    body = {"batch": [{"type": "track", "event": "Product Added", "userId": user_id, "properties": added}]}
    sent = front.create_app(shop).test_client().post("/v1/batch", json=body, auth=(_key(key), ""))
    assert sent.status_code == 200
    shop.ingest.drain()


def _key(path: Path) -> str:
    assert path.stat().st_mode & 0o077 == 0
    return re.findall(r"wk_[\w-]+", path.read_text())[0]


def test_the_restore_link_reopens_the_basket_with_its_code(
    shop: parts.Parts, visitor: FlaskClient, db: Database
) -> None:
    _tracked_cart(shop, "web-1", "cart-1")
    code = _code(db, "web-1")
    opened = visitor.get(f"/demo/basket?cart=cart-1&code={code}&mt=token", headers={"Accept-Language": "en"})
    assert opened.location == "/demo/basket?restored=code&mt=token"
    page = _text(visitor.get(opened.location))
    assert "Rye bread 20 oz" in page
    assert code in page
    assert format.money(-70, "EUR", "en") in page


def test_a_basket_already_ordered_is_not_reopened(visitor: FlaskClient) -> None:
    gone = visitor.get("/demo/basket?cart=unknown")
    assert "already ordered" in _text(visitor.get(gone.location))


def test_signing_in_takes_up_the_basket_left_on_another_device(shop: parts.Parts, visitor: FlaskClient) -> None:
    visitor.post("/demo/sign-in", data={"email": "camille@example.com"})
    _tracked_cart(shop, _user_id(shop.db), "cart-2")
    other = front.create_app(shop).test_client()
    other.post("/demo/sign-in", data={"email": "Camille@Example.com"})
    assert "Rye bread 20 oz" in _text(other.get("/demo/basket"))


# -------------------------------------------------------------------------------------------------- till
def _ring_up(assistant: FlaskClient, page: str) -> Any:
    """Sends the form the till shows."""
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    form: dict[str, list[str]] = {}
    for name, value in inputs:
        form.setdefault(name, []).append(value)
    return assistant.post("/demo/till/receipts", data=form)


def test_an_assistant_uses_a_code_exactly_once(shop: parts.Parts, visitor: FlaskClient, db: Database) -> None:
    _tracked_cart(shop, "web-1", "cart-1")
    code = _code(db, "web-1")
    page = _text(visitor.get(f"/demo/till?q={code.lower()}"))
    assert "Valid code" in page
    sold = _ring_up(visitor, page)
    assert "Code used" in _text(visitor.get(sold.location))
    with db.begin() as conn:
        order = conn.execute(sa.select(orders)).mappings().one()
        cart = carts.by_cart_id(conn, "cart-1")
    assert (order["channel"], order["store_id"], order["discount"], order["total"]) == ("store", "367", 70, 630)
    assert cart is not None and cart.state == "ordered"
    refused = visitor.get(f"/demo/till?q={code}")
    assert "already been used" in _text(refused)
    again = _ring_up(visitor, page.replace(order["order_id"], "S-00000000"))
    assert again.location.startswith("/demo/till?code=")
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(orders)) == 1


def test_a_customer_is_found_by_name_and_shown_without_the_whole_address(visitor: FlaskClient) -> None:
    _checked_out(visitor, consent="yes")
    found = _text(visitor.get("/demo/till?q=laurent"))
    chosen = re.findall(r"/demo/till\?customer=\d+", found)[0]
    page = _text(visitor.get(chosen))
    assert "ca•••@example.com" in page
    assert "camille@example.com" not in page
    assert "E-mail yes" in page


@pytest.mark.parametrize("query", ["customer=99999", "customer=x", "line=1001:0", "line=:::", "q=%00", "code=%00"])
def test_a_till_asked_for_nonsense_stays_calm(visitor: FlaskClient, query: str) -> None:
    assert visitor.get(f"/demo/till?{query}").status_code == 200


# ------------------------------------------------------------------------------------------ words, pictures
@pytest.mark.parametrize("key", sorted(phrases._SAID))
def test_every_sentence_is_in_both_languages(key: str) -> None:
    english, french = phrases._SAID[key]
    assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", french))
    assert "'" not in french


def test_every_picture_that_may_be_shown_is_there_twice() -> None:
    slugs = {slug for _, slug in pictures._PATTERNS} | set(pictures._BY_DEPARTMENT.values())
    for slug in slugs | {pictures.DEFAULT}:
        assert (storefront.IMAGES / f"{slug}.svg").exists()
        assert (storefront.IMAGES / f"{slug}.png").stat().st_size < 10_000


@pytest.mark.parametrize(
    ("department", "category", "slug"),
    [
        ("GROCERY", "FLUID MILK PRODUCTS", "milk"),
        ("GROCERY", "FROZEN PIZZA", "pizza"),
        ("DRUG GM", "SINUS AND ALLERGY", "health"),
        ("SEAFOOD", "UNHEARD OF", "fish"),
        (None, None, "basket"),
    ],
)
def test_a_product_is_drawn_by_its_category_else_its_department(
    department: str | None, category: str | None, slug: str
) -> None:
    assert pictures.picture(department, category) == slug


def test_the_bare_address_leads_to_the_shop(visitor: FlaskClient) -> None:
    assert visitor.get("/").location == "/demo/"


def test_the_shop_keeps_its_key(shop: parts.Parts, db: Database) -> None:
    with db.begin() as conn:
        first = storefront.ensure(conn, shop.config.var, now=NOW)
        assert storefront.ensure(conn, shop.config.var, now=NOW) == first


# ------------------------------------------------------------------------------------------------ tracker
@pytest.fixture
def page(shop: parts.Parts, chromium: Browser) -> Iterator[Page]:
    """A phone's browser in front of the shop."""
    with serving.served(front.create_app(shop)) as address:
        context = chromium.new_context(viewport={"width": 390, "height": 844}, locale="en-GB")
        context.set_default_timeout(10_000)
        opened = context.new_page()
        opened.goto(f"{address}/demo/")
        yield opened
        context.close()


def _names(db: Database) -> list[str]:
    with db.begin() as conn:
        return list(conn.scalars(sa.select(events.c.name).order_by(events.c.occurred_at)))


def _until(db: Database, page: Page, name: str) -> list[str]:
    for _ in range(50):
        if name in (names := _names(db)):
            return names
        page.wait_for_timeout(100)
    raise AssertionError(f"{name} never came: {names}")


@pytest.mark.browser
def test_the_tracker_is_silent_until_the_visitor_agrees(page: Page, db: Database) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/" in request.url else None)
    page.reload()
    page.evaluate("relance.track('Product Viewed', {product_id: '1001'}); relance.identify('u1')")
    page.wait_for_timeout(800)
    assert (page.context.cookies(), page.evaluate("localStorage.length"), asked) == ([], 0, [])
    page.get_by_role("button", name="Refuse").click()
    page.wait_for_load_state()
    page.goto(page.url + "product/1001")
    page.wait_for_timeout(800)
    assert [cookie.get("name") for cookie in page.context.cookies()] == ["relance-consent"]  # the answer itself
    assert (page.evaluate("localStorage.length"), asked, _names(db)) == (0, [], [])


@pytest.mark.browser
def test_a_visit_is_followed_from_the_door_to_the_checkout(page: Page, db: Database) -> None:
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.get_by_role("button", name="Accept").click()
    page.goto(page.url + "product/1001")
    page.get_by_role("button", name="Add to basket", exact=True).click()
    drawer = page.get_by_role("dialog", name="Your basket")
    assert "Onion soup" in drawer.inner_text()
    drawer.get_by_role("link", name="Check out").click()
    page.get_by_label("First name").fill("Camille")
    page.get_by_label("E-mail", exact=True).fill("camille@example.com")
    page.get_by_label("Yes, Maison Aubier may write").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Place the order").wait_for()
    names = _until(db, page, "Checkout Started")
    assert {"Page Viewed", "Product Viewed", "Product Added", "Identified"} <= set(names)
    with db.begin() as conn:
        customer = customers.find(conn, email="camille@example.com")
        assert customer is not None
        held = carts.of_customer(conn, customer)
        assert conn.scalar(sa.select(sa.func.count(sa.distinct(events.c.customer_id)))) == 1
    assert [(line.product_id, line.quantity) for line in held[0].lines] == [("1001", 1)]
    assert faults == []


@pytest.mark.browser
def test_events_that_could_not_be_delivered_come_later_and_count_once(page: Page, db: Database) -> None:
    page.get_by_role("button", name="Accept").click()
    _until(db, page, "Page Viewed")
    page.context.set_offline(True)
    page.evaluate("relance.track('Product Shared', {product_id: '1001'})")
    page.wait_for_timeout(900)
    assert "Product Shared" not in _names(db)
    page.context.set_offline(False)
    names = _until(db, page, "Product Shared")
    page.evaluate("relance.flush()")
    assert names.count("Product Shared") == 1


@pytest.mark.browser
def test_what_is_clicked_in_a_slot_comes_back_to_its_slate(page: Page, db: Database, shop: parts.Parts) -> None:
    page.get_by_role("button", name="Accept").click()
    _until(db, page, "Page Viewed")
    page.reload()
    card = page.locator("[data-slot] [data-clicked]").first
    card.wait_for()
    product_id = (card.get_attribute("href") or "").rpartition("/")[2]
    page.locator("[data-slot] .pc-add").first.click()
    page.get_by_role("dialog", name="Your basket").wait_for()
    _until(db, page, "Product Added")
    page.locator("[data-close]").first.click()
    card.click()
    page.wait_for_url(f"**/product/{product_id}")
    _until(db, page, "Product Clicked")
    shop.recommender.flush()
    with db.begin() as conn:
        # The browser of these tests says it has no head, which no person's does.
        conn.execute(sa.update(events).values(context={}))
    results.meet(db, now=datetime.now(UTC))
    with db.begin() as conn:
        (found,) = conn.execute(sa.select(slate_clicks)).mappings()
        assert (found["placement"], found["product_id"]) == ("home", product_id)
        assert found["added_at"] is not None
        assert results.by_placement(results.lines(conn, since=NOW.date()))["home"].clicked == 1


@pytest.mark.browser
def test_withdrawing_consent_removes_what_was_kept(page: Page, db: Database) -> None:
    page.get_by_role("button", name="Accept").click()
    _until(db, page, "Page Viewed")
    page.get_by_role("button", name="Your cookies").click()
    page.get_by_role("button", name="Refuse").click()
    page.wait_for_load_state()
    assert [cookie.get("name") for cookie in page.context.cookies()] == ["relance-consent"]
    assert page.evaluate("localStorage.length") == 0


@pytest.mark.browser
def test_slots_keep_their_height_while_they_fill(page: Page, db: Database) -> None:
    page.get_by_role("button", name="Accept").click()
    _until(db, page, "Page Viewed")
    page.route("**/v1/recommendations*", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.reload()
    before = page.locator(".slot").first.bounding_box()
    page.locator("[data-slot] a").first.wait_for()
    after = page.locator(".slot").first.bounding_box()
    assert before is not None and after is not None
    assert abs(before["y"] - after["y"]) < 1


def test_a_picture_that_is_not_the_shops_own_is_the_usual_one(shop: parts.Parts) -> None:
    with shop.db.begin() as conn:
        catalogue.put(conn, [_feed("9", "Tea", "Grocery > Tea", "4.00", "x") | {"image_url": ELSEWHERE}], now=NOW)
        known = catalogue.get_many(conn, ["9", "1001"])
    assert baskets.picture(known["9"]) == f"/demo/images/{pictures.DEFAULT}.svg"
    assert baskets.picture(known["1001"]) == "/demo/images/soup.svg"
