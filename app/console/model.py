"""The recommender: how good the live model is, what each run found, and what a given customer would be shown."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import filters, i18n, security
from app.console import charts, roles, words
from app.console import customers as customer_pages
from app.i18n import N_
from app.parts import current_parts
from foundation.errors import NotFound
from recommender import registry, runs, serving
from recommender.runs import RunLine
from shop import customers

bp = Blueprint("model", __name__, url_prefix="/model")

PLACEMENTS = {"home": N_("Home page"), "email": N_("E-mail"), "cart": N_("Basket")}
FIGURE = "recall@10"


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """The sentence, the figures, the runs, and a customer to try it on."""
    with current_parts().db.begin() as conn:
        found = runs.latest(conn)
        tried = _try(conn, request.args.get("customer", type=int), placement=_placement())
    live = next((run for run in found if run.live), None)
    return render_template(
        "console/model/index.html",
        runs=found,
        live=live,
        bars=_bars(live),
        tried=tried,
        placement=_placement(),
        placements=PLACEMENTS,
        title=title(live),
        lede=lede(found, live),
        why=why,
        words=words,
        may_roll_back=_may_roll_back(found),
    )


@bp.post("/roll-back")
@security.require_role(*roles.CHANGE)
def roll_back() -> Response:
    """The model before the live one serves again; every process follows within half a minute."""
    with current_parts().db.begin() as conn:
        registry.roll_back(conn, request.form.get("model", type=int), by=_signed_in(), now=datetime.now(UTC))
    flash(i18n.gettext("The model before is live again, everywhere within half a minute."))
    return redirect(url_for(".index"), code=303)


def _signed_in() -> str:
    user = security.current_user()
    return user.email if user else ""


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


def lede(found: list[RunLine], live: RunLine | None) -> str:
    """What that means, and what became of the last run."""
    mine, popular = _pair(live)
    if mine is None or popular is None:
        return i18n.gettext("The first training run publishes one, if it does better than best-sellers.")
    said = i18n.gettext(
        "Of the products customers went on to buy in the days set aside, %(mine)s were among the ten it would have "
        "shown them, against %(popular)s for best-sellers.",
        mine=filters.percent(mine),
        popular=filters.percent(popular),
    )
    last = found[0]
    if last.state == "refused":
        said += " " + i18n.gettext("The last run did worse, so it was not published.")
    elif last.state == "failed":
        said += " " + i18n.gettext("The last run failed; the model before it still serves.")
    return said


def why(run: RunLine) -> str:
    """Why a run was published or not, from its figures."""
    mine, popular = run.figure("served", "ndcg@10"), run.figure("popularity", "ndcg@10")
    if run.state in ("running", "failed") or mine is None or popular is None:
        return run.reason or ""
    if not run.figure("served", "users"):
        return i18n.gettext("nobody ordered in the days set aside, so nothing can be judged")
    figures = {"mine": filters.number(mine, 4), "popular": filters.number(popular, 4)}
    if run.state == "published":
        return i18n.gettext("NDCG@10 of %(mine)s, against %(popular)s for best-sellers", **figures)
    if mine <= popular:
        return i18n.gettext("no better than best-sellers: NDCG@10 of %(mine)s against %(popular)s", **figures)
    return i18n.gettext("worse than the live model: NDCG@10 of %(mine)s", **figures)


def _pair(live: RunLine | None) -> tuple[float | None, float | None]:
    if live is None:
        return None, None
    return live.figure("served", FIGURE), live.figure("popularity", FIGURE)


def _bars(live: RunLine | None) -> list[dict[str, Any]]:
    """Each algorithm's figure on one scale that begins at zero, the best first."""
    results = sorted(live.results if live else [], key=lambda result: -result.get(FIGURE, 0))
    scale = charts.Scale(0, max([0.01, *(result.get(FIGURE, 0) for result in results)]), 0, 300)
    return [
        {**result, "value": result.get(FIGURE, 0.0), "wide": scale.at(result.get(FIGURE, 0.0))} for result in results
    ]


def _placement() -> str:
    asked = request.args.get("placement", "home")
    return asked if asked in PLACEMENTS else "home"


def _try(conn: sa.Connection, customer_id: int | None, *, placement: str) -> dict[str, Any] | None:
    """What this customer would be shown now; looking is not recorded as showing."""
    if customer_id is None:
        return None
    try:
        person = customers.record(conn, customer_id).customer
    except NotFound:
        return None
    asked = serving.Request(customer_id=person.id, placement=placement, n=8, record=False, locale=i18n.locale())
    slate = current_parts().recommender.recommend(conn, asked, now=datetime.now(UTC))
    return {"person": person, "name": customer_pages.name(person), "slate": slate}


def _may_roll_back(found: list[RunLine]) -> bool:
    """Whether an earlier model is still kept."""
    live = next((run.model_id for run in found if run.live), None)
    return live is not None and any(run.kept and run.model_id and run.model_id < live for run in found)
