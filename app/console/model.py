"""The recommender: how good the live model is, what each run found, which model serves, and training now."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import i18n, security
from app.console import quality, roles, run_words, trying, words
from app.parts import current_parts
from foundation.errors import NotFound
from recommender import registry, runs
from recommender.runs import RunLine

bp = Blueprint("model", __name__, url_prefix="/model")
bp.register_blueprint(trying.bp)


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """How good the live model is, for everyone or for some customers, and what it is made of."""
    with current_parts().db.begin() as conn:
        found, live = runs.latest(conn, limit=5), runs.live(conn)
    return render_template(
        "console/model/index.html",
        live=live,
        going=_going(found),
        title=run_words.title(live),
        lede=run_words.lede(found, live),
        **_words(),
        **(_figures(live) if live else {}),
    )


@bp.get("/runs")
@security.require_role(*roles.READ)
def history() -> str:
    """Every run with its outcome and why, and who put which model in service."""
    with current_parts().db.begin() as conn:
        found, moves, live_id = runs.latest(conn), registry.moves(conn), registry.live_id(conn)
    return render_template(
        "console/model/runs.html", runs=found, going=_going(found), moves=moves, live_id=live_id, **_words()
    )


@bp.get("/runs/<int:run_id>")
@security.require_role(*roles.READ)
def run(run_id: int) -> str:
    """One run: what the gate compared, every figure, what each source did."""
    with current_parts().db.begin() as conn:
        found = runs.get(conn, run_id)
        live = runs.live(conn)
    if found is None:
        raise NotFound("There is no such run.")
    return render_template("console/model/run.html", run=found, live=live, **_words(), **_figures(found))


@bp.post("/train")
@security.require_role(*roles.CHANGE)
def train() -> AnyResponse:
    """Asks for a run, which the scheduler takes up; while one is asked for, asking again does nothing."""
    with current_parts().db.begin() as conn:
        runs.ask(conn, by=_signed_in(), now=datetime.now(UTC))
    return redirect(url_for(".history"), code=303)


@bp.get("/progress")
@security.require_role(*roles.READ)
def progress() -> Response:
    """How far the run is that goes on; once it has ended, the page is asked to come anew."""
    with current_parts().db.begin() as conn:
        going = _going(runs.latest(conn, limit=5))
    response = Response(render_template("console/model/progress.html", going=going, **_words()))
    if going is None:
        response.headers["HX-Refresh"] = "true"
    return response


@bp.post("/roll-back")
@security.require_role(*roles.CHANGE)
def roll_back() -> AnyResponse:
    """Puts a model kept back in service; every process follows within half a minute. The same again changes nothing."""
    with current_parts().db.begin() as conn:
        live = registry.roll_back(conn, request.form.get("model", type=int), by=_signed_in(), now=datetime.now(UTC))
    flash(i18n.gettext("Model %(id)s is live again, everywhere within half a minute.", id=live))
    return redirect(url_for(".history"), code=303)


def _signed_in() -> str:
    user = security.current_user()
    return user.email if user else ""


def _going(found: list[RunLine]) -> RunLine | None:
    """The run that is asked for or goes on."""
    return next((each for each in reversed(found) if each.pending), None)


def _words() -> dict[str, Any]:
    return {"words": words, "say": run_words, "figures": quality.FIGURES}


def _figures(run: RunLine) -> dict[str, Any]:
    """What is drawn of a run: one figure, of everyone or of a group, as the address line asks."""
    groups = quality.groups(run)
    group = groups.get(request.args.get("group", ""))
    asked = request.args.get("figure", "")
    figure = asked if asked in (quality.IN_GROUPS if group else quality.FIGURES) else "recall@10"
    return {
        "figure": figure,
        "group": request.args.get("group") if group else None,
        "groups": groups,
        "group_names": quality.GROUPS,
        "offered": quality.IN_GROUPS if group else tuple(quality.FIGURES),
        "customers": group["customers"] if group else run.figure("served", "users"),
        "rows": quality.group_rows(group, figure) if group else quality.rows(run, figure),
        "compared": quality.compared(run),
        "sources": run.report.get("sources", []),
    }
