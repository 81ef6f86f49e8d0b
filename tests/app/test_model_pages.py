"""The recommender's pages over runs as they are recorded: published, refused, killed, going on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from app.console import quality
from recommender import runs
from recommender.tables import live_model, model_moves, models, training_runs
from tests.app.console_world import post

NOW = datetime.now(UTC)


def _result(algorithm: str, found: float) -> dict[str, Any]:
    names = ("recall@10", "ndcg@10", "hit_rate@10", "mrr@10", "recall_repeat@10", "recall_discover@10", "coverage@10")
    spans = {name: [found - 0.01, found + 0.01] for name in names if name != "coverage@10"}
    return {"algorithm": algorithm, "users": 1242, "fit_seconds": 1.5, "intervals": spans} | dict.fromkeys(names, found)


def _comparison(against: str, *, mine: float, theirs: float) -> dict[str, Any]:
    apart = mine - theirs
    return {
        "against": against,
        "mine": mine,
        "theirs": theirs,
        "low": apart - 0.01,
        "high": apart + 0.01,
        "customers": 1242,
    }


REPORT = {
    "verdicts": [
        {
            "level": "ranker",
            "outcome": "accepted",
            "comparisons": [
                _comparison("popularity", mine=0.27, theirs=0.11),
                _comparison("frequency", mine=0.27, theirs=0.21),
            ],
        }
    ],
    "groups": [
        {
            "by": "warmth",
            "group": "cold",
            "customers": 17,
            "figures": {"served": {"recall@10": [0.05, 0.01, 0.09], "ndcg@10": [0.04, 0.01, 0.07]}},
        }
    ],
    "sources": [{"source": "history", "reach": 0.3, "hits": 0.9, "only": 0.2}],
}


def _run(conn: sa.Connection, *, state: str, minutes_ago: int = 0, **values: object) -> int:
    row = {"started_at": NOW - timedelta(minutes=minutes_ago), "state": state, "window": {"interactions": 5}, **values}
    if state not in ("asked", "running"):
        row["finished_at"] = NOW
    number: int = conn.execute(sa.insert(training_runs).values(row).returning(training_runs.c.id)).scalar_one()
    return number


def measured(conn: sa.Connection, *, minutes_ago: int = 0) -> int:
    """A run that left every figure; its number."""
    results = [_result("served", 0.148), _result("frequency", 0.121), _result("popularity", 0.062)]
    return _run(conn, state="published", minutes_ago=minutes_ago, results=results, report=REPORT)


@pytest.fixture
def published(installation: parts.Parts) -> list[int]:
    """Two models published, the second live; their runs."""
    numbers = []
    with installation.db.begin() as conn:
        for minutes_ago in (60, 30):
            run_id = measured(conn, minutes_ago=minutes_ago)
            made = sa.insert(models).values(run_id=run_id, created_at=NOW, manifest={}, sha256=b"", size=0)
            model_id = conn.execute(made.returning(models.c.id)).scalar_one()
            conn.execute(sa.update(training_runs).where(training_runs.c.id == run_id).values(model_id=model_id))
            numbers.append(run_id)
        conn.execute(sa.insert(live_model).values(model_id=model_id, since=NOW))
    return numbers


class TestQuality:
    def test_says_what_the_live_model_finds_beside_simpler_answers_with_intervals(
        self, ines: FlaskClient, published: list[int]
    ) -> None:
        page = ines.get("/console/model").text
        assert "The live model finds 2.4 times what best-sellers find" in page
        assert "Bought most often" in page and "13.8%–15.8%" in page
        assert page.index("What is shown") < page.index("Bought most often") < page.index("Best-sellers</b>")

    def test_is_told_of_some_customers_when_asked(self, ines: FlaskClient, published: list[int]) -> None:
        page = ines.get("/console/model?group=warmth-cold&figure=ndcg@10").text
        assert "17 customers asked" in page and "0.010–0.070" in page

    @pytest.mark.parametrize("query", ["figure=nonsense", "group=nonsense", "group=warmth-cold&figure=mrr@10"])
    def test_of_what_there_is_not_is_that_of_everyone_by_the_first_figure(
        self, ines: FlaskClient, published: list[int], query: str
    ) -> None:
        assert ines.get(f"/console/model?{query}").status_code == 200


class TestRuns:
    def test_say_why_they_were_published_refused_or_failed(
        self, ines: FlaskClient, installation: parts.Parts, published: list[int]
    ) -> None:
        lost = {
            "level": "ranker",
            "outcome": "not_better",
            "comparisons": [_comparison("frequency", mine=0.2, theirs=0.2)],
        }
        worse = {
            "level": "blend",
            "outcome": "worse_than_live",
            "comparisons": [_comparison("live", mine=0.1, theirs=0.2)],
        }
        few = {"level": "blend", "outcome": "nothing_to_judge", "comparisons": []}
        with installation.db.begin() as conn:
            for verdict in (lost, worse, few):
                _run(conn, state="refused", report={"verdicts": [verdict]})
            _run(conn, state="failed", reason="MemoryError: no room")
            _run(conn, state="running")
        page = ines.get("/console/model/runs").text
        assert "Learned order: NDCG@10 of 0.2700, against 0.1100 for best-sellers" in page
        assert "Not certainly better than what each buys most often" in page
        assert "Certainly worse than the live model" in page
        assert "Too few customers ordered" in page and "no room" in page
        assert "killed before its end" in page  # nobody holds the lock

    def test_are_told_in_full_each_on_its_page(self, ines: FlaskClient, published: list[int]) -> None:
        page = ines.get(f"/console/model/runs/{published[0]}").text
        assert "Certainly better" in page and "Where the finds come from" in page
        assert ines.get("/console/model/runs/999").status_code == 404

    def test_a_run_that_tells_no_progress_yet_is_shown_as_reading(self, installation: parts.Parts) -> None:
        with runs.alone(installation.db), installation.db.begin() as conn:
            _run(conn, state="running")
            (line,) = runs.latest(conn)
            assert line.pending and quality.rows(line, "recall@10") == []


class TestDeciding:
    def test_training_now_is_asked_for_once_and_followed_until_it_ends(
        self, ines: FlaskClient, installation: parts.Parts
    ) -> None:
        for _ in range(2):
            assert post(ines, "/console/model/train", {}, on="/console/model").status_code == 303
        with installation.db.begin() as conn:
            assert runs.is_due(conn)
            assert [run.asked_by for run in runs.latest(conn)] == ["ines@aubier.example"]
        assert "Waiting for the scheduler" in ines.get("/console/model/progress").text
        with installation.db.begin() as conn:
            conn.execute(sa.update(training_runs).values(state="refused", finished_at=NOW))
        assert ines.get("/console/model/progress").headers["HX-Refresh"] == "true"

    def test_putting_a_model_back_twice_moves_once_and_says_who(
        self, ines: FlaskClient, installation: parts.Parts, published: list[int]
    ) -> None:
        with installation.db.begin() as conn:
            first = conn.scalar(sa.select(sa.func.min(models.c.id)))
        for _ in range(2):
            answer = post(ines, "/console/model/roll-back", {"model": str(first)}, on="/console/model/runs")
            assert answer.status_code == 303
        with installation.db.begin() as conn:
            moved = conn.execute(sa.select(model_moves.c.model_id, model_moves.c.why, model_moves.c.by)).all()
            assert conn.scalar(sa.select(live_model.c.model_id)) == first
        assert [tuple(row) for row in moved] == [(first, "chosen", "ines@aubier.example")]

    def test_an_analyst_may_look_and_not_decide(
        self,
        enter: Callable[[str], FlaskClient],
        published: list[int],
    ) -> None:
        analyst = enter("analyst")
        page = analyst.get("/console/model/runs").text
        assert "Train now" not in page and "Put back" not in page
        assert post(analyst, "/console/model/train", {}, on="/console/model").status_code == 403
