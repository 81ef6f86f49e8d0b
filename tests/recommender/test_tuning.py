"""What a model is made of is found by trying; with too little to try on, it is something simpler, and it says so."""

from pathlib import Path

import numpy as np
import pytest

from recommender import evaluation, model, splits, trial, tuning
from recommender.algorithms.base import DAY, Interactions, Kind
from recommender.gate import Level
from recommender.splits import Way
from recommender.tuning import Clock

HURRIED = 30.0


def shop(customers: int, *, orders: int = 8, again: bool = True, seed: int = 1) -> Interactions:
    """Customers who look at four things of their taste every week and buy one: of the last they bought, if `again`."""
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        taste = 10 * (customer % 6) + np.arange(10)
        favourite = random.choice(taste)
        for week in range(orders):
            at = (7 * week + random.random()) * DAY
            looked = random.choice(taste, 4, replace=False)
            rows += [(customer, product, Kind.VIEW, at + place) for place, product in enumerate(looked)]
            bought = favourite if again and random.random() < 0.7 else looked[-1]
            rows.append((customer, bought, Kind.ORDER, at + DAY / 100))
    rows.sort(key=lambda row: row[3])
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Interactions(
        customers=columns[0],
        products=columns[1].astype(np.int64),
        kinds=columns[2].astype(np.int64),
        times=columns[3].astype(np.int64),
        customer_count=customers,
        product_ids=tuple(f"p{number}" for number in range(60)),
        categories=np.arange(60) // 10,
        category_names=tuple("abcdef"),
    )


class TestWhatIsChosen:
    def test_is_the_ranker_where_there_is_enough_to_learn_from(self) -> None:
        data = shop(450)
        aside = splits.by_latest(data, 1)
        made = trial.make(aside.known, Way.LATEST, days=7, seed=1, budget=HURRIED)
        assert made.level is Level.RANKER and "customers held out" in made.why
        shown = evaluation.ask(made.model, aside, longest=10)
        ndcg = {
            name: evaluation.by_request(hits, np.diff(aside.truth_starts), k=10)["ndcg"].mean()
            for name, hits in shown.hits.items()
        }
        assert ndcg["served"] > ndcg["popularity"]
        assert ndcg["served"] > ndcg["frequency"] - 0.01

    def test_is_a_blend_where_there_are_few_requests(self) -> None:
        made = trial.make(shop(80, again=False), Way.LATEST, days=7, seed=1, budget=HURRIED)
        assert made.level in (Level.BLEND, Level.FREQUENCY) and "only 80 requests" in made.why

    def test_is_what_she_buys_most_where_hardly_anything_is_known(self) -> None:
        made = trial.make(shop(5), Way.LATEST, days=7, seed=1, budget=HURRIED)
        assert made.level is Level.FREQUENCY and made.model.ranker is None

    def test_is_popularity_where_nobody_does_anything_twice(self) -> None:
        made = trial.make(shop(5, orders=1), Way.LATEST, days=7, seed=1, budget=HURRIED)
        assert made.level is Level.POPULARITY

    def test_is_a_blend_where_there_is_no_time(self) -> None:
        choice = tuning.choose(shop(450), Way.LATEST, days=7, seed=1, clock=Clock(1e-6))
        assert choice.ranker is None and "no time" in choice.why

    def test_of_nothing_at_all_is_popularity(self) -> None:
        data = shop(2)
        nothing = data.where(np.zeros(len(data.times), bool))
        for way in Way:
            assert trial.make(nothing, way, days=7, seed=1, budget=HURRIED).level is Level.POPULARITY


@pytest.fixture(scope="module")
def made() -> trial.Fitted:
    return trial.make(shop(450), Way.LATEST, days=7, seed=1, budget=HURRIED)


class TestTheModel:
    def test_ranks_the_same_alone_and_among_many(self, made: trial.Fitted) -> None:
        asks = splits.by_latest(shop(450), 1).asks
        many = made.model.rank(asks.part(0, 40), size=10)
        for request in range(40):
            alone = made.model.rank(asks.part(request, request + 1), size=10)
            among = slice(many.starts[request], many.starts[request + 1])
            assert alone.products.tolist() == many.products[among].tolist()
            assert np.array_equal(alone.scores, many.scores[among])

    def test_ranks_the_same_after_being_stored_as_plain_arrays(self, made: trial.Fitted) -> None:
        again = model.load(made.model.arrays())
        asks = splits.by_time(shop(450), days=0.0).asks
        first, second = made.model.rank(asks, size=10), again.rank(asks, size=10)
        assert first.products.tolist() == second.products.tolist()
        assert again.source_names == made.model.source_names

    def test_leaves_out_what_did_nothing(self, made: trial.Fitted) -> None:
        assert {"history", "frequency", "popularity"} <= set(made.model.source_names)
        assert "local" not in made.model.source_names

    def test_can_be_lowered_without_being_fitted_again(self, made: trial.Fitted) -> None:
        blend = trial.lowered(made, Level.BLEND)
        assert blend.model.ranker is None and blend.model.blend == made.model.blend
        assert trial.lowered(made, Level.POPULARITY).model.blend == tuning.SIMPLE[Level.POPULARITY]

    def test_around_a_product_shows_what_goes_with_it_and_not_itself(self, made: trial.Fitted) -> None:
        asked = made.model.asks([model.Past()], [["p3"]]).asks
        found = made.model.rank(asked, size=5).products.tolist()
        assert 3 not in found and all(product < 10 for product in found)

    def test_bears_a_customer_who_did_nothing_and_products_it_never_saw(self, made: trial.Fitted) -> None:
        pasts = [model.Past(), model.Past(["unheard of"], [Kind.VIEW], [1.0])]
        asked = made.model.asks(pasts, moments=np.array([0, 0]))
        ranking = made.model.rank(asked.asks, size=10)
        assert (np.diff(ranking.starts) == 10).all()


def test_two_runs_of_one_seed_choose_the_same() -> None:
    chosen = [tuning.choose(shop(450), Way.LATEST, days=7, seed=4, clock=Clock(1e9)) for _ in range(2)]
    first, second = (choice.ranker for choice in chosen)
    assert first is not None and second is not None and first.texts == second.texts
    assert chosen[0].blend == chosen[1].blend and chosen[0].kinds == chosen[1].kinds


class TestAFileOf:
    @pytest.mark.parametrize("event", ["Product Viewed", "Order Completed"])
    def test_one_kind_of_event_is_evaluated(self, tmp_path: Path, event: str) -> None:
        data = shop(60)
        lines = [
            f"u{customer},p{product},{np.datetime64(int(at), 'us')}Z,{event}"
            for customer, product, at in zip(data.customers, data.products, data.times, strict=True)
        ]
        path = tmp_path / "rows.csv"
        path.write_text("\n".join(["user_id,product_id,timestamp,event", *lines]))
        told = trial.evaluate_file(path, budget=HURRIED).json()
        assert {"popularity", "frequency", "als", "bm25", "served"} <= {each["algorithm"] for each in told["results"]}

    def test_a_single_row_is_evaluated(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        path.write_text("user_id,product_id,timestamp\n1,2,2026-01-01T00:00:00Z\n")
        for split in ("time", "last-basket"):
            assert trial.evaluate_file(path, split=split, budget=HURRIED).json()["results"]
