"""What happens next to one customer, for every kind of step; no database anywhere."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from campaigns import experiments, journeys
from campaigns.definitions import campaign as definitions
from campaigns.definitions import flow
from campaigns.journeys import Facts, Place, Turn
from tests.campaigns import world

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR, WINDOW = timedelta(hours=1), timedelta(days=5)
MAIL: dict[str, Any] = world.relaunch()["steps"][0]
VIP = {"type": "trait", "name": "vip", "value": True}
WAIT = {"type": "wait", "id": "wait", "duration": "20h"}


def walk(
    *steps: Mapping[str, Any],
    at: datetime = NOON,
    place: Place | None = None,
    window: timedelta | None = WINDOW,
    **facts: Any,
) -> Turn:
    """One turn through these steps, from the first one unless a place is given."""
    laid = flow.lay(definitions.parse({**world.relaunch(), "steps": list(steps)}).steps)
    start = place or Place(laid.first, NOON, NOON, facts.pop("arm", experiments.TREATED), "salt", 7)
    return journeys.advance(laid, start, Facts(**facts), window=window, now=at)


def test_a_message_is_sent_and_the_next_step_reached_in_one_turn() -> None:
    turn = walk(MAIL, WAIT)
    assert turn.acts == ("cart_1",) and turn.place.step == "wait" and turn.wake_at == NOON + 20 * HOUR
    later = walk(MAIL, WAIT, {**MAIL, "id": "second"}, place=turn.place, at=NOON + 21 * HOUR)
    assert later.acts == ("second",) and later.place.step == flow.END and later.wake_at == NOON + WINDOW


def test_a_turn_too_early_changes_nothing() -> None:
    first = walk(WAIT)
    assert walk(WAIT, place=first.place, at=NOON + 5 * HOUR) == first


def test_the_holdout_walks_the_same_road_in_silence() -> None:
    treated, held = walk(MAIL, WAIT), walk(MAIL, WAIT, arm=experiments.HOLDOUT)
    assert held.acts == () and (held.place.step, held.wake_at) == (treated.place.step, treated.wake_at)


def test_the_goal_ends_it_whatever_comes_next() -> None:
    assert walk(MAIL, reached=True).leave == "converted"
    done = walk(MAIL)
    assert walk(MAIL, place=done.place, reached=True, at=NOON + HOUR).leave == "converted"
    assert walk(MAIL, place=done.place, at=NOON + WINDOW).leave == "ended"
    assert walk(MAIL, window=None).leave == "ended", "without a goal nobody is watched"


def test_an_exit_event_or_an_emptied_cart_ends_it_while_steps_are_left() -> None:
    assert walk(MAIL, stopped=True).leave == "exited"
    assert walk(MAIL, cart_open=False).leave == "emptied"
    done = walk(MAIL)
    assert walk(MAIL, place=done.place, stopped=True, cart_open=False, at=NOON + HOUR).leave is None


def test_waiting_for_an_event_goes_on_when_it_comes_or_when_the_time_is_over() -> None:
    steps = {
        "type": "wait_for", "id": "click", "event": "Message Clicked", "timeout": "2d",
        "then": [{**MAIL, "id": "thanks"}], "otherwise": [{**MAIL, "id": "again"}],
    }  # fmt: skip
    waiting = walk(steps)
    assert waiting.wake_at == NOON + 48 * HOUR and waiting.acts == ()
    assert walk(steps, place=waiting.place, heard=True, at=NOON + HOUR).acts == ("thanks",)
    assert walk(steps, place=waiting.place, at=NOON + 48 * HOUR).acts == ("again",)


def test_a_split_asks_and_then_follows_the_answer() -> None:
    split = {
        "type": "split", "id": "vip",
        "branches": [{"name": "yes", "when": VIP, "steps": [{**MAIL, "id": "gold"}]}],
        "otherwise": [{**MAIL, "id": "plain"}],
    }  # fmt: skip
    asked = walk(MAIL, split)
    assert asked.asks == "vip" and asked.acts == ("cart_1",)
    assert walk(MAIL, split, place=asked.place, ways={"vip": 0}).acts == ("gold",)
    assert walk(MAIL, split, place=asked.place, ways={"vip": 1}).acts == ("plain",)


def test_an_experiment_draws_the_same_way_for_ever() -> None:
    experiment = {
        "type": "experiment", "id": "tone",
        "variants": [
            {"name": "warm", "weight": 3, "steps": [{**MAIL, "id": "w"}]},
            {"name": "dry", "steps": [{**MAIL, "id": "d"}]},
        ],
    }  # fmt: skip
    first = walk(experiment)
    assert first.place.choices in ({"tone": "warm"}, {"tone": "dry"}) and walk(experiment) == first
    kept = Place("tone", NOON, NOON, "treated", "salt", 7, {"tone": "dry"})
    assert walk(experiment, place=kept).acts == ("d",)
    drawn = [experiments.draw("s:tone", one, weights={"warm": 3, "dry": 1}) for one in range(20_000)]
    assert 0.74 < drawn.count("warm") / 20_000 < 0.76


def test_an_exit_step_ends_it() -> None:
    turn = walk(MAIL, {"type": "exit", "id": "out"})
    assert turn.leave == "exited" and turn.acts == ("cart_1",)


PARIS, NEW_YORK = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("since", "zone", "at", "weekdays", "found"),
    [
        ("2026-11-21T12:00+00:00", PARIS, "09:00", (), "2026-11-22T08:00+00:00"),
        ("2026-11-21T07:59+00:00", PARIS, "09:00", (), "2026-11-21T08:00+00:00"),
        ("2026-11-21T12:00+00:00", NEW_YORK, "09:00", (), "2026-11-21T14:00+00:00"),
        ("2026-11-21T12:00+00:00", PARIS, "09:00", ("tue", "thu"), "2026-11-24T08:00+00:00"),
        ("2026-11-24T08:00+00:00", PARIS, "09:00", ("tue",), "2026-11-24T08:00+00:00"),
        ("2026-11-24T08:01+00:00", PARIS, "09:00", ("tue",), "2026-12-01T08:00+00:00"),
        ("2027-03-27T23:30+00:00", PARIS, "02:30", (), "2027-03-28T01:30+00:00"),  # 2 h 30 does not happen
        ("2026-10-24T23:00+00:00", PARIS, "02:30", (), "2026-10-25T00:30+00:00"),  # it happens twice
    ],
)
def test_an_hour_is_found_where_she_lives_whatever_the_clocks_do(
    since: str, zone: ZoneInfo, at: str, weekdays: tuple[str, ...], found: str
) -> None:
    moment = journeys.next_moment(datetime.fromisoformat(since), zone, at=time.fromisoformat(at), weekdays=weekdays)
    assert moment == datetime.fromisoformat(found)


def test_waiting_for_an_hour_uses_her_clock_or_the_shops() -> None:
    own = {"type": "wait_until", "id": "hour", "at": "09:00"}
    known = {"zone": NEW_YORK, "shop_zone": PARIS}
    assert walk(own, **known).wake_at == NOON + 2 * HOUR
    assert walk(own, zone=None, shop_zone=PARIS).wake_at == NOON + 20 * HOUR
    assert walk({**own, "zone": "shop"}, **known).wake_at == NOON + 20 * HOUR
    assert walk({**own, "zone": "Asia/Tokyo"}, **known).wake_at == NOON + 12 * HOUR
