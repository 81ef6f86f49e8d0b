"""The placements: what slates earn at each, how each is made, and whether the model beats popularity there."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import filters, i18n, security
from app.console import charts, forms, meanwhile, roles, words
from app.console.forms import Form
from app.parts import current_parts
from foundation import intervals
from foundation.errors import Fault, Invalid, NotFound
from foundation.intervals import Interval
from recommender import merchandising, placements, results
from recommender.placements import Placement
from recommender.results import Tally, Trial

bp = Blueprint("placements", __name__, url_prefix="/placements")

DAYS = 30
SHARES = ("discover", "diversity", "explore")
COUNTS = ("n", "per_category", "per_brand", "rotation", "bought_days")


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """What each placement earned, and what the products shown came from."""
    with current_parts().db.begin() as conn:
        every = merchandising.every_placement(conn)
        found = results.lines(conn, since=_since())
        trials = results.trials(conn)
    tallies = results.by_placement(found)
    running = {trial.placement: trial for trial in trials if trial.ended_at is None}
    return render_template(
        "console/placements/index.html",
        every=every,
        tallies=tallies,
        total=sum(tallies.values(), Tally()),
        sources=_by_use(results.by_source(found)),
        models=sorted(results.by_model(found).items(), reverse=True),
        running=running,
        verdict=verdict,
        words=words,
        days=DAYS,
        title=title(sum(tallies.values(), Tally())),
    )


@bp.get("/<name>")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """One placement: what it earned, its sliders, its experiment."""
    with current_parts().db.begin() as conn:
        return _page(conn, known(conn, name), None)


@bp.post("/<name>")
@security.require_role(*roles.CHANGE)
def save(name: str) -> Response | tuple[str, int]:
    """Keeps the settings; or says what is wrong and changes nothing."""
    with current_parts().db.begin() as conn:
        meanwhile.turn(conn, "placement", name)
        current = known(conn, name)
        if clash := meanwhile.clash(form_of(current), request.form):
            return _page(conn, current, clash), 409
        try:
            placement = placements.parse(name, definition_of(request.form))
        except Invalid as refused:
            return _page(conn, current, forms.with_faults(request.form, refused.faults)), 422
        merchandising.change_placement(conn, placement, by=_by(), now=datetime.now(UTC))
    flash(i18n.gettext("Saved. Slates follow within half a minute."))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/experiment")
@security.require_role(*roles.CHANGE)
def experiment(name: str) -> Response | tuple[str, int]:
    """From now on a share of the customers is shown popularity."""
    percent = forms.number(request.form.get("percent", ""))
    with current_parts().db.begin() as conn:
        current = known(conn, name)
        if not isinstance(percent, int) or not 1 <= percent <= 50:
            fault = Fault("/percent", "must be a whole number from 1 to 50")
            shown = {**meanwhile.opened(form_of(current)).values, **request.form}
            return _page(conn, current, forms.with_faults(shown, [fault])), 422
        merchandising.start_experiment(conn, name, percent=percent, by=_by(), now=datetime.now(UTC))
    flash(i18n.gettext("The experiment runs. Its figures appear below within minutes."))
    return redirect(url_for(".show", name=name, _anchor="experiment"), code=303)


@bp.post("/<name>/experiment/end")
@security.require_role(*roles.CHANGE)
def end(name: str) -> Response:
    """Everyone is shown what the model says again."""
    with current_parts().db.begin() as conn:
        merchandising.end_experiment(conn, name, by=_by(), now=datetime.now(UTC))
    flash(i18n.gettext("The experiment is over. Orders still count for a week."))
    return redirect(url_for(".show", name=name, _anchor="experiment"), code=303)


def title(total: Tally) -> str:
    """What recommendations earned, in one sentence."""
    if not total.shown:
        return i18n.gettext("No slate was shown in %(n)s days.", n=DAYS)
    if not total.revenue:
        return i18n.gettext("Nothing was bought from a slate in %(n)s days yet.", n=DAYS)
    return i18n.gettext(
        "In %(n)s days, slates led to %(money)s of purchases.", n=DAYS, money=filters.money(total.revenue)
    )


def verdict(trial: Trial) -> words.Word:
    """What the experiment allows to say of buyers."""
    if trial.buyers is None:
        return words.Word(i18n.gettext("Nothing to compare yet"), "minus")
    if not trial.buyers.conclusive:
        return words.Word(i18n.gettext("Not conclusive yet"), "hourglass")
    better = trial.buyers.value > 0
    said = i18n.gettext("The model sells more") if better else i18n.gettext("Popularity sells more")
    return words.Word(said, "check", "ok" if better else "bad")


def headline(name: str, trial: Trial | None) -> str:
    """What is known of the placement, in one sentence: proved if there is an experiment that proves it."""
    where = i18n.gettext(words.PLACEMENT[name])
    if trial is None or trial.buyers is None:
        return where
    if not trial.buyers.conclusive:
        return i18n.gettext("%(where)s: whether the model sells more than popularity is not proved yet.", where=where)
    points = filters.number(abs(trial.buyers.value) * 100, 1)
    if trial.buyers.value > 0:
        return i18n.gettext(
            "%(where)s: the model makes %(points)s points more customers buy.", where=where, points=points
        )
    return i18n.gettext("%(where)s: popularity makes %(points)s points more customers buy.", where=where, points=points)


# ----------------------------------------------------------------------------------------------------- forms
def form_of(placement: Placement) -> Form:
    """The form of a placement as it stands; shares as whole hundredths, which a slider moves by."""
    values = {name: f"{getattr(placement, name) * 100:g}" for name in SHARES}
    for name in COUNTS:
        given = getattr(placement, name)
        values[name] = "" if given is None else str(given)
    return Form(values)


def definition_of(values: Any) -> dict[str, Any]:
    """What a form asks for; an empty field is none."""
    given: dict[str, Any] = {}
    for name in SHARES:
        number = forms.number(values.get(name, "").replace(",", "."))
        given[name] = number if isinstance(number, str) else round(number / 100, 4)
    for name in COUNTS:
        text = values.get(name, "").strip()
        given[name] = forms.number(text) if text else None
    return given


# ---------------------------------------------------------------------------------------------------- pieces
def _page(conn: sa.Connection, placement: Placement, form: Form | None) -> str:
    mine = [line for line in results.lines(conn, since=_since()) if line.placement == placement.name]
    trials = [trial for trial in results.trials(conn, limit=100) if trial.placement == placement.name]
    trial = trials[0] if trials else None
    return render_template(
        "console/placements/show.html",
        placement=placement,
        form=form or meanwhile.opened(form_of(placement)),
        tally=results.by_placement(mine).get(placement.name, Tally()),
        sources=_by_use(results.by_source(mine)),
        trial=trial,
        before=trials[1:6],
        comparisons=_comparisons(trial) if trial else [],
        headline=headline(placement.name, trial),
        verdict=verdict,
        words=words,
        days=DAYS,
    )


def _comparisons(trial: Trial) -> list[dict[str, Any]]:
    """Each figure of the two arms side by side, with the interval of their difference."""
    rows = []
    for name, what, gap in (
        (i18n.gettext("Customers who clicked"), "clickers", trial.clicks),
        (i18n.gettext("Customers who bought"), "buyers", trial.buyers),
    ):
        ours, theirs = (
            intervals.share(getattr(group, what), group.customers) for group in (trial.model, trial.popularity)
        )
        rows.append({"name": name, "model": _share(ours), "popularity": _share(theirs), **_apart(gap, points=True)})
    each = [
        filters.money(round(group.revenue / group.customers)) if group.customers else "–"
        for group in (trial.model, trial.popularity)
    ]
    revenue = {"name": i18n.gettext("Spent by a customer"), "model": each[0], "popularity": each[1]}
    return [*rows, revenue | _apart(trial.revenue, points=False)]


def _share(found: Interval | None) -> str:
    return filters.percent(found.value if found else None)


def _apart(gap: Interval | None, *, points: bool) -> dict[str, Any]:
    """A difference in words and as a whisker."""
    if gap is None:
        return {"whisker": None, "low": "", "high": "", "difference": "", "conclusive": False}
    low, value, high = (_difference(one, points=points) for one in (gap.low, gap.value, gap.high))
    drawn = charts.whisker(gap.low, gap.value, gap.high, width=200)
    return {"whisker": drawn, "low": low, "high": high, "difference": value, "conclusive": gap.conclusive}


def _difference(value: float, *, points: bool) -> str:
    sign = "+" if value > 0 else ""
    if points:
        return i18n.gettext("%(points)s pts", points=sign + filters.number(value * 100, 1))
    return sign + filters.money(round(value))


def _by_use(found: dict[str, Tally]) -> list[tuple[str, Tally]]:
    return sorted(found.items(), key=lambda item: -item[1].shown)


def known(conn: sa.Connection, name: str) -> Placement:
    """The placement of this name; raises `NotFound`."""
    every = merchandising.every_placement(conn)
    if name not in every:
        raise NotFound(f"no placement is named {name}")
    return every[name]


def _since() -> date:
    return (datetime.now(UTC) - timedelta(days=DAYS)).date()


def _by() -> str:
    user = security.current_user()
    return user.email if user else ""
