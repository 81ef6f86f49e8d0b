"""The pure decisions: eligibility, arms, links, codes, bars."""

import hmac
import zlib
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from campaigns import barcode, codes, eligibility, experiments, hours, links, rules, states
from campaigns.eligibility import Hold, Send, Skip, Standing
from campaigns.links import Links
from campaigns.rules import Policy
from campaigns.states import Reason, State

REACH = links.Reach("https://r.example", frozenset({"r.example"}), ("shop.example",))
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FINE = Standing(
    expires_at=NOON + timedelta(hours=40),
    address="a@example.org",
    address_ok=True,
    consent="granted",
    suppressed=False,
    bought=False,
    cart_state="open",
    cart_touched_at=NOON - timedelta(hours=2),
    quiet_for=timedelta(hours=1),
    received_lately=0,
    cap_frees_at=None,
    timezone="Europe/Paris",
)


def test_nothing_in_the_way_means_send() -> None:
    assert eligibility.decide(FINE, policy=Policy(), now=NOON) == Send()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"address": None}, Reason.NO_ADDRESS),
        ({"address_ok": False}, Reason.BAD_ADDRESS),
        ({"consent": "denied"}, Reason.UNSUBSCRIBED),
        ({"consent": "unknown"}, Reason.NO_CONSENT),
        ({"suppressed": True}, Reason.SUPPRESSED),
        ({"silent": True}, Reason.SILENT),
        ({"bought": True}, Reason.BOUGHT),
        ({"cart_state": "ordered"}, Reason.BOUGHT),
        ({"cart_state": "emptied"}, Reason.CART_EMPTIED),
        ({"received_lately": 3, "cap_frees_at": NOON + timedelta(days=6)}, Reason.CAP),
    ],
)
def test_each_refusal_has_its_reason(change: dict[str, object], reason: Reason) -> None:
    assert eligibility.decide(replace(FINE, **change), policy=Policy(), now=NOON) == Skip(reason)


@pytest.mark.parametrize("change", [{"channel": "push"}, {"purpose": "transactional"}])
def test_silence_ends_marketing_mails_alone(change: dict[str, str]) -> None:
    assert eligibility.decide(replace(FINE, silent=True, **change), policy=Policy(), now=NOON) == Send()  # type: ignore[arg-type]


def test_what_only_delays_is_held_until_it_is_over() -> None:
    night = NOON.replace(hour=22)  # 23 h in Paris
    held = eligibility.decide(FINE, policy=Policy(), now=night)
    assert held == Hold(datetime(2026, 11, 22, 7, 0, tzinfo=UTC), Reason.QUIET_HOURS)
    touched = replace(FINE, cart_touched_at=NOON - timedelta(minutes=10))
    assert eligibility.decide(touched, policy=Policy(), now=NOON) == Hold(
        NOON + timedelta(minutes=50), Reason.CART_CHANGED
    )
    capped = replace(FINE, received_lately=3, cap_frees_at=NOON + timedelta(hours=3))
    assert eligibility.decide(capped, policy=Policy(), now=NOON) == Hold(NOON + timedelta(hours=3), Reason.CAP)


@pytest.mark.parametrize(
    ("moment", "awake"),
    [
        ("2026-10-25T00:30:00+00:00", "2026-10-25T07:00:00+00:00"),  # 2 h 30 happens twice in Paris
        ("2027-03-28T00:30:00+00:00", "2027-03-28T06:00:00+00:00"),  # 2 h 30 does not happen
        ("2026-11-21T10:00:00+00:00", "2026-11-21T10:00:00+00:00"),
    ],
)
def test_quiet_hours_end_at_the_hour_of_the_place_whatever_the_clocks_do(moment: str, awake: str) -> None:
    found = hours.awake_at(datetime.fromisoformat(moment), ZoneInfo("Europe/Paris"), start=time(22), end=time(8))
    assert found == datetime.fromisoformat(awake)


def test_an_unknown_time_zone_falls_back_to_the_shops() -> None:
    assert str(eligibility.zone("Nowhere/Land", "Europe/Paris")) == "Europe/Paris"
    assert str(eligibility.zone("../etc", None)) == "UTC"


def test_arms_are_stable_and_of_the_size_asked_for() -> None:
    arms = [experiments.assign("relaunch", customer, holdout_percent=10) for customer in range(20_000)]
    assert arms == [experiments.assign("relaunch", customer, holdout_percent=10) for customer in range(20_000)]
    assert 0.09 < arms.count("holdout") / 20_000 < 0.11


def test_a_message_never_goes_back_once_its_intent_is_committed_but_by_an_answer() -> None:
    assert State.PENDING not in states.MOVES[State.UNCONFIRMED] | states.MOVES[State.ACCEPTED]
    assert all(not states.MOVES[state] for state in states.NOT_SENT)
    assert set(states.MOVES) == set(State)


# -------------------------------------------------------------------------------------------------- links
def test_links_are_read_back_by_old_keys_too_and_by_no_others() -> None:
    message = UUID(int=7)
    old, both = (
        Links(["old key of this test"], "https://r.example"),
        Links(["new key", "old key of this test"], "https://r"),
    )
    token = old.click(message, 3).rsplit("/", 1)[1]
    assert both.read_click(token) == links.Click(message, 3)
    assert Links(["new key"], "https://r").read_click(token) is None
    assert both.read_unsubscribe(token) is None, "each purpose has its own salt"
    restored = both.read_restore(old.restore(5, code="X", message_id=message).rsplit("/", 1)[1])
    assert restored == links.Restore(5, "X", message)
    assert both.read_code(old.code_image("AB1").rsplit("/", 1)[1]) == "AB1"


def test_tokens_are_signed_as_the_standard_says() -> None:
    key = links._Key(b"k", b"derived" * 4)
    assert key.sign(b"text") == hmac.digest(b"derived" * 4, b"text", "sha256"), "RFC 2104"


def test_a_changed_token_is_nothing() -> None:
    signed = Links(["key of this test"], "https://r.example")
    token = signed.click(UUID(int=7), 3).rsplit("/", 1)[1]
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        found = signed.read_click(changed)
        assert found is None or found == signed.read_click(token), "the last letter holds bits that do not count"
    for odd in ("", ".", "a.b", "é", "x" * 5000):
        assert signed.read_click(odd) is None


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//evil.example/",
        "https://evil.example",
        "ftp://r.example/",
        "http://[",
        "/a\r\nb",
        None,
        "",
    ],
)
def test_only_our_own_hosts_and_those_listed_are_led_to(url: str | None) -> None:
    assert REACH.trusted(url) is None and REACH.leading(url) is None


def test_listed_hosts_and_what_is_beneath_them_are_led_to() -> None:
    for url in ("https://shop.example/a?b=1&c=2", "https://www.shop.example/", "https://r.example/x"):
        assert REACH.trusted(url) == url
    assert REACH.trusted("/basket") == "https://r.example/basket"


def test_our_own_names_the_maps_and_the_privacy_notice_are_led_to_whatever_is_listed() -> None:
    signed = Links(["key of this test"], "https://r.example", tracking_url="https://news.shop.example")
    reach = signed.reach(rules.Policy(link_hosts=("shop.example",), privacy_url="https://lawyer.example/notice"))
    elsewhere = signed.reach(rules.Policy(link_hosts=("other.example",)))
    for url in (signed.survey(UUID(int=7)), signed.restore(5, code=None, message_id=UUID(int=7))):
        assert reach.leading(url) == url and elsewhere.leading(url) == url
    assert elsewhere.leading("https://www.openstreetmap.org/?mlat=47") and reach.leading(
        "https://lawyer.example/notice"
    )
    assert elsewhere.leading("https://shop.example/") is None
    assert reach.trusted("https://www.openstreetmap.org/") is None, "a basket is not shown on a map"


def test_without_a_list_a_basket_is_shown_only_where_the_catalogue_has_its_products() -> None:
    reach = links.Reach("https://r.example", frozenset({"r.example"}))
    products = ["https://www.shop.example/p/1", None, "/p/2"]
    for url in ("https://shop.example/cart", "https://checkout.shop.example/", "https://www.shop.example/cart?x=1"):
        assert reach.beside(url, products) == url
    for hostile in (
        "https://evil.example/",
        "https://shop.example.evil.example/",
        "https://notshop.example/",
        "//evil",
    ):
        assert reach.beside(hostile, products) is None
    assert reach.beside("https://shop.example/cart", []) is None
    listed = links.Reach("https://r.example", frozenset({"r.example"}), ("other.example",))
    assert listed.beside("https://shop.example/cart", products) is None, "the list decides where there is one"


# --------------------------------------------------------------------------------------------------- codes
def test_codes_read_back_however_they_are_typed() -> None:
    code = codes.new("AUBIER")
    shown = codes.shown(code, "AUBIER")
    assert len({codes.new("AUBIER") for _ in range(1000)}) == 1000
    assert shown.startswith("AUBIER-") and codes.normalise(shown) == code
    assert codes.normalise(f" {shown.lower().replace('-', ' ')} ") == code
    assert codes.normalise("oil-01") == "01101"


def test_bars_start_and_stop_as_the_standard_says() -> None:
    drawn = barcode.bars("AUBIER").strip("0")
    assert drawn.startswith("11010010000") and drawn.endswith("1100011101011")
    assert len(drawn) == 11 * (6 + 2) + 13
    with pytest.raises(ValueError):
        barcode.bars("é")


def test_the_picture_of_a_code_is_a_sound_png() -> None:
    picture = barcode.png("AUB1ER", module=2, height=10)
    width = len(barcode.bars("AUB1ER")) * 2
    data = picture[picture.index(b"IDAT") + 4 : picture.index(b"IEND") - 8]
    rows = zlib.decompress(data)
    assert picture.startswith(b"\x89PNG") and len(rows) == 10 * (1 + -(-width // 8))
