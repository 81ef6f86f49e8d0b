"""What every ad platform promises, tried against a server that speaks its protocol; and what each wants hashed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from campaigns.audiences import normalising
from campaigns.audiences.platforms import csv, google, meta
from campaigns.audiences.platforms.base import Answer, Person, Platform, Sale
from foundation.google_token import Tokens
from tests.campaigns import ad_platforms
from tests.campaigns.ad_platforms import AUDIENCE, Canned, GooglePeer, MetaPeer, Peer, google_error, meta_error

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
SALE = Sale("o-1", NOW, "store", 189.0, "EUR", Person(b"\1" * 32, None), ("cocotte",), personal=False)


def people(number: int) -> list[Person]:
    """So many, each with an address and a number."""
    return [Person(n.to_bytes(32, "big"), (n + 2**40).to_bytes(32, "big")) for n in range(1, number + 1)]


Pair = tuple[Platform, Peer]
READ_SECONDS = 0.5
PATIENT_SECONDS = 20.0


def platform_of(peer: Peer, address: str) -> Platform:
    """The platform as the settings would connect it, without patience."""
    made: Platform
    if isinstance(peer, MetaPeer):
        made = meta.Meta(peer.token, host=address, dataset=ad_platforms.DATASET)
    else:
        held = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "refresh"}
        account = google.Account(ad_platforms.ACCOUNT, conversion=ad_platforms.CONVERSION)
        made = google.Google(Tokens(held | {"token_uri": f"{address}/token"}, google.SCOPE), account, host=address)
    made._http.timeout = READ_SECONDS  # type: ignore[attr-defined]
    return made


@contextmanager
def paired(peer: Peer) -> Iterator[Platform]:
    with ad_platforms.serve(peer) as address:
        platform = platform_of(peer, address)
        yield platform
        platform.close()


@pytest.fixture(params=[MetaPeer, GooglePeer], ids=["meta", "google"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    peer = request.param()
    with paired(peer) as platform:
        yield platform, peer


def test_people_are_taken_in_and_out_and_a_second_time_changes_nothing(pair: Pair) -> None:
    platform, peer = pair
    some = people(3)
    for _ in range(2):
        assert platform.add(AUDIENCE, some).answer is Answer.TAKEN
    assert peer.held[AUDIENCE] == {one.hex() for person in some for one in person if one}
    for _ in range(2):
        assert platform.remove(AUDIENCE, some[:2]).answer is Answer.TAKEN
    assert peer.held[AUDIENCE] == {one.hex() for one in some[2] if one}


def test_a_whole_batch_fits_a_call(pair: Pair) -> None:
    platform, peer = pair
    platform._http.timeout = PATIENT_SECONDS  # type: ignore[attr-defined]
    assert platform.add(AUDIENCE, people(platform.batch)).answer is Answer.TAKEN
    assert len(peer.held[AUDIENCE]) == 2 * platform.batch


def test_somebody_of_whom_only_one_handle_is_known_is_taken_in_by_it(pair: Pair) -> None:
    platform, peer = pair
    assert platform.add(AUDIENCE, [Person(b"\1" * 32, None), Person(None, b"\2" * 32)]).answer is Answer.TAKEN
    assert peer.held[AUDIENCE] == {"01" * 32, "02" * 32}


def test_an_order_is_told_once_however_often_it_is_sent(pair: Pair) -> None:
    platform, peer = pair
    for _ in range(2):
        assert platform.tell([SALE], now=NOW).answer is Answer.TAKEN
    (told,) = peer.orders.values()
    assert "o-1" in (told.get("event_id"), told.get("transactionId"))


def test_a_token_that_is_refused_is_said_to_be(pair: Pair) -> None:
    platform, peer = pair
    peer.token = "another"
    if isinstance(peer, GooglePeer):
        peer.refresh_token = "another"
    reply = platform.add(AUDIENCE, people(1))
    assert reply.answer is Answer.KEY and ("190" in reply.detail or "invalid_grant" in reply.detail)


def test_an_audience_that_does_not_exist_is_its_own_fault(pair: Pair) -> None:
    platform, _ = pair
    assert platform.add("404", people(1)).answer is Answer.AUDIENCE


def test_rows_that_are_no_hashes_are_refused_as_rows(pair: Pair) -> None:
    platform, _ = pair
    assert platform.add(AUDIENCE, [Person(b"short", None)]).answer is Answer.ROWS


BUSY: dict[str, Canned] = {
    "meta": meta_error(80003, "There have been too many calls", **{"Retry-After": "70"}),
    "google": google_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", **{"Retry-After": "70"}),
}
USAGE = '{"1": [{"type": "custom_audience", "call_count": 100, "estimated_time_to_regain_access": 5}]}'


def test_too_many_calls_are_a_wish_for_silence(pair: Pair) -> None:
    platform, peer = pair
    peer.canned.append(BUSY[peer.name])
    reply = platform.add(AUDIENCE, people(1))
    assert (reply.answer, reply.retry_after) == (Answer.BUSY, 70)


ODD: list[Callable[[], Canned]] = [
    lambda: Canned(200, b"<!doctype html><title>Sign in</title>"),
    lambda: Canned(502, b"<html>Bad gateway</html>"),
    lambda: Canned(200, [1, 2]),
    lambda: Canned(200, {"unexpected": True}),
    lambda: Canned(500, {"error": {"message": "An unknown error", "code": 1, "status": "INTERNAL"}}),
    lambda: Canned(200, {}, seconds=READ_SECONDS * 3),
]


@pytest.mark.parametrize("odd", ODD, ids=["html", "502", "a list", "another object", "500", "hanging"])
def test_no_answer_or_a_senseless_one_is_down(pair: Pair, odd: Callable[[], Canned]) -> None:
    platform, peer = pair
    peer.canned.append(odd())
    assert platform.add(AUDIENCE, people(1)).answer is Answer.DOWN


def test_nobody_there_is_down() -> None:
    platform = meta.Meta("t", host="http://127.0.0.1:9")
    assert platform.add(AUDIENCE, people(1)).answer is Answer.DOWN
    platform.close()


def test_meta_says_in_minutes_when_it_may_be_called_again() -> None:
    peer = MetaPeer()
    peer.canned.append(meta_error(17, "User request limit reached", **{"X-Business-Use-Case-Usage": USAGE}))
    with paired(peer) as platform:
        reply = platform.add(AUDIENCE, people(1))
    assert (reply.answer, reply.retry_after) == (Answer.BUSY, 300)


def test_google_s_token_is_kept_and_asked_for_anew_once_it_is_refused() -> None:
    peer = GooglePeer()
    with paired(peer) as platform:
        assert [platform.add(AUDIENCE, people(1)).answer for _ in range(2)] == [Answer.TAKEN] * 2
        assert peer.tokens == 1
        peer.token = "the next one"
        answers = [platform.add(AUDIENCE, people(1)).answer for _ in range(2)]
    assert answers == [Answer.KEY, Answer.TAKEN] and peer.tokens == 2


def test_a_file_takes_everybody_and_holds_nothing_a_spreadsheet_would_run() -> None:
    assert csv.Csv().add("", people(2)).answer is Answer.TAKEN
    text = csv.HEADER + csv.lines([*people(1), Person(None, b"\xff" * 32)])
    assert text.decode().split("\r\n")[2] == "," + "ff" * 32
    assert not any(line.startswith(tuple("=+-@\t")) for line in text.decode().split("\r\n"))


# ------------------------------------------------------------------------------------------------ golden vectors
META = [
    ("email", " John_Smith@gmail.com ", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
    ("phone", "+1 (650)555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
]
"""From the Conversions API's page on customer information parameters."""
GOOGLE = [
    ("email", "dana@example.com", "07e2f1394b0ea80e2adca010ea8318df697001a005ba7452720edda4b0ce57b3"),
    ("email", "DanaM@example.com", "1df6b43bc68dd38eca94e6a65b4f466ae537b796c81a526918b40ac4a7b906c7"),
    ("email", "ALEXJ@example.com", "2ef46c4214c3fc1b277a2d976d55194e12b899aa50d721f28da858c7689756e3"),
    ("email", "baklavainthebalkans@gmail.com  ", "f1fcde379f31f4d446b76ee8f34860eca2288adc6b6d6c0fdc56d9eee75a2fa5"),
    ("email", "cloudy.SanFrancisco@GMAIL.com", "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4"),
]
"""From the Data Manager API's guide on sending audience members."""
WRITTEN = [
    (normalising.google_email, "cloudy.sanfrancisco+shopping@gmail.com", "cloudysanfrancisco@gmail.com"),
    (normalising.google_email, "a.b+c@googlemail.com", "ab@googlemail.com"),
    (normalising.google_email, "user.name+NYC@Example.com", "user.name+nyc@example.com"),
    (normalising.google_email, "Zoë.É@exämple.com", "zoë.é@exämple.com"),
    (normalising.plain_email, "a.b+c@gmail.com", "a.b+c@gmail.com"),
    (normalising.e164, "+1 (800) 555-0100", "+18005550100"),
    (normalising.e164, "+33 6 12 34 56 78", "+33612345678"),
    (normalising.e164, "0033612345678", "+33612345678"),
    (normalising.digits, "+33 6 12 34 56 78", "33612345678"),
    (normalising.digits, "0033612345678", "33612345678"),
]


@pytest.mark.parametrize(("kind", "value", "hashed"), META)
def test_meta_s_own_examples_come_out_as_it_says(kind: str, value: str, hashed: str) -> None:
    found = normalising.digest(getattr(normalising.META, kind), value)
    assert found is not None and found.hex() == hashed


@pytest.mark.parametrize(("kind", "value", "hashed"), GOOGLE)
def test_google_s_own_examples_come_out_as_it_says(kind: str, value: str, hashed: str) -> None:
    found = normalising.digest(getattr(normalising.GOOGLE, kind), value)
    assert found is not None and found.hex() == hashed


@pytest.mark.parametrize(("form", "given", "written"), WRITTEN)
def test_what_each_platform_wants_is_written_its_way(form: normalising.Form, given: str, written: str) -> None:
    assert form(given) == written


@pytest.mark.parametrize("nothing", [None, "", "  ", "+", "@gmail.com", ".@gmail.com"])
def test_of_nothing_nothing_is_hashed(nothing: str | None) -> None:
    assert normalising.digest(normalising.google_email if "@" in (nothing or "") else normalising.e164, nothing) is None
