"""Before a campaign is launched: what speaks against it, how many it reaches, and a second person's yes to many."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import (
    basket_pages,
    connections,
    drafts,
    dry_runs,
    findings,
    message_checks,
    notes,
    offer_forecast,
    offers,
    plans,
    policy,
    tables,
)
from campaigns.definitions import content, edits, entries, shapes
from campaigns.drafts import Draft
from campaigns.dry_runs import DryRun
from campaigns.links import Reach
from campaigns.message_checks import Press
from campaigns.plans import Plan
from campaigns.rules import Policy
from foundation import database
from foundation.errors import Conflict, Fault

approvals, tests = tables.campaign_approvals, tables.campaign_tests

MAILS_WRONG = "mails_wrong"
"""Why a launch is refused when a mail comes out badly."""
MESSAGE = "message"
"""The word of a line about one message: its `values` hold the `check` of it and the `locales` it is true of."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who asked for a second yes to a definition, and who gave it."""

    asked_by: str
    asked_at: datetime
    approved_by: str | None
    approved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list before launching. `word` names it, `state` is ok, todo, warn or bad: only bad prevents the
    launch. `values` fill its sentence, `step` is the step it is about."""

    word: str
    state: str
    values: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Everything known before launching."""

    faults: list[Fault]
    checks: list[Check]
    run: DryRun | None
    approval: Approval | None

    @property
    def ready(self) -> bool:
        """Whether nothing prevents it."""
        return all(check.state != "bad" for check in self.checks)


def readiness(conn: sa.Connection, plan: Plan, draft: Draft, *, press: Press, now: datetime) -> Readiness:
    """The list before launching, the worst first asked for: faults, then approval, then what is worth knowing. Without
    what `rendered` takes longer to say."""
    faults = drafts.faults(conn, plan, draft.definition)
    run = dry_runs.last(conn, plan)
    mine = run if run and run.fingerprint == drafts.fingerprint(draft.definition) else None
    rules = policy.load(conn)
    approval = approved(conn, plan.id, draft.definition)
    checks = [
        Check("faults", "bad" if faults else "ok", {"n": len(faults)}),
        *_based(plan, draft),
        *_said(draft.definition),
        *_messages(draft.definition, rules, press),
        *_baskets(conn, draft.definition, press.links.reach(rules)),
        *_channels(conn, draft.definition, rules.sender or press.sender),
        *_weights(draft.definition, rules),
        *_offers(conn, draft.definition, mine, now=now),
        *_rules(draft.definition, rules),
        *_found(conn, draft.definition, mine, now=now),
        _tried(mine),
        _tested(conn, plan.id),
        *_approval(mine, approval, rules),
    ]
    return Readiness(faults, checks, mine, approval)


def rendered(conn: sa.Connection, plan: Plan, draft: Draft, *, press: Press, now: datetime) -> list[Check]:
    """The lines of the list that say how the mails come out."""
    return [_message(fault) for fault in message_checks.come_out(conn, plan, draft.definition, press, now=now)]


def launch(
    conn: sa.Connection, plan: Plan, *, revision: int | None = None, press: Press, now: datetime
) -> tuple[Plan, bool]:
    """Publishes the draft (if `revision` names one) and starts the campaign unless it runs; whether it was started.

    Raises `Invalid` with faults, `Conflict` while something prevents it, `drafts.Stale` if the draft was changed.
    """
    draft = drafts.of(conn, plan)
    if revision is not None and draft.revision != revision:
        raise drafts.Stale(draft)
    said = draft if revision is not None else _published(plan)
    bad = [check for check in readiness(conn, plan, said, press=press, now=now).checks if check.state == "bad"]
    if bad and all(check.word != "faults" for check in bad):
        raise Conflict("not_ready", f"{plan.name} cannot be launched yet: {', '.join(map(_why, bad))}")
    wrong = [check for check in rendered(conn, plan, said, press=press, now=now) if check.state == "bad"]
    if wrong:
        raise Conflict(MAILS_WRONG, f"{plan.name} cannot be launched yet: {', '.join(map(_why, wrong))}")
    if revision is not None:
        plan = drafts.publish(conn, plan, revision=revision, now=now)
    if plan.state == "sending":
        return plan, False
    return plans.launch(conn, plan.name, now=now), True


def approve_published(conn: sa.Connection, plan: Plan, *, by: str, now: datetime) -> None:
    """The second yes to what is published, where no draft is looked at: it is asked for as well if nobody did. Raises
    `Conflict` if who asks answers."""
    definition = _published(plan).definition
    ask(conn, plan, definition, by="flask campaign launch", now=now)
    approve(conn, plan, definition, by=by, now=now)


def _why(check: Check) -> str:
    """What prevents a launch; of what the doctor found, what to do; of a message, what is wrong with it."""
    if check.word == MESSAGE:
        wrong = check.values["check"]
        return " ".join([check.word, check.step, wrong.word, *(f"({value})" for value in wrong.values.values())])
    found = f"{check.values['subject']} ({check.values['found']})" if "found" in check.values else ""
    return f"{check.word} {found}".rstrip()


def _published(plan: Plan) -> Draft:
    from_version = edits.trimmed(plan.definition.model_dump(mode="json", exclude_defaults=True))
    return Draft(plan.id, from_version, plan.version, 0, 1, 1, "began", "", None, "")


# -------------------------------------------------------------------------------------------------- checks
def _based(plan: Plan, draft: Draft) -> Iterator[Check]:
    """Somebody published another version since the draft began."""
    if draft.based_on != plan.version:
        yield Check("based", "warn", {"old": draft.based_on, "new": plan.version})


def _sends(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for step in message_checks.messages(definition):
        yield step["id"], step


def _messages(definition: Mapping[str, Any], rules: Policy, press: Press) -> list[Check]:
    """What speaks against each message as it is written; one line where nothing does."""
    faults = message_checks.written(definition, reach=press.links.reach(rules))
    return [_message(fault) for fault in faults] or [Check("messages", "ok")]


def _message(fault: message_checks.Fault) -> Check:
    return Check(MESSAGE, fault.check.state, {"check": fault.check, "locales": fault.locales}, fault.step)


def _baskets(conn: sa.Connection, definition: Mapping[str, Any], reach: Reach) -> Iterator[Check]:
    """Whether the button back to a basket leads anywhere, as the latest baskets tell."""
    about = entries.about(definition.get("entry") or {})
    if about != "cart" or all(step.get("link") for _, step in _sends(definition)):
        return
    lost = basket_pages.lost(conn, reach)
    if lost.host:
        yield Check("basket_host", "warn", {"host": lost.host})
    if lost.nowhere:
        yield Check("basket_nowhere", "warn", {"n": lost.nowhere})


def _said(definition: Mapping[str, Any]) -> Iterator[Check]:
    """Every message in every language."""
    sends = list(_sends(definition))
    lacking = [
        (name, locale) for name, step in sends for locale in content.LOCALES if locale not in (step.get("words") or {})
    ]
    yield (
        Check("words", "ok", {"n": len(sends)})
        if not lacking
        else Check("words_lacking", "warn", {"n": len(lacking), "locale": lacking[0][1]}, lacking[0][0])
    )


def _channels(conn: sa.Connection, definition: Mapping[str, Any], sender: str) -> Iterator[Check]:
    """Who it is from, and channels that nobody carries."""
    yield Check("sender", "warn" if "localhost" in sender else "ok", {"sender": sender})
    carried = connections.connected(conn)
    for name, step in _sends(definition):
        channel = step.get("channel", "email")
        if channel not in (*carried, "best"):
            yield Check("not_connected", "warn", {"channel": channel}, name)


def _weights(definition: Mapping[str, Any], rules: Policy) -> Iterator[Check]:
    """How many parts each text message takes, what one costs, and the letters that make it dearer."""
    for name, step in _sends(definition):
        if step.get("channel") != "sms":
            continue
        said = {
            locale: str(words.get("intro", ""))
            for locale, words in (step.get("words") or {}).items()
            if locale in content.LOCALES
        }
        if weight := notes.heaviest(said, rules):
            price = round(rules.price("sms", weight.parts)) / 100
            told = {"parts": weight.parts, "price": price, "letters": " ".join(weight.forcing[:8])}
            word = "text_dear" if weight.forcing else "text"
            yield Check(word, "warn" if weight.parts > 1 and weight.forcing else "ok", told, name)


def _offers(
    conn: sa.Connection, definition: Mapping[str, Any], run: DryRun | None, *, now: datetime
) -> Iterator[Check]:
    """Offers that are over before it begins, and how many codes will be asked for, of a pool beside what it has."""
    wanted, seen = dry_runs.codes_wanted(run), set()
    for name, step in _sends(definition):
        offer = offers.find(conn, step["offer"]) if step.get("offer") else None
        if offer is None or offer.name in seen:
            continue
        seen.add(offer.name)
        need = next(iter(offer_forecast.compare(conn, {offer.name: wanted.get(offer.name, 0)})))
        if offer.terms.ends_at and offer.terms.ends_at <= now:
            yield Check("offer_over", "bad", {"offer": offer.name}, name)
        elif run is None or run.outcome is None:
            yield Check("codes_unknown", "todo", {"offer": offer.name}, name)
        elif need.has is not None:
            state = "warn" if need.short or not need.has or run.cut else "ok"
            yield Check(
                "codes_pool_least" if run.cut else "codes_pool",
                state,
                {"offer": offer.name, "n": need.needed, "has": need.has},
                name,
            )
        else:
            yield Check("codes", "ok", {"offer": offer.name, "n": need.needed, "days": run.days}, name)


def _rules(definition: Mapping[str, Any], rules: Policy) -> Iterator[Check]:
    """Consent, holdout, quiet hours, and messages that would be too late after them."""
    purpose = definition.get("purpose", "marketing")
    yield Check("consent" if purpose == "marketing" else "service", "ok")
    held = definition.get("holdout_percent", 0)
    yield Check("holdout", "ok", {"percent": held}) if held else Check("holdout_none", "todo")
    if canary := definition.get("canary"):
        yield Check("canary", "ok", {"n": canary.get("messages", 200), "expires": canary.get("wait", "30m")})
    if rules.quiet_from is None or rules.quiet_until is None:
        yield Check("quiet_none", "todo")
        return
    yield Check("quiet", "ok", {"start": rules.quiet_from, "end": rules.quiet_until})
    quiet = timedelta(
        hours=(rules.quiet_until.hour - rules.quiet_from.hour) % 24,
        minutes=rules.quiet_until.minute - rules.quiet_from.minute,
    )
    for name, step in _sends(definition):
        expires = step.get("expires", "48h")
        if _readable(expires) and shapes.length(expires) <= quiet:
            yield Check("late", "warn", {"expires": expires}, name)


def _readable(text: object) -> bool:
    return isinstance(text, str) and text[:-1].isdecimal() and text[-1:] in ("m", "h", "d", "w")


def _tried(run: DryRun | None) -> Check:
    if run is None:
        return Check("dry_run_none", "todo")
    if run.outcome is None:
        return Check("dry_run_pending", "todo")
    a_day = round(sum(number for _, _, number in run.hours) / run.days)
    values = {"entered": run.outcome["entered"], "days": run.days, "a_day": a_day}
    return Check("dry_run_least", "warn", values) if run.cut else Check("dry_run", "ok", values)


def _tested(conn: sa.Connection, campaign_id: int) -> Check:
    sent = conn.execute(
        sa.select(tests.c.sent_at, tests.c.sent_to)
        .where(tests.c.campaign_id == campaign_id)
        .order_by(tests.c.sent_at.desc())
        .limit(1)
    ).one_or_none()
    return Check("tested", "ok", {"at": sent.sent_at, "to": sent.sent_to}) if sent else Check("tested_none", "todo")


def _approval(run: DryRun | None, approval: Approval | None, rules: Policy) -> Iterator[Check]:
    """A second yes, where it reaches more people in a day than one person may decide on."""
    if not rules.approval_above:
        return
    values: dict[str, Any] = {"above": rules.approval_above}
    if run is None or run.outcome is None:
        yield Check("size_unknown", "bad", values)
    elif run.cut or run.most_in_a_day > rules.approval_above:
        values |= {"n": run.most_in_a_day, "by": approval.approved_by if approval else None}
        state = "ok" if approval and approval.approved_by else "bad"
        yield Check("approved" if state == "ok" else "approval_asked" if approval else "approval", state, values)


def _found(conn: sa.Connection, definition: Mapping[str, Any], run: DryRun | None, *, now: datetime) -> Iterator[Check]:
    """What the doctor found red: a bulk sender's launch waits until it is mended, a small one is warned."""
    if not any(step.get("channel", "email") in ("email", "best") for _, step in _sends(definition)):
        return
    a_day = run.most_in_a_day if run and run.outcome is not None else None
    if a_day is None:
        a_day = findings.few(conn)
    for one in findings.harmful(conn, now=now):
        told = {"subject": one.subject, "found": one.detail, "above": findings.BULK, "n": a_day or 0}
        if a_day is None:
            yield Check("red_unsized", "bad", told)
        elif a_day > findings.BULK or (run and run.cut):
            yield Check("red", "bad", told)
        else:
            yield Check("red_small", "warn", told)


# ------------------------------------------------------------------------------------------------ approval
def approved(conn: sa.Connection, campaign_id: int, definition: Mapping[str, Any]) -> Approval | None:
    """What was asked and answered about this very definition."""
    query = sa.select(approvals.c.asked_by, approvals.c.asked_at, approvals.c.approved_by, approvals.c.approved_at)
    mine = approvals.c.fingerprint == drafts.fingerprint(definition)
    found = database.read(conn, query.where(approvals.c.campaign_id == campaign_id, mine), Approval)
    return found[0] if found else None


def ask(conn: sa.Connection, plan: Plan, definition: Mapping[str, Any], *, by: str, now: datetime) -> None:
    """Asks for a second yes to what is written; asking again changes nothing."""
    row = {"campaign_id": plan.id, "fingerprint": drafts.fingerprint(definition), "asked_by": by, "asked_at": now}
    conn.execute(postgresql.insert(approvals).values(row).on_conflict_do_nothing())


def approve(conn: sa.Connection, plan: Plan, definition: Mapping[str, Any], *, by: str, now: datetime) -> None:
    """The second yes; raises `Conflict` if nobody asked, or if who asks answers."""
    asked = approved(conn, plan.id, definition)
    if asked is None:
        raise Conflict("not_asked", "nobody asked for approval of what is written now")
    if asked.asked_by == by:
        raise Conflict("same_person", "whoever asks for approval cannot give it")
    mine = (approvals.c.campaign_id == plan.id) & (approvals.c.fingerprint == drafts.fingerprint(definition))
    conn.execute(sa.update(approvals).where(mine).values(approved_by=by, approved_at=now))
