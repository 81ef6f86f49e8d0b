"""What a training run found, in sentences for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from app import filters, i18n
from app.i18n import N_
from recommender import gate, runs
from recommender.runs import RunLine

FIGURE = "recall@10"

LEVELS = {
    "ranker": N_("Learned order"),
    "blend": N_("Blend of sources"),
    "frequency": N_("What each buys most often"),
    "popularity": N_("Best-sellers"),
}
AGAINST = {
    "popularity": N_("best-sellers"),
    "frequency": N_("what each buys most often"),
    "live": N_("the live model"),
}
STEPS = {
    "asked": N_("Waiting for the scheduler to take it up"),
    "reading": N_("Reading what customers did"),
    "choosing": N_("Looking for the best model"),
    "fitting": N_("Fitting it on all but the days set aside"),
    "judging": N_("Judging it on the days set aside"),
    "publishing": N_("Fitting it on everything, and publishing"),
}


def title(live: RunLine | None) -> str:
    """How the live model does against best-sellers, in one sentence."""
    mine, popular = _pair(live)
    if mine is None or popular is None:
        return i18n.gettext("No model is live yet: everyone is shown best-sellers.")
    if not popular or mine >= 2 * popular:
        times = filters.number(mine / popular, 1) if popular else i18n.gettext("many")
        return i18n.gettext("The live model finds %(times)s times what best-sellers find.", times=times)
    return i18n.gettext(
        "The live model finds %(share)s more than best-sellers find.", share=filters.percent(mine / popular - 1, 0)
    )


def lede(found: Sequence[RunLine], live: RunLine | None) -> str:
    """What that means, and what became of the last run."""
    mine, popular = _pair(live)
    said = ""
    if mine is not None and popular is not None:
        said = i18n.gettext(
            "Of what customers went on to buy, %(mine)s was among the ten products it would have shown them, against"
            " %(popular)s for best-sellers.",
            mine=filters.percent(mine),
            popular=filters.percent(popular),
        )
    ended = next((run for run in found if not run.pending), None)
    if ended and ended.state in ("refused", "failed") and live is not None:
        said += " " + i18n.gettext("The last run was not published; the model before it still serves.")
    return said


def why(run: RunLine) -> str:
    """Why a run was published or not, from what was compared."""
    verdicts = run.report.get("verdicts", [])
    if run.state in ("asked", "running"):
        return step(run)
    if run.state == "failed" or not verdicts:
        return i18n.gettext("killed before its end") if run.reason == runs.KILLED else run.reason or ""
    first, last = verdicts[0], verdicts[-1]
    if run.state == "refused":
        return _refusal(first)
    said = _better(last)
    if first is not last:
        said += " " + i18n.gettext(
            "%(tried)s was not good enough: %(why)s", tried=level(first["level"]), why=_refusal(first)
        )
    return said


def step(run: RunLine) -> str:
    """What a run that goes on is doing."""
    return i18n.gettext(STEPS.get("asked" if run.state == "asked" else run.progress.get("step", ""), STEPS["reading"]))


def level(name: str) -> str:
    """What a model is made of."""
    return i18n.gettext(LEVELS[name]) if name in LEVELS else name


def against(name: str) -> str:
    """What a model was compared with."""
    return i18n.gettext(AGAINST[name]) if name in AGAINST else name


def _better(verdict: Mapping[str, Any]) -> str:
    """Both figures, and what it certainly beats."""
    beaten = [each for each in verdict["comparisons"] if each["against"] != gate.LIVE]
    said = [
        i18n.gettext(
            "%(theirs)s for %(against)s", theirs=filters.number(each["theirs"], 4), against=against(each["against"])
        )
        for each in beaten
    ]
    return i18n.gettext(
        "%(level)s: NDCG@10 of %(mine)s, against %(others)s.",
        level=level(verdict["level"]),
        mine=filters.number(beaten[0]["mine"], 4) if beaten else "–",
        others=", ".join(said),
    )


def _refusal(verdict: Mapping[str, Any]) -> str:
    match verdict["outcome"]:
        case gate.Outcome.NOTHING_TO_JUDGE:
            return i18n.gettext("Too few customers ordered in the days set aside to judge anything.")
        case gate.Outcome.NOTHING_BEATS_POPULARITY:
            return i18n.gettext("Nothing does better than best-sellers, which are shown without a model.")
        case gate.Outcome.WORSE_THAN_LIVE:
            return _lost(verdict, N_("certainly worse than %(against)s: NDCG@10 of %(mine)s against %(theirs)s."))
    return _lost(verdict, N_("not certainly better than %(against)s: NDCG@10 of %(mine)s against %(theirs)s."))


def _lost(verdict: Mapping[str, Any], text: str) -> str:
    """The comparison that decided."""
    worse = verdict["outcome"] == gate.Outcome.WORSE_THAN_LIVE
    for each in verdict["comparisons"]:
        if (each["against"] == gate.LIVE) == worse and (worse or each["low"] <= 0):
            figures = {name: filters.number(each[name], 4) for name in ("mine", "theirs")}
            return filters.capital(i18n.gettext(text, against=against(each["against"]), **figures))
    return ""


def _pair(live: RunLine | None) -> tuple[float | None, float | None]:
    if live is None:
        return None, None
    return live.figure("served", FIGURE), live.figure("popularity", FIGURE)
