"""What the merchant decided, as it is kept."""

from dataclasses import replace
from datetime import datetime

import pytest
import sqlalchemy as sa

from foundation.errors import Conflict, Invalid, NotFound
from recommender import merchandising, placements, rules
from recommender.placements import DEFAULTS, Experiment
from recommender.rules import Rule

INES = "ines@maison-aubier.example"


def rule(name: str, **given: object) -> Rule:
    return rules.parse({"name": name, "action": "exclude", "brands": ["Aubier"]} | given)


def names(conn: sa.Connection) -> list[str]:
    return [kept.rule.name for kept in merchandising.every_rule(conn)]


def test_a_new_shop_has_the_defaults_and_no_rules(conn: sa.Connection) -> None:
    found = merchandising.load(conn)
    assert (found.version, found.placements, found.rules, found.experiments) == (0, dict(DEFAULTS), (), {})


class TestRules:
    def test_are_kept_changed_moved_and_removed_with_who_did_it(self, conn: sa.Connection, now: datetime) -> None:
        by = {"by": INES, "now": now}
        first, second = (merchandising.add_rule(conn, rule(name), **by) for name in ("first", "second"))
        merchandising.order_rules(conn, [second, first], **by)
        merchandising.change_rule(conn, first, rule("changed"), **by)
        merchandising.remove_rule(conn, second, **by)
        assert merchandising.load(conn).rules == (rule("changed"),)
        history = merchandising.history(conn)
        assert [(one.what, one.subject, one.by) for one in history] == [
            ("rule", str(second), INES),
            ("rule", str(first), INES),
            ("order", "rules", INES),
            ("rule", str(second), INES),
            ("rule", str(first), INES),
        ]
        assert history[1].before["name"] == "first" and history[1].after["name"] == "changed"
        assert [one.id for one in merchandising.history(conn, limit=2, before=history[1].id)] == [
            history[2].id,
            history[3].id,
        ]

    def test_every_change_raises_the_version_and_the_same_again_does_not(
        self, conn: sa.Connection, now: datetime
    ) -> None:
        number = merchandising.add_rule(conn, rule("one"), by=INES, now=now)
        before = merchandising.version(conn)
        merchandising.change_rule(conn, number, rule("one"), by=INES, now=now)
        merchandising.order_rules(conn, [number], by=INES, now=now)
        assert merchandising.version(conn) == before > 0
        merchandising.change_rule(conn, number, rule("two"), by=INES, now=now)
        assert merchandising.version(conn) > before

    def test_an_order_must_name_each_rule_once(self, conn: sa.Connection, now: datetime) -> None:
        number = merchandising.add_rule(conn, rule("one"), by=INES, now=now)
        for wrong in ([], [number, number], [number + 1]):
            with pytest.raises(Invalid):
                merchandising.order_rules(conn, wrong, by=INES, now=now)

    def test_one_that_is_not_there_is_said_not_to_be(self, conn: sa.Connection, now: datetime) -> None:
        with pytest.raises(NotFound):
            merchandising.change_rule(conn, 99, rule("one"), by=INES, now=now)

    def test_all_may_be_replaced_at_once_and_those_that_stay_keep_their_number(
        self, conn: sa.Connection, now: datetime
    ) -> None:
        merchandising.replace_rules(conn, [rule("a"), rule("b"), rule("c")], by=INES, now=now)
        before = {kept.rule.name: kept.id for kept in merchandising.every_rule(conn)}
        merchandising.replace_rules(conn, [rule("c"), rule("d"), rule("a")], by=INES, now=now)
        after = {kept.rule.name: kept.id for kept in merchandising.every_rule(conn)}
        assert names(conn) == ["c", "d", "a"]
        assert (after["a"], after["c"]) == (before["a"], before["c"])
        version = merchandising.version(conn)
        merchandising.replace_rules(conn, [rule("c"), rule("d"), rule("a")], by=INES, now=now)
        assert merchandising.version(conn) == version


class TestPlacements:
    def test_change_and_are_read_back(self, conn: sa.Connection, now: datetime) -> None:
        changed = placements.parse("email", {"n": 3, "discover": 0.8})
        merchandising.change_placement(conn, changed, by=INES, now=now)
        merchandising.change_placement(conn, replace(changed, n=4), by=INES, now=now)
        found = merchandising.load(conn)
        assert found.placements["email"] == replace(changed, n=4)
        assert list(found.placements) == list(DEFAULTS)
        (latest, _) = merchandising.history(conn)
        assert (latest.before["n"], latest.after["n"]) == (3, 4)

    def test_set_to_what_they_are_changes_nothing(self, conn: sa.Connection, now: datetime) -> None:
        merchandising.change_placement(conn, DEFAULTS["home"], by=INES, now=now)
        assert merchandising.version(conn) == 0


class TestExperiments:
    def test_one_runs_at_a_placement_at_a_time(self, conn: sa.Connection, now: datetime) -> None:
        number = merchandising.start_experiment(conn, "home", percent=20, by=INES, now=now)
        assert merchandising.load(conn).experiments == {"home": Experiment(number, "home", 20)}
        with pytest.raises(Conflict):
            merchandising.start_experiment(conn, "home", percent=10, by=INES, now=now)
        merchandising.end_experiment(conn, "home", by=INES, now=now)
        assert merchandising.load(conn).experiments == {}
        with pytest.raises(Conflict):
            merchandising.end_experiment(conn, "home", by=INES, now=now)
        assert merchandising.start_experiment(conn, "home", percent=10, by=INES, now=now) > number

    @pytest.mark.parametrize(("placement", "percent"), [("lobby", 10), ("home", 0), ("home", 51)])
    def test_refuses_what_makes_no_sense(
        self, conn: sa.Connection, now: datetime, placement: str, percent: int
    ) -> None:
        with pytest.raises(Invalid):
            merchandising.start_experiment(conn, placement, percent=percent, by=INES, now=now)
