"""Campaigns over a large crowd: an audience taken in, sent to, many woken at once, and how soon one message goes.

    python -m bench campaigns                                       100,000 customers
    RELANCE_BENCH_CUSTOMERS=1000000 python -m bench campaigns       a million
    RELANCE_BENCH_EVENTS=20                                         events of each customer, if not 4
    RELANCE_BENCH_KEEP=/some/folder                                 the crowd is kept there, and found again
    RELANCE_BENCH_PARTS="enrolled sent woken soon hostile"          some of the five
    RELANCE_BENCH_LETTER=0                                          a letter of 20 kB instead of 60

The provider speaks SendGrid's v3 and is a process of its own, and so is the sender: `deliver_due` with the parts of a
real installation. Beside it a bare loop renders the same Jinja templates with the same kind of values and posts one
request for every fifty, and keeps nothing. How soon a message goes is seen from outside: a real scheduler with its
timetable, journeys whose wait ends at a known moment, and the provider's clock. In the last part one sender works alone
and another while somebody tries to save texts that want to run, to swell or never to end, ten a second.
"""

import itertools
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import sqlalchemy as sa

from app import parts
from bench import bare_mail, crowd, mail_sink, web
from bench.mail_sink import Sink
from campaigns import content, enrolments, entering, messages, plans, policy, wording
from campaigns.definitions import shapes
from campaigns.definitions.steps import Send
from campaigns.links import Links
from campaigns.rules import Policy
from foundation.config import Config
from foundation.database import Database
from tests.campaigns import hostile, letters

SENT = 60_000
"""Messages handed over in the second part, at most."""
TURN, TURNS = 8_000, 3
"""Messages a sender hands over alone, then as many beside hostile texts, so many times."""
TRIED_EVERY = 0.1
"""Seconds between two hostile texts."""
WOKEN = 200_000
SOON, SOON_SECONDS = 300, 120
BARE = 3_000
TOGETHER = 50
MORE = int(os.environ.get("RELANCE_BENCH_LETTER", "15"))
"""Blocks of text beyond the first two; each makes the letter longer by 2.7 kB."""
PARAGRAPH = "Une recette de saison, pas à pas, avec ce que vous avez déjà dans la cuisine. " * 3
WORDS = {
    "subject": "{{ customer.first_name }}, le marché de la semaine",
    "blocks": [
        {"type": "header"},
        {"type": "text", "heading": "Bonjour {{ customer.first_name }}", "body": f"{PARAGRAPH}\n\n{PARAGRAPH}"},
        {"type": "image", "url": "https://aubier.example/semaine.png", "alt": "Le marché", "link": "/semaine"},
        *[{"type": "text", "heading": "Cette semaine", "body": f"{PARAGRAPH}\n\n{PARAGRAPH}"}] * (1 + MORE),
        {"type": "button", "label": "Voir le marché", "link": "/marche"},
    ],
}
SEND = {"type": "send", "id": "letter", "channel": "email", "words": {"fr": WORDS}, "link": "/marche"}
EVERYBODY = {"type": "trait", "name": "points", "op": "at_least", "value": 0}
AGREED = {"type": "consent", "channel": "email"}
BUYERS = {"type": "orders", "value": 1, "within": "180d"}
WAITING = timedelta(hours=1)


def run() -> list[dict[str, object]]:
    """The figures, for the size that `RELANCE_BENCH_CUSTOMERS` says."""
    customers = int(os.environ.get("RELANCE_BENCH_CUSTOMERS", "100000"))
    chosen = os.environ.get("RELANCE_BENCH_PARTS", " ".join(PARTS)).split()
    rows: list[dict[str, object]] = []
    with crowd.of(customers, events_each=4) as db, mail_sink.started() as sink:
        with db.begin() as conn:
            policy.save(conn, Policy(quiet_from=None, quiet_until=None, cap_messages=20), now=datetime.now(UTC))
        for name in chosen:
            found = PARTS[name](db, sink)
            print(*found, sep="\n", file=sys.stderr)
            rows += [{"customers": customers, **row} for row in found]
    return rows


# ------------------------------------------------------------------------------------------------ taking in
def _broadcast(db: Database, name: str, audience: dict[str, Any]) -> None:
    """Launched a quarter of an hour ago, due five minutes ago."""
    now = datetime.now(UTC)
    due = now - timedelta(minutes=5)
    entry = {"type": "schedule", "on": due.date().isoformat(), "at": f"{due:%H:%M}", "zone": "UTC"}
    definition = {"title": name, "entry": {**entry, "audience": audience}, "steps": [SEND]}
    with db.begin() as conn:
        plans.create(conn, name, definition=definition, now=now - timedelta(minutes=15))
        plans.launch(conn, name, now=now - timedelta(minutes=15))


def _enrolled(db: Database, sink: Sink) -> list[dict[str, object]]:
    """A broadcast to everybody: its audience frozen and enrolled in one transaction; then its messages queued."""
    _broadcast(db, "everybody", EVERYBODY)
    began = time.perf_counter()
    enrolments.admit_timed(db, now=datetime.now(UTC))
    seconds = time.perf_counter() - began
    number = _count(db, "enrolments")
    began = time.perf_counter()
    enrolments.advance_due(db, now=datetime.now(UTC))
    advanced = time.perf_counter() - began
    queued = _count(db, "messages")
    assert queued == _count(db, "enrolments WHERE state = 'waiting'") > 0.99 * number  # some bought a moment ago
    _forget(db)
    return [
        {"what": "audience frozen and enrolled", "number": number, "seconds": seconds, "a second": number / seconds},
        {"what": "their messages queued", "number": number, "seconds": advanced, "a second": number / advanced},
    ]


def _count(db: Database, table: str) -> int:
    with db.begin() as conn:
        return int(conn.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)


# ------------------------------------------------------------------------------------------------- handing over
def _sent(db: Database, sink: Sink) -> list[dict[str, object]]:
    """A broadcast to who agreed, handed over by a sender of its own process; and the bare loop after it."""
    _broadcast(db, "letter", AGREED)
    enrolments.admit_timed(db, now=datetime.now(UTC))
    enrolments.advance_due(db, now=datetime.now(UTC))
    _vacuum(db)
    sink.forget()
    told = _apart("send", db, sink)
    taken = sink.taken()
    assert not taken.twice and len(taken.times) == told["accepted"], (taken.twice, len(taken.times), told)
    sink.forget()
    bare = _apart("bare", db, sink)
    _forget(db)
    common = {"ratio": taken.a_second / bare["a second"], "bare": bare["a second"], "megabytes": told["megabytes"]}
    return [
        {"what": "handed over", "number": len(taken.times), "a second": taken.a_second, **common},
        {"what": "the same, until settled", "seconds": told["seconds"], "a second": told["accepted"] / told["seconds"]},
        {"what": "recipients a call", "number": len(taken.times) / taken.calls, "bytes": bare["bytes"]},
    ]


def _forget(db: Database) -> None:
    """No campaign has ever been, and nothing waits for a sender."""
    with db.begin() as conn:
        conn.execute(sa.text("TRUNCATE campaigns CASCADE"))


def _vacuum(db: Database) -> None:
    """As autovacuum would have done by the time a campaign of this size goes."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM ANALYZE enrolments, messages"))


def _apart(what: str, db: Database, sink: Sink, *, number: int = SENT) -> dict[str, Any]:
    """This module as a process of its own, and what it says."""
    with tempfile.TemporaryDirectory(prefix="relance-bench-") as var:
        command = [sys.executable, "-m", "bench.bench_campaigns", what, str(number)]
        done = subprocess.run(command, cwd=web.ROOT, env=_settings(db, sink, var), stdout=subprocess.PIPE, check=True)
    return dict(orjson.loads(done.stdout.splitlines()[-1]))


def _settings(db: Database, sink: Sink, var: str) -> dict[str, str]:
    own = {"RELANCE_DATABASE_URL": db.url, "RELANCE_VAR": var, "RELANCE_EMAIL_URL": f"sendgrid:key@{sink.url}"}
    return {**os.environ, **own, "RELANCE_EMAIL_FROM": "Aubier <bonjour@aubier.example>", "RELANCE_LOCALE": "fr"}


def _send(number: int) -> dict[str, object]:
    """What the sender does: until so many are accepted, or nothing is left."""
    made = parts.build(Config.from_env())
    sending = replace(made.sending(), seconds=number / 3_000)
    began, accepted = time.perf_counter(), 0
    while accepted < number:
        told = messages.deliver_due(made.db, sending, channels=["email"], now=datetime.now(UTC))
        words = dict(part.split(" ", 1)[::-1] for part in (told or "").split(", ") if part)
        if not (fresh := int(words.get("accepted", 0))):
            break
        accepted += fresh
    seconds = time.perf_counter() - began
    made.close()
    return {"accepted": accepted, "seconds": seconds, "megabytes": _resident(os.getpid())}


def _bare(_number: int) -> dict[str, object]:
    """Jinja fills the two templates for each, and every fifty are posted; nothing is looked up and nothing kept."""
    host = Config.from_env().email_url.partition("@")[2]
    letter = _letter()
    values, bodies = letter.values[0], 0
    with httpx2.Client(base_url=host) as client:
        began = time.perf_counter()
        for _ in range(0, BARE, TOGETHER):
            filled = [(letter.html.render(values), letter.text.render(values)) for _ in range(TOGETHER)]
            people = [
                {"to": [{"email": f"user{n}@crowd.example"}], "custom_args": {"mid": str(uuid4())}}
                for n in range(TOGETHER)
            ]
            parts_of = [{"type": "text/plain", "value": filled[0][1]}, {"type": "text/html", "value": filled[0][0]}]
            client.post("/v3/mail/send", content=orjson.dumps({"personalizations": people, "content": parts_of}))
            bodies = len(filled[0][0].encode())
        seconds = time.perf_counter() - began
    return {"a second": BARE / seconds, "bytes": bodies}


def _letter() -> bare_mail.Bare:
    """The letter as one reader gets it, without us."""
    one = replace(letters.occasion(), says=shapes.read(Send, SEND), cart=None, offer=None, code=None, items=())
    links = Links(["a secret of the benchmark, long enough"], "https://relance.example")
    return bare_mail.of(lambda: content.render(one, links))


# -------------------------------------------------------------------------------------- beside hostile texts
def _hostile(db: Database, sink: Sink) -> list[dict[str, object]]:
    """A sender alone and beside hostile texts, in turns, so that what changes meanwhile meets both."""
    _broadcast(db, "beside", AGREED)
    enrolments.admit_timed(db, now=datetime.now(UTC))
    enrolments.advance_due(db, now=datetime.now(UTC))
    _vacuum(db)
    alone, beside = list[float](), list[float]()
    tried: dict[str, Any] = {}
    for _ in range(TURNS):
        alone.append(_turn(db, sink))
        saving = subprocess.Popen(
            [sys.executable, "-m", "bench.bench_campaigns", "save", "0"],
            cwd=web.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        beside.append(_turn(db, sink))
        tried = orjson.loads(saving.communicate()[0].splitlines()[-1])
    _forget(db)
    kept = statistics.median(beside) / statistics.median(alone)
    return [
        {"what": "handed over alone", "a second": statistics.median(alone), "turns": [round(one) for one in alone]},
        {
            "what": "beside hostile texts",
            "a second": statistics.median(beside),
            "ratio": kept,
            "turns": [*map(round, beside)],
        },
        {"what": "hostile texts, milliseconds each", **tried},
    ]


def _turn(db: Database, sink: Sink) -> float:
    sink.forget()
    _apart("send", db, sink, number=TURN)
    return sink.taken().a_second


def _save(_number: int) -> dict[str, object]:
    """Tries to fill in one hostile text after the other until nobody listens any more, and tells how long each took."""
    took = list[float]()
    wording.render("{{ x }}", {"x": "the process that tries them is there"})
    with tempfile.TemporaryDirectory(prefix="relance-bench-") as folder:
        witness = Path(folder) / "witness"
        for text in itertools.cycle(hostile.corpus(str(witness))):
            if select.select([sys.stdin], [], [], TRIED_EVERY)[0]:
                break
            began = time.perf_counter()
            try:
                wording.render(text, {"x": {"y": "z"}, "customer": {}, "cart": {"lines": []}})
            except wording.WordingError:
                took.append((time.perf_counter() - began) * 1000)
            else:
                raise AssertionError(text)
        assert not witness.exists()
    took.sort()
    return {"number": len(took), "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)], "longest": took[-1]}


# ------------------------------------------------------------------------------------------------- journeys
def _journey(db: Database, name: str, number: int, ends: tuple[datetime, datetime]) -> None:
    """So many under way, whose wait of an hour ends between these moments; a split and a message follow it."""
    first, last = ends
    steps = [
        {"type": "wait", "id": "hour", "duration": "1h"},
        {"type": "split", "id": "way", "branches": [{"name": "buyers", "when": BUYERS, "steps": [SEND]}]},
    ]
    if name == "soon":
        steps[1:] = [SEND]
    entry = {"type": "event", "event": "Account Created", "key": "none"}
    definition = {"title": name, "entry": entry, "steps": steps, "goal": {"event": "Order Completed"}}
    begun = first - WAITING - timedelta(minutes=1)
    with db.begin() as conn:
        plans.create(conn, name, definition=definition, now=begun)
        plan = plans.launch(conn, name, now=begun)
        spread = (last - first) / number
        chosen = sa.text(
            "SELECT id AS customer_id, 'once' AS entry_key, NULL::bigint AS cart_ref, '{}'::jsonb AS context,"
            " :since + :spread * (row_number() OVER (ORDER BY id) - 1) AS happened_at"
            " FROM customers JOIN consents ON customer_id = id AND consents.channel = 'email'"
            " AND consents.state = 'granted' ORDER BY id LIMIT :number"
        ).columns(
            sa.column("customer_id", sa.BigInteger),
            sa.column("entry_key", sa.Text),
            sa.column("cart_ref", sa.BigInteger),
            sa.column("context"),
            sa.column("happened_at", sa.DateTime(timezone=True)),
        )
        bound = chosen.bindparams(since=first - WAITING, spread=spread, number=number)
        entering.enrol(conn, plan, bound.subquery("chosen"), once=True, now=begun)
    enrolments.advance_due(db, now=first - timedelta(seconds=30))
    _vacuum(db)


def _woken(db: Database, sink: Sink) -> list[dict[str, object]]:
    """As many as there are, up to 200,000, whose waits ended within the minute before."""
    now = datetime.now(UTC)
    _journey(db, "woken", WOKEN, (now - timedelta(minutes=1), now))
    of_it = "campaign_id = (SELECT id FROM campaigns WHERE name = 'woken')"
    number = _count(db, f"enrolments WHERE {of_it}")
    began = time.perf_counter()
    enrolments.advance_due(db, now=now)
    seconds = time.perf_counter() - began
    with db.begin() as conn:
        left = conn.scalar(sa.text("SELECT count(*) FROM enrolments WHERE wake_at <= :now"), {"now": now})
        assert not left, left
    queued = _count(db, f"messages WHERE {of_it}")
    _forget(db)
    row = {"what": "journeys woken in one minute, all advanced", "number": number, "seconds": seconds}
    return [{**row, "a second": number / seconds, "queued": queued}]


# ------------------------------------------------------------------------------------------------ how soon
def _soon(db: Database, sink: Sink) -> list[dict[str, object]]:
    """From the moment a wait is over to the provider's acceptance, by a real scheduler with nothing else to do."""
    sink.forget()
    with db.begin() as conn:
        conn.execute(sa.text("TRUNCATE job_runs"))
    with tempfile.TemporaryDirectory(prefix="relance-bench-") as var:
        env = {**_settings(db, sink, var), "RELANCE_DEMO": "0"}
        scheduler = subprocess.Popen([sys.executable, "scheduler.py"], cwd=web.ROOT, env=env, stderr=subprocess.DEVNULL)
        try:
            _await_scheduler(db)
            first = datetime.now(UTC) + timedelta(seconds=10)
            last = first + timedelta(seconds=SOON_SECONDS)
            _journey(db, "soon", SOON, (first, last))
            while datetime.now(UTC) < last + timedelta(seconds=30) and len(sink.taken().times) < SOON:
                time.sleep(2)
            memory = _resident(scheduler.pid)
        finally:
            scheduler.terminate()
            scheduler.wait()
    waits = sorted(_waits(db, sink))
    row = {"what": "from due to accepted", "number": len(waits), "p50": waits[len(waits) // 2]}
    return [{**row, "p99": waits[int(len(waits) * 0.99)], "longest": waits[-1], "scheduler's megabytes": memory}]


def _await_scheduler(db: Database) -> None:
    """Until its jobs run."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not _count(db, "job_runs WHERE job = 'deliver email'"):
        time.sleep(0.5)


def _waits(db: Database, sink: Sink) -> list[float]:
    times = sink.taken().times
    query = sa.text(
        "SELECT messages.id::text, extract(epoch FROM happened_at + :waiting)::float8 FROM messages"
        " JOIN enrolments ON enrolments.id = enrolment_id JOIN campaigns ON campaigns.id = messages.campaign_id"
        " WHERE campaigns.name = 'soon'"
    )
    with db.begin() as conn:
        due = {name: at for name, at in conn.execute(query, {"waiting": WAITING})}
    assert len(due) == SOON and due.keys() == times.keys(), (len(due), len(times))
    return [times[name] - at for name, at in due.items()]


def _resident(pid: int) -> float:
    """The most memory a process held, in megabytes; `getrusage` would tell of the program that started it as well."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


PARTS = {"enrolled": _enrolled, "sent": _sent, "woken": _woken, "soon": _soon, "hostile": _hostile}

if __name__ == "__main__":
    print(orjson.dumps({"send": _send, "bare": _bare, "save": _save}[sys.argv[1]](int(sys.argv[2]))).decode())
