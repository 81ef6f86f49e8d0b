"""A model is published for what is certain, not for what happened to come out."""

import numpy as np
import pytest

from recommender import gate
from recommender.algorithms.base import Floats
from recommender.gate import Duel, Level, Outcome

RNG = np.random.default_rng(4)
MIDDLING = RNG.random(400)


def found(**of: Floats) -> dict[Level, Floats]:
    return {Level(name): figures for name, figures in of.items()}


def better(by: float) -> Floats:
    """As good as `MIDDLING`, customer by customer, give or take, and on average better by so much."""
    noise = RNG.normal(0, 0.1, len(MIDDLING))
    moved: Floats = MIDDLING + noise - noise.mean() + by
    return moved


class TestAModelPasses:
    def test_if_it_is_certainly_better_than_popularity_and_than_personal_frequency(self) -> None:
        verdict = gate.judge(
            found(ranker=better(0.1), frequency=better(0.02), popularity=MIDDLING), Level.RANKER, seed=1
        )
        assert verdict.passed and [each.against for each in verdict.comparisons] == ["popularity", "frequency"]
        assert all(0 < each.low < each.mine - each.theirs < each.high for each in verdict.comparisons)

    def test_not_if_its_lead_could_be_luck(self) -> None:
        verdict = gate.judge(
            found(ranker=better(0.005), frequency=MIDDLING, popularity=MIDDLING - 1), Level.RANKER, seed=1
        )
        assert verdict.outcome is Outcome.NOT_BETTER
        assert verdict.lost is not None and verdict.lost.against == "frequency"
        assert verdict.lost.low < 0 < verdict.lost.mine - verdict.lost.theirs

    def test_not_for_being_better_on_a_handful_of_customers(self) -> None:
        few = {level: figures[:19] for level, figures in found(ranker=better(1), popularity=MIDDLING).items()}
        assert gate.judge(few, Level.RANKER, seed=1).outcome is Outcome.NOTHING_TO_JUDGE

    def test_as_personal_frequency_if_that_is_better_than_popularity(self) -> None:
        verdict = gate.judge(found(frequency=better(0.1), popularity=MIDDLING), Level.FREQUENCY, seed=1)
        assert verdict.passed and [each.against for each in verdict.comparisons] == ["popularity"]

    def test_never_as_popularity_which_is_shown_without_a_model(self) -> None:
        assert (
            gate.judge(found(popularity=MIDDLING), Level.POPULARITY, seed=1).outcome is Outcome.NOTHING_BEATS_POPULARITY
        )


class TestBesideTheLiveModel:
    FOUND = found(blend=better(0.5), frequency=better(0.1), popularity=MIDDLING)

    @pytest.mark.parametrize(
        ("lost", "outcome"),
        [(0.0, Outcome.ACCEPTED), (0.02, Outcome.ACCEPTED), (0.2, Outcome.WORSE_THAN_LIVE)],
        ids=["as good", "a little worse", "much worse"],
    )
    def test_only_a_certain_loss_of_more_than_a_twentieth_counts(self, lost: float, outcome: Outcome) -> None:
        duel = Duel(mine=better(-lost), live=MIDDLING)
        assert gate.judge(self.FOUND, Level.BLEND, duel=duel, seed=1).outcome is outcome

    def test_a_loss_that_could_be_luck_does_not_count(self) -> None:
        mine, live = RNG.random(30) * 0.9, RNG.random(30)
        assert gate.judge(self.FOUND, Level.BLEND, duel=Duel(mine, live), seed=1).passed

    def test_nothing_is_said_on_a_handful_of_customers(self) -> None:
        duel = Duel(mine=np.zeros(5), live=np.ones(5))
        assert gate.judge(self.FOUND, Level.BLEND, duel=duel, seed=1).passed


class TestIntervals:
    def test_hold_the_mean_as_often_as_they_say(self) -> None:
        rng = np.random.default_rng(2)
        held = 0
        for trial in range(200):
            low, high = gate.intervals(rng.exponential(1.0, (80, 1)), seed=trial)
            held += low[0] <= 1.0 <= high[0]
        assert 0.88 <= held / 200 <= 0.98

    def test_are_the_same_for_the_same_seed_however_many_are_drawn_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = gate.intervals(MIDDLING[:, None], seed=7)
        monkeypatch.setattr(gate, "AT_ONCE", 5_000)
        again = gate.intervals(MIDDLING[:, None], seed=7)
        assert np.allclose(whole, again)

    def test_of_nobody_are_nothing(self) -> None:
        low, high = gate.intervals(np.zeros((0, 2)), seed=1)
        assert low.tolist() == high.tolist() == [0, 0]
