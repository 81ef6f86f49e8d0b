"""Audiences: whoever should be in is in, whoever should not be is out, and nothing is lost when it is cut short."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

from campaigns import files, membership, segments
from campaigns.audiences import asking, gates, kept, normalising, syncing, tables
from campaigns.audiences.platforms import meta
from campaigns.audiences.platforms.base import Person, Reply
from foundation.database import Database
from foundation.errors import Conflict, Invalid
from shop import consent, customers, imports, privacy
from tests.campaigns import ad_platforms, journey, world
from tests.campaigns.ad_platforms import AUDIENCE, Peers, google_error, meta_error

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
PURPOSES = ("marketing", "personalization")


@pytest.fixture
def peers() -> Iterator[Peers]:
    with ad_platforms.both() as connected:
        yield connected


def person(db: Database, user: str, *, at: datetime, agreed: tuple[str, ...] = PURPOSES, **traits: object) -> int:
    """Somebody of the gold tier, who agreed to ads unless told otherwise."""
    with db.begin() as conn:
        customer = world.make_customer(conn, user, at=at, **{"tier": "gold"} | traits)
        for purpose in agreed:
            say(conn, customer, "granted", purpose=purpose, at=at)
    return customer


def say(conn: sa.Connection, customer: int, state: str, *, purpose: str, at: datetime) -> None:
    said = {"channel": "ads", "purpose": purpose, "state": state, "source": "site"}
    consent.record(conn, customer_id=customer, at=at, now=at, **said)


def gold(db: Database, *, now: datetime, platform: str = "meta", **more: object) -> None:
    """An audience of the gold tier, live."""
    definition = {"name": f"gold-{platform}", "title": "Gold", "platform": platform, "segment": "gold"}
    where = {} if platform == "csv" else {"external_id": AUDIENCE}
    with db.begin() as conn:
        if segments.find(conn, "gold") is None:
            world.segments_of(conn, now=now)
        kept.apply(conn, kept.parse(definition | where | more), now=now)


def run(db: Database, peers: Peers, now: datetime) -> str | None:
    """Segments, then audiences, as the timetable would."""
    membership.refresh(db, now=now)
    return syncing.sync_due(db, peers[0], now=now)


def hashed(address: str, rules: normalising.Rules = normalising.META) -> str:
    found = normalising.digest(rules.email, address)
    assert found
    return found.hex()


def audience(db: Database, name: str = "gold-meta") -> kept.Audience:
    with db.begin() as conn:
        return kept.get(conn, name)


@pytest.mark.parametrize("platform", ["meta", "google"])
def test_a_segment_is_held_by_hashes_of_the_platform_s_own_making(
    db: Database, now: datetime, peers: Peers, platform: str
) -> None:
    person(db, "ada", at=now, email="A.da+x@gmail.com", phone="+33612345678")
    gold(db, now=now, platform=platform)
    assert run(db, peers, now) == f"gold-{platform} +1 -0"
    rules = peers[0][platform].rules
    held = peers[1 if platform == "meta" else 2].held[AUDIENCE]
    number = normalising.digest(rules.phone, "+33612345678")
    assert number and held == {hashed("a.da+x@gmail.com", rules), number.hex()}
    assert audience(db, f"gold-{platform}").size == 1


NUMBER = {
    "google": "42d573cfc315801d4cd8eddd5416b416a0bf298b9b9e12d6b07442c91db42bd8",
    "meta": "8a3e7886c9335e82e02299fa3e87b46e2de3b0c63d56003e30a5029394a47661",
}
"""SHA-256 of `+33612345678` and of `33612345678`, by `sha256sum`."""


@pytest.mark.parametrize("platform", NUMBER)
@pytest.mark.parametrize("written", ["06 12 34 56 78", "06.12.34.56.78", "0033612345678", "+33 (0)6 12 34 56 78"])
def test_a_french_number_of_a_file_reaches_each_platform_as_its_hash(
    db: Database, now: datetime, peers: Peers, tmp_path: Path, platform: str, written: str
) -> None:
    """Numbers are brought to E.164 when they come in, by the country of the customer's locale."""
    file = tmp_path / "customers.csv"
    file.write_text(f'user_id,phone,locale,traits\nada,{written},fr-FR,"{{""tier"": ""gold""}}"\n')
    report = imports.run(db, "customers", path=file, now=now, progress=lambda *_: None)
    assert (report.accepted, report.refused) == (1, 0)
    with db.begin() as conn:
        ada = customers.find(conn, user_id="ada")
        assert ada is not None
        for purpose in PURPOSES:
            say(conn, ada, "granted", purpose=purpose, at=now)
    gold(db, now=now, platform=platform)
    assert run(db, peers, now) == f"gold-{platform} +1 -0"
    assert peers[1 if platform == "meta" else 2].held[AUDIENCE] == {NUMBER[platform]}


def test_only_what_changed_is_sent(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now)
    gold(db, now=now)
    run(db, peers, now)
    calls = len(peers[1].calls)
    assert run(db, peers, now + syncing.EVERY) is None and len(peers[1].calls) == calls
    person(db, "bea", at=now + HOUR)
    assert run(db, peers, now + HOUR) == "gold-meta +1 -0"
    assert [len(body["payload"]["data"]) for _, _, body in peers[1].calls[calls:]] == [1]


ASKED = [(), ("marketing",), ("personalization",)]


@pytest.mark.parametrize("agreed", ASKED, ids=["nothing", "marketing alone", "personalization alone"])
def test_nobody_is_in_without_both_consents(db: Database, now: datetime, peers: Peers, agreed: tuple[str, ...]) -> None:
    person(db, "ada", at=now, agreed=agreed)
    gold(db, now=now)
    assert run(db, peers, now) is None and not peers[1].held[AUDIENCE]


def test_a_yes_to_everything_counts_and_a_no_anywhere_outweighs_it(db: Database, now: datetime, peers: Peers) -> None:
    ada = person(db, "ada", at=now, agreed=("any",))
    gold(db, now=now)
    assert run(db, peers, now) == "gold-meta +1 -0"
    with db.begin() as conn:
        say(conn, ada, "denied", purpose="marketing", at=now + MINUTE)
    assert run(db, peers, now + HOUR) == "gold-meta +0 -1" and not peers[1].held[AUDIENCE]


@pytest.mark.parametrize(("year", "inside"), [(2007, True), (2008, False), (2015, False), (None, True)])
def test_nobody_known_to_be_under_eighteen_is_in(
    db: Database, now: datetime, peers: Peers, year: int | None, inside: bool
) -> None:
    person(db, "ada", at=now, **({"birth_year": year} if year else {}))
    gold(db, now=now)
    run(db, peers, now)
    assert bool(peers[1].held[AUDIENCE]) is inside


@pytest.mark.parametrize("channel", ["store", "web", "marketplace", "call_center"])
def test_whoever_buys_anywhere_is_out_at_the_next_sync_and_counted(
    db: Database, now: datetime, peers: Peers, channel: str
) -> None:
    person(db, "ada", at=now)
    person(db, "bea", at=now)
    gold(db, now=now)
    run(db, peers, now)
    with db.begin() as conn:
        world.order(conn, "ada", at=now + MINUTE, order_id="o1", channel=channel)
    assert run(db, peers, now + syncing.EVERY) == "gold-meta +0 -1"
    assert peers[1].held[AUDIENCE] == {hashed("bea@example.org")}
    assert (audience(db).size, audience(db).avoided) == (1, 1)


def test_an_order_that_is_cancelled_brings_her_back(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now)
    gold(db, now=now)
    run(db, peers, now)
    with db.begin() as conn:
        world.order(conn, "ada", at=now + MINUTE, order_id="o1")
    run(db, peers, now + HOUR)
    with db.begin() as conn:
        world.say(conn, "ada", "Order Cancelled", at=now + HOUR, order_id="o1")
    assert run(db, peers, now + 2 * HOUR) == "gold-meta +1 -0"


def test_customers_who_bought_may_be_kept_where_the_merchant_says_so(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now)
    gold(db, now=now, until_purchase=False)
    run(db, peers, now)
    with db.begin() as conn:
        world.order(conn, "ada", at=now + MINUTE, order_id="o1")
    assert run(db, peers, now + HOUR) is None and peers[1].held[AUDIENCE]


def test_a_new_address_takes_the_place_of_the_old(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now)
    gold(db, now=now)
    run(db, peers, now)
    with db.begin() as conn:
        world.say(conn, "ada", "", at=now + MINUTE, traits={"email": "new@example.org"})
    assert run(db, peers, now + HOUR) == "gold-meta +1 -1"
    assert peers[1].held[AUDIENCE] == {hashed("new@example.org")}


def test_what_somebody_who_stays_shares_with_somebody_who_goes_stays(db: Database, now: datetime, peers: Peers) -> None:
    """A household with one number: the platform would forget both."""
    ada = person(db, "ada", at=now)
    person(db, "bea", at=now)
    with db.begin() as conn:
        conn.execute(sa.text("UPDATE customers SET phone = '+33612345678'"))
    gold(db, now=now)
    run(db, peers, now)
    with db.begin() as conn:
        say(conn, ada, "denied", purpose="any", at=now + MINUTE)
    run(db, peers, now + HOUR)
    number = normalising.digest(normalising.META.phone, "+33612345678")
    assert number and peers[1].held[AUDIENCE] == {hashed("bea@example.org"), number.hex()}


def test_whoever_is_erased_is_taken_out_there_and_leaves_no_trace_here(
    db: Database, now: datetime, peers: Peers
) -> None:
    ada = person(db, "ada", at=now)
    gold(db, now=now)
    run(db, peers, now)
    with db.begin() as conn:
        assert "audience_members" in privacy.export(conn, ada)
        privacy.erase(conn, ada, now=now)
    assert run(db, peers, now + HOUR) == "gold-meta +0 -1"
    with db.begin() as conn:
        assert not peers[1].held[AUDIENCE]
        assert conn.scalar(sa.select(sa.func.count()).select_from(tables.audience_members)) == 0


# ------------------------------------------------------------------------------------------------- journeys
def test_what_a_journey_asks_goes_through_the_same_table(db: Database, now: datetime, peers: Peers) -> None:
    ada, bea = person(db, "ada", at=now, tier="none"), person(db, "bea", at=now)
    gold(db, now=now)
    run(db, peers, now)
    with db.begin() as conn:
        asking.ask(conn, {("gold-meta", True): [ada], ("gold-meta", False): [bea]}, now=now)
    assert run(db, peers, now + HOUR) == "gold-meta +1 -1"
    assert peers[1].held[AUDIENCE] == {hashed("ada@example.org")}
    with db.begin() as conn:
        asking.ask(conn, {("gold-meta", False): [ada]}, now=now + HOUR)
    run(db, peers, now + 2 * HOUR)
    assert not peers[1].held[AUDIENCE]


def test_whom_a_journey_asked_in_goes_when_she_buys(db: Database, now: datetime, peers: Peers) -> None:
    ada = person(db, "ada", at=now, tier="none")
    gold(db, now=now, segment=None)
    with db.begin() as conn:
        asking.ask(conn, {("gold-meta", True): [ada]}, now=now)
    assert run(db, peers, now) == "gold-meta +1 -0"
    with db.begin() as conn:
        world.order(conn, "ada", at=now + MINUTE, order_id="o1", channel="store")
    assert run(db, peers, now + HOUR) == "gold-meta +0 -1"
    with db.begin() as conn:
        asking.ask(conn, {("gold-meta", True): [ada]}, now=now + 2 * HOUR)
    assert run(db, peers, now + 2 * HOUR) == "gold-meta +1 -0"


def test_the_steps_of_a_journey_take_in_and_out(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now, tier="none")
    gold(db, now=now, segment=None, until_purchase=False)
    steps = [
        {"type": "send", "id": "in", "channel": "audience_in", "audience": "gold-meta"},
        journey.wait("later", "1d"),
        {"type": "send", "id": "out", "channel": "audience_out", "audience": "gold-meta"},
    ]
    journey.launch(db, {"type": "event", "event": "Product Viewed", "key": "product"}, steps, now=now)
    with db.begin() as conn:
        world.say(conn, "ada", "Product Viewed", at=now, product_id="cocotte")
    journey.tick(db, now)
    assert run(db, peers, now) == "gold-meta +1 -0" and journey.queued(db) == []
    journey.tick(db, now + 25 * HOUR)
    assert run(db, peers, now + 25 * HOUR) == "gold-meta +0 -1"
    with db.begin() as conn, pytest.raises(Conflict, match="journey"):
        kept.end(conn, "gold-meta", now=now)


def test_a_journey_cannot_name_an_audience_there_is_not(db: Database, now: datetime) -> None:
    step = {"type": "send", "id": "in", "channel": "audience_in", "audience": "nobody"}
    with pytest.raises(Invalid) as refused:
        journey.launch(db, {"type": "event", "event": "Product Viewed"}, [step], now=now)
    assert [fault.pointer for fault in refused.value.faults] == ["/steps/0/audience"]


def test_a_file_brings_its_audiences_with_it_and_a_second_time_nothing(db: Database, now: datetime) -> None:
    rule = {"type": "trait", "name": "tier", "value": "gold"}
    audience = {"name": "best", "title": "Best", "platform": "csv", "segment": "gold"}
    text = orjson.dumps({"segments": [{"name": "gold", "title": "Gold", "rule": rule}], "audiences": [audience]})
    with db.begin() as conn:
        assert files.apply(conn, files.read(text), now=now) == ["segment gold changed", "audience best changed"]
        assert files.apply(conn, files.read(text), now=now) == []
        wrong = orjson.dumps({"audiences": [audience | {"platform": "meta"}]})
        with pytest.raises(Invalid) as refused:
            files.apply(conn, files.read(wrong), now=now)
    assert [fault.pointer for fault in refused.value.faults] == ["/audiences/0/external_id"]


# ----------------------------------------------------------------------------------------------- what fails
@pytest.mark.parametrize(
    ("platform", "name", "words"),
    [("meta", "token", "Invalid OAuth access token"), ("google", "refresh_token", "invalid_grant")],
)
def test_a_refused_key_pauses_the_platform_and_loses_nobody(
    db: Database, now: datetime, peers: Peers, platform: str, name: str, words: str
) -> None:
    peer = peers[1] if platform == "meta" else peers[2]
    good = getattr(peer, name)
    setattr(peer, name, "another")
    for user in ("ada", "bea"):
        person(db, user, at=now)
    gold(db, now=now, platform=platform)
    run(db, peers, now)
    with db.begin() as conn:
        gate = gates.every(conn)[platform]
    assert gate.reason == "key" and words in gate.detail
    calls = len(peer.calls)
    run(db, peers, now + 2 * MINUTE)
    assert len(peer.calls) == calls, "nothing is tried while it is paused"
    setattr(peer, name, good)
    assert run(db, peers, now + HOUR) == f"gold-{platform} +2 -0" and len(peer.held[AUDIENCE]) == 2
    with db.begin() as conn:
        assert not gates.every(conn)
        stopped = [done.stopped for done in kept.history(conn, audience(db, f"gold-{platform}").id)]
    assert stopped[0] is None and stopped[1] and stopped[1].startswith("key: ")


def test_one_platform_that_fails_holds_up_no_other(db: Database, now: datetime, peers: Peers) -> None:
    peers[1].canned = [meta_error(1, "An unknown error", status=500)]
    person(db, "ada", at=now)
    gold(db, now=now)
    gold(db, now=now, platform="google")
    gold(db, now=now, platform="csv")
    run(db, peers, now)
    assert not peers[1].held[AUDIENCE] and peers[2].held[AUDIENCE] and audience(db, "gold-csv").size == 1


def test_an_audience_the_platform_refuses_says_why_and_stops_nothing_else(
    db: Database, now: datetime, peers: Peers
) -> None:
    person(db, "ada", at=now)
    gold(db, now=now, platform="google")
    peers[2].canned = [google_error(400, "INVALID_ARGUMENT", "No.", "TERMS_AND_CONDITIONS_NOT_SIGNED")]
    run(db, peers, now)
    assert "TERMS_AND_CONDITIONS_NOT_SIGNED" in (audience(db, "gold-google").fault or "")
    with db.begin() as conn:
        assert not gates.every(conn)
    run(db, peers, now + HOUR)
    assert audience(db, "gold-google").fault is None and peers[2].held[AUDIENCE]


def test_one_row_the_platform_refuses_keeps_nobody_else_out(db: Database, now: datetime, peers: Peers) -> None:
    for user in ("ada", "bea", "cleo", "dora", "eva"):
        person(db, user, at=now)
    peers[1].refused_hashes = {hashed("cleo@example.org")}
    gold(db, now=now)
    run(db, peers, now)
    assert len(peers[1].held[AUDIENCE]) == 4
    with db.begin() as conn:
        assert kept.history(conn, audience(db).id)[0].refused == 1
    assert run(db, peers, now + HOUR) is None, "it is not tried again until something about her changes"


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize("before", [True, False], ids=["before the call", "after the call"])
def test_a_sync_that_is_cut_short_loses_nobody(db: Database, now: datetime, peers: Peers, before: bool) -> None:
    """Neither on the way in nor, when she may no longer be there, on the way out."""

    class Dying(meta.Meta):
        def add(self, audience: str, people: object) -> object:  # type: ignore[override]
            if not before:
                super().add(audience, people)  # type: ignore[arg-type]
            raise Killed

    ada = person(db, "ada", at=now)
    person(db, "bea", at=now)
    gold(db, now=now)
    host = str(peers[0]["meta"]._http.base_url)  # type: ignore[attr-defined]
    membership.refresh(db, now=now)
    dying = Dying(ad_platforms.TOKEN, host=host)
    with pytest.raises(Killed):
        syncing.sync_due(db, {"meta": dying}, now=now)
    dying.close()
    with db.begin() as conn:
        privacy.erase(conn, ada, now=now)
    run(db, peers, now + HOUR)
    assert peers[1].held[AUDIENCE] == {hashed("bea@example.org")}
    assert audience(db).size == 1


def test_nobody_is_handed_over_who_was_not_written_down_first(db: Database, now: datetime, peers: Peers) -> None:
    """In batches of two, several on their way at once: each is on disk while it is, and only the members remain."""
    for number in range(7):
        person(db, f"user{number}", at=now)
    gold(db, now=now)
    membership.refresh(db, now=now)
    seen: list[set[bytes]] = []

    class Watching(meta.Meta):
        batch = 2

        def add(self, audience: str, people: Sequence[Person]) -> Reply:
            with db.begin() as conn:
                noted = conn.scalars(sa.text("SELECT unnest(email_hashes) FROM audience_handovers"))
                seen.append({one.email_hash for one in people if one.email_hash} - set(map(bytes, noted)))
            return super().add(audience, people)

    watching = Watching(ad_platforms.TOKEN, host=str(peers[0]["meta"]._http.base_url))  # type: ignore[attr-defined]
    assert syncing.sync(db, {"meta": watching}, audience(db), now=now).added == 7
    watching.close()
    assert seen == [set()] * 4 and len(peers[1].held[AUDIENCE]) == 7
    with db.begin() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM audience_handovers")) == 0


def test_two_at_once_do_not_get_in_each_other_s_way(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now)
    gold(db, now=now)
    membership.refresh(db, now=now)
    with db.engine.connect() as other:
        other.execute(sa.text("SELECT pg_advisory_lock(:room, :id)"), {"room": syncing.LOCK, "id": audience(db).id})
        assert not syncing.sync(db, peers[0], audience(db), now=now) and not peers[1].calls
        other.execute(sa.text("SELECT pg_advisory_unlock_all()"))
    assert syncing.sync(db, peers[0], audience(db), now=now).added == 1


# ------------------------------------------------------------------------------------------------ definitions
def test_ending_an_audience_takes_everybody_out_first(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now)
    gold(db, now=now)
    run(db, peers, now)
    with db.begin() as conn:
        kept.end(conn, "gold-meta", now=now)
    peers[1].canned = [meta_error(2, "Service temporarily unavailable", status=503)]
    run(db, peers, now + MINUTE)
    assert audience(db).state == "ending", "not before the platform has confirmed it"
    run(db, peers, now + HOUR)
    with db.begin() as conn:
        assert kept.find(conn, "gold-meta") is None and not peers[1].held[AUDIENCE]


def test_what_cannot_be_is_refused_by_its_place(db: Database, now: datetime) -> None:
    good = {"name": "x", "title": "X", "platform": "meta", "external_id": "1"}
    wrong = [
        (good | {"platform": "tiktok"}, "/platform"),
        (good | {"external_id": None}, "/external_id"),
        (good | {"external_id": "../1"}, "/external_id"),
        (good | {"platform": "csv"}, "/external_id"),
        (good | {"name": "A b"}, "/name"),
    ]
    for value, place in wrong:
        with pytest.raises(Invalid) as refused:
            kept.parse(value)
        assert [fault.pointer for fault in refused.value.faults] == [place]
    with db.begin() as conn, pytest.raises(Invalid, match="segment"):
        kept.apply(conn, kept.parse(good | {"segment": "nobody"}), now=now)


def test_an_audience_does_not_move_and_the_same_again_changes_nothing(db: Database, now: datetime) -> None:
    gold(db, now=now)
    with db.begin() as conn:
        same = kept.parse(
            {"name": "gold-meta", "title": "Gold", "platform": "meta", "external_id": AUDIENCE, "segment": "gold"}
        )
        assert not kept.apply(conn, same, now=now)
        with pytest.raises(Conflict):
            kept.apply(conn, same.model_copy(update={"external_id": "2"}), now=now)
