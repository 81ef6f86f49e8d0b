"""What the figures of arms allow to say."""

from datetime import UTC, datetime, timedelta

from campaigns.definitions.steps import Winner
from campaigns.evidence import verdicts
from campaigns.evidence.sequences import Sample
from campaigns.evidence.verdicts import Arm, Lacking
from foundation.intervals import Interval

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
MONTH_AGO = NOW - timedelta(days=30)


def arm(people: int, buyers: int, *, basket: float = 5_000, clicks: int = 0) -> Arm:
    """Each buyer spends about a basket, of which two fifths are margin."""
    spent = Sample(people, buyers * basket, buyers * basket**2 * 1.2)
    earned = Sample(people, 0.4 * spent.total, 0.16 * spent.squares)
    bought, clicked = Sample(people, buyers, buyers), Sample(people, clicks, clicks)
    return Arm(people, buyers, bought, bought, spent, earned, clicked)


def test_lift_is_told_a_person_with_what_it_comes_to_for_all() -> None:
    found = verdicts.lift(arm(18_000, 2_160), arm(2_000, 160), watched=7)
    assert found.conclusive and found.bought and round(found.bought.value, 3) == 0.04
    assert found.sales and found.caused_sales and found.caused_sales.value == found.sales.value * 18_000
    assert found.margin and found.margin.low < 0.4 * 0.04 * 5_000 < found.margin.high
    after = verdicts.less(found.caused_margin, 1_000)
    assert after and found.caused_margin and after.low == found.caused_margin.low - 1_000
    assert (found.treated.share, found.held_out.share, found.watched) == (0.12, 0.08, 7)


def test_too_few_buyers_left_alone_prove_nothing_whatever_the_others_did() -> None:
    found = verdicts.lift(arm(9_000, 900), arm(1_000, 24))
    assert found.bought is None and not found.conclusive and found.caused_sales is None
    assert verdicts.lift(Arm(), Arm()).treated.share is None


def test_a_winner_beats_every_other_beyond_chance() -> None:
    arms = {"a": arm(6_000, 600), "b": arm(6_000, 300), "c": arm(6_000, 310)}
    found = verdicts.judge(arms, Winner(goal="buyers"), since=MONTH_AGO, now=NOW)
    assert (found.winner, found.leader, found.lacking) == ("a", "a", {})
    assert set(found.gaps) == {"b", "c"} and all(gap and gap.low > 0 for gap in found.gaps.values())


def test_what_is_missing_is_said_with_its_number() -> None:
    few = {"a": arm(200, 30), "b": arm(150, 12)}
    found = verdicts.judge(few, Winner(goal="buyers", people=500, conversions=40), since=NOW, now=NOW)
    assert found.winner is None and found.leader == "a"
    assert found.lacking[Lacking.PEOPLE] == 350 and found.lacking[Lacking.CONVERSIONS] == 28
    assert found.lacking[Lacking.DAYS] == 7 and (found.lacking[Lacking.DIFFERENCE] or 0) > 0


def test_a_difference_that_is_proved_waits_for_its_days() -> None:
    arms = {"a": arm(6_000, 600), "b": arm(6_000, 300)}
    yesterday = NOW - timedelta(days=1)
    found = verdicts.judge(arms, Winner(goal="margin", days=7), since=yesterday, now=NOW)
    assert found.winner is None and found.lacking == {Lacking.DAYS: 6}
    assert verdicts.judge(arms, Winner(goal="margin", days=7), since=MONTH_AGO, now=NOW).winner == "a"


def test_variants_alike_are_not_told_apart_and_nobody_knows_when() -> None:
    arms = {"a": arm(6_000, 300), "b": arm(6_000, 300)}
    found = verdicts.judge(arms, Winner(goal="buyers"), since=MONTH_AGO, now=NOW)
    assert found.winner is None and found.lacking == {Lacking.DIFFERENCE: None}


def test_clicks_may_be_the_goal() -> None:
    arms = {"a": arm(3_000, 0, clicks=900), "b": arm(3_000, 0, clicks=300)}
    assert verdicts.judge(arms, Winner(goal="clicks"), since=MONTH_AGO, now=NOW).winner == "a"


def test_a_cost_is_paid_from_every_end_of_an_interval() -> None:
    assert verdicts.less(Interval(-1, 2, 5), 1) == Interval(-2, 1, 4)
    assert verdicts.less(None, 1) is None and verdicts.times(None, 4) is None
