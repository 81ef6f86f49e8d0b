"""SendGrid as it is documented: many recipients a call, what is each one's own, refusals, its log and its lists."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sendgrid.helpers import mail as sg

from campaigns import content, sendgrid_account, tables
from campaigns.channels import pieces, sendgrid, sharing
from campaigns.channels.base import Mail, Outcome
from campaigns.channels.outbox import OutboxChannel
from campaigns.channels.pieces import Body, Cut, Form
from campaigns.channels.sendgrid import SendgridChannel
from foundation.database import Database
from shop import consent
from tests.campaigns import letters, mails, sendgrid_host, world
from tests.campaigns.sendgrid_host import SendgridHost

MINUTE = timedelta(minutes=1)


@pytest.fixture
def host() -> Iterator[SendgridHost]:
    with sendgrid_host.hosting() as listening:
        yield listening


@pytest.fixture
def channel(host: SendgridHost) -> Iterator[SendgridChannel]:
    made = SendgridChannel("SG.key", host=host.url, read_seconds=0.5)
    yield made
    made.close()


PARTS = ("subject", "body", "headers")


def broadcast(number: int, *, fresh: bool = True, **changes: object) -> list[Mail]:
    """Mails of one campaign as they are rendered, each with a name and links of its own; else as they were kept."""
    found = []
    for n in range(number):
        row = content.render(letters.occasion(message_id=uuid4(), first_name=f"Ada {n}"), world.LINKS)
        body = row["body"] if fresh else Body.of(Form.unpacked(row["body"].form.packed), row["body"].own)
        texts = {name: row[name] for name in PARTS} | {"body": body}
        message_id = UUID(row["headers"]["Message-ID"].strip("<>").partition("@")[0])
        made = mails.mail(message_id=message_id, address=f"a{n}@example.org", broadcast=True, **texts)
        found.append(replace(made, **changes))
    return found


@pytest.mark.parametrize("fresh", [True, False])
def test_fifty_of_a_broadcast_travel_in_one_call_and_each_gets_her_own_mail_to_the_letter(
    host: SendgridHost, channel: SendgridChannel, fresh: bool
) -> None:
    batch = broadcast(60, fresh=fresh)
    receipts = channel.deliver(batch)
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert not any("html" in vars(mail.body) for mail in batch if not fresh), "nobody's mail was written out whole"
    assert sorted(len(call["personalizations"]) for call in host.taken) == [10, 50]
    got = {mail["mid"]: mail for mail in host.delivered()}
    for mail in batch:
        mine = got[str(mail.message_id)]
        assert (mine["to"], mine["subject"]) == (mail.address, mail.subject)
        assert (mine["html"], mine["text"]) == (mail.html, mail.text)
        assert all(mine[name] == value for name, value in mail.headers.items())
    one = host.taken[0]["personalizations"][0]
    assert set(one["custom_args"]) == {"mid", "attempt"}, "nothing personal is kept in the clear"
    assert len(str(host.taken[0])) < 60 * len(batch[0].html) / 3, "what they share travels once"


def test_mails_of_other_forms_and_those_kept_as_a_whole_have_calls_of_their_own(
    host: SendgridHost, channel: SendgridChannel
) -> None:
    wholes = [replace(mail, body=pieces.whole(mail.html, mail.text)) for mail in broadcast(2)]
    batch = [*broadcast(5), *broadcast(4, fresh=False), *wholes]
    batch = [replace(mail, address=f"{n}@example.org") for n, mail in enumerate(batch)]
    for n, items in enumerate(([], letters.occasion().items[:1], letters.occasion().items[:1])):
        row = content.render(letters.occasion(message_id=uuid4(), items=items), world.LINKS)
        made = mails.mail(**{name: row[name] for name in PARTS})
        batch.append(replace(made, message_id=uuid4(), address=f"other{n}@example.org", broadcast=True))
    assert {receipt.outcome for receipt in channel.deliver(batch)} == {Outcome.ACCEPTED}
    assert sorted(len(call["personalizations"]) for call in host.taken) == [1, 1, 1, 2, 9]
    got = {mail["mid"]: mail for mail in host.delivered()}
    assert all(got[str(mail.message_id)]["html"] == mail.html for mail in batch)


def test_each_recipient_is_written_as_the_packages_own_types_write_her() -> None:
    one, other = broadcast(2)
    shared = sharing.gather([one.body, other.body])
    written = sendgrid.payload([one, other], shared)["personalizations"]
    for mail, values, found in zip((one, other), shared.values, written, strict=True):  # type: ignore[call-overload]
        typed = sg.Personalization()
        typed.add_to(sg.To(mail.address))
        typed.subject = mail.subject
        for name, value in {"mid": str(mail.message_id), "attempt": "1"}.items():
            typed.add_custom_arg(sg.CustomArg(name, value))
        for name, value in mail.headers.items():
            if name in ("Message-ID", "List-Unsubscribe"):
                typed.add_header(sg.Header(name, value))
        for tag, value in (values or {}).items():
            typed.add_substitution(sg.Substitution(tag, value))
        assert found == typed.get()


def test_a_message_of_its_own_goes_alone(host: SendgridHost, channel: SendgridChannel) -> None:
    channel.deliver([mails.mail(), mails.mail(address="eve@example.org")])
    assert [len(call["personalizations"]) for call in host.taken] == [1, 1]
    assert host.taken[0]["categories"] == ["basket"]
    assert not host.taken[0]["tracking_settings"]["click_tracking"]["enable"]


def test_one_address_twice_in_a_batch_is_two_calls(host: SendgridHost, channel: SendgridChannel) -> None:
    batch = [replace(mail, address="same@example.org") for mail in broadcast(2)]
    assert {receipt.outcome for receipt in channel.deliver(batch)} == {Outcome.ACCEPTED}
    assert len(host.taken) == 2


def test_one_bad_address_among_many_fails_no_other(host: SendgridHost, channel: SendgridChannel) -> None:
    host.bad_recipients = {"a1@example.org"}
    receipts = channel.deliver(broadcast(3))
    assert [receipt.outcome.value for receipt in receipts] == ["accepted", "refused_final", "accepted"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((503, {}, ""), "ambiguous"),
        ((0, {}, ""), "ambiguous"),
        ((429, {"Retry-After": "7"}, ""), "refused_retry"),
        ((401, {}, "{}"), "misconfigured"),
    ],
    ids=["503", "hung up", "429", "401"],
)
def test_of_a_refused_call_no_mail_begins_once_one_was_not_answered(
    host: SendgridHost, channel: SendgridChannel, answer: tuple[int, dict[str, str], str], told: str
) -> None:
    """At most what was on its way is in doubt, whatever the size of the call."""
    host.answers = [(400, {}, '{"errors": []}'), *[answer] * sendgrid.CONNECTIONS * 2]
    receipts = [receipt.outcome.value for receipt in channel.deliver(broadcast(30))]
    begun = len(host.asked) - 1
    assert 1 <= begun <= sendgrid.CONNECTIONS
    assert (receipts.count(told), receipts.count("unsent")) == (begun, 30 - begun)


def test_of_a_refused_call_no_mail_begins_while_another_call_is_in_doubt(
    host: SendgridHost, channel: SendgridChannel
) -> None:
    host.answers = [(400, {}, '{"errors": []}'), (503, {}, "")]
    batch = [*broadcast(3), replace(mails.mail(), campaign="other")]
    receipts = [receipt.outcome.value for receipt in channel.deliver(batch)]
    assert len(host.asked) == 2
    assert sorted(receipts) in (["ambiguous", "unsent", "unsent", "unsent"], ["ambiguous"] * 3 + ["refused_final"])


def test_whose_own_part_is_too_heavy_goes_alone(host: SendgridHost, channel: SendgridChannel) -> None:
    light = broadcast(3)
    body = light[2].body
    heavy = Body(body.form, [*body.values[:-1], "x " * sharing.MOST_BYTES])
    batch = [*light[:2], replace(light[2], body=heavy)]
    assert {receipt.outcome for receipt in channel.deliver(batch)} == {Outcome.ACCEPTED}
    assert sorted(len(call["personalizations"]) for call in host.taken) == [1, 2]


def test_a_mail_that_looks_like_a_tag_is_not_shared(host: SendgridHost, channel: SendgridChannel) -> None:
    form = Form(Cut(["a", "-rl0-", ""], [0, 1]), Cut(["", ""], [2]))
    batch = list[Mail]()
    for n in range(4):
        body = Body(form, [str(n), "x", f"-rl{n}-" if n < 2 else str(n)])
        batch.append(mails.mail(message_id=uuid4(), address=f"{n}@x.example", broadcast=True, body=body))
    channel.deliver(batch)
    assert {mail["text"] for mail in host.delivered()} == {mail.text for mail in batch}
    assert {mail["html"] for mail in host.delivered()} == {mail.html for mail in batch}


def test_what_is_gathered_and_put_back_gives_each_mail_to_the_letter() -> None:
    chance, shared = random.Random(2), 0
    for _ in range(600):
        form, number = _form(chance)
        made = [Body(form, [_word(chance) or "-rl1-" for _ in range(number)]) for _ in range(chance.randrange(1, 9))]
        found = sharing.gather(made)
        for body, values in zip(made, found.values, strict=True):
            if values is not None:
                shared += 1
                html, text = found.html, found.text
                for tag, value in values.items():
                    html, text = html.replace(tag, value), text.replace(tag, value)
                assert (html, text) == (body.html, body.text)
    assert shared > 1_000


def _form(chance: random.Random) -> tuple[Form, int]:
    """A form of some constants, and how many values it takes; one of them may stand in several places, or in none."""
    number = chance.randrange(1, 5)
    cuts = []
    for _ in range(2):
        places = [chance.randrange(number) for _ in range(chance.randrange(5))]
        cuts.append(Cut([_word(chance) for _ in range(len(places) + 1)], places))
    return Form(*cuts), number


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((429, {"Retry-After": "7"}, ""), Outcome.REFUSED_RETRY),
        ((429, {"X-RateLimit-Reset": "1"}, ""), Outcome.REFUSED_RETRY),
        ((500, {}, ""), Outcome.AMBIGUOUS),
        ((503, {}, "<html>"), Outcome.AMBIGUOUS),
        ((401, {}, '{"errors":[{"message":"authorization required"}]}'), Outcome.MISCONFIGURED),
        ((403, {}, "{}"), Outcome.MISCONFIGURED),
        ((200, {"Content-Type": "text/html"}, "<html>Welcome to the hotel's network</html>"), Outcome.AMBIGUOUS),
        ((202, {"Content-Type": "text/html", "X-Message-Id": "x"}, "<html></html>"), Outcome.AMBIGUOUS),
        ((202, {}, ""), Outcome.AMBIGUOUS),
        ((204, {}, ""), Outcome.AMBIGUOUS),
        ((0, {}, ""), Outcome.AMBIGUOUS),
        ((-1, {}, ""), Outcome.AMBIGUOUS),
        ((302, {"Location": "https://elsewhere.example/"}, ""), Outcome.AMBIGUOUS),
    ],
)
def test_every_answer_is_told_for_what_it_is_for_all_of_a_call(
    host: SendgridHost, channel: SendgridChannel, answer: tuple[int, dict[str, str], str], outcome: Outcome
) -> None:
    host.answers = [answer]
    begun = time.monotonic()
    receipts = channel.deliver(broadcast(2))
    assert {receipt.outcome for receipt in receipts} == {outcome}
    assert time.monotonic() - begun < 1.4
    if outcome is Outcome.REFUSED_RETRY:
        assert receipts[0].busy and receipts[0].retry_after is not None


def test_the_sandbox_the_pool_and_another_host_are_settings(host: SendgridHost) -> None:
    channel = SendgridChannel("k", host=host.url, ip_pool="marketing", sandbox=True, recipients=2)
    host.answers = [(200, {}, "")]
    assert channel.deliver(broadcast(1))[0].outcome is Outcome.ACCEPTED
    host.answers = []
    channel.deliver(broadcast(3))
    channel.close()
    assert all(call["ip_pool_name"] == "marketing" for call in host.taken)
    assert all(call["mail_settings"]["sandbox_mode"]["enable"] for call in host.taken)
    assert sorted(len(call["personalizations"]) for call in host.taken) == [1, 2]


@pytest.mark.parametrize("field", ["subject", "sender", "address"])
def test_a_line_break_never_reaches_a_call(host: SendgridHost, channel: SendgridChannel, field: str) -> None:
    good = mails.mail()
    bad = replace(mails.mail(), **{field: getattr(good, field) + "\r\nBcc: all@example.org"})
    assert [receipt.outcome.value for receipt in channel.deliver([bad, good])] == ["refused_final", "accepted"]
    assert len(host.taken) == 1


def test_an_address_of_another_script_is_refused_by_name_and_its_domain_carried(
    host: SendgridHost, channel: SendgridChannel
) -> None:
    batch = [mails.mail(address="añés@example.org"), mails.mail(address="ada@café.example")]
    refused, taken = channel.deliver(batch)
    assert refused.outcome is Outcome.REFUSED_FINAL and "ASCII" in refused.detail
    assert taken.outcome is Outcome.ACCEPTED and host.delivered()[0]["to"] == "ada@xn--caf-dma.example"


def _word(chance: random.Random) -> str:
    return "".join(chance.choice('ab <"') for _ in range(chance.randrange(5)))


# ------------------------------------------------------------------------------------------- the account
@pytest.fixture
def doubtful(db: Database, now: datetime) -> UUID:
    """A message sent an hour ago of which nothing was heard."""
    return in_doubt(db, "camille", at=now - timedelta(hours=1))


def in_doubt(db: Database, user: str, *, at: datetime, state: str = "uncertain") -> UUID:
    message_id, address = uuid4(), f"{user}@example.org"
    with db.begin() as conn:
        customer = world.make_customer(conn, user, at=at)
        plan_id = conn.scalar(sa.select(tables.campaigns.c.id)) or world.launch(conn, now=at).id
        row = {"id": message_id, "campaign_id": plan_id, "version": 1, "step": "cart_1", "channel": "email"}
        row |= {"customer_id": customer, "entry_key": user, "state": state, "attempt": 1, "provider": "sendgrid"}
        row |= {"address_hash": consent.address_hash(conn, "email", address)}
        times = {"queued_at": at, "not_before": at, "expires_at": at + timedelta(days=2), "submitted_at": at}
        conn.execute(sa.insert(tables.messages), row | times)
        texts = {"subject": "s", "html": "h", "text": "t", "sender": "s@aubier.example", "headers": {}, "links": []}
        kept = {"message_id": message_id, "address": address, "rendered_at": at}
        conn.execute(sa.insert(tables.message_contents), kept | texts)
    return message_id


def log_of(message_id: UUID, address: str, *events: str) -> dict[str, object]:
    told = [{"event": event, "processed": "2026-11-21T09:05:00Z"} for event in events]
    shown = {"sg_message_id": f"sg.{message_id.hex}", "to_email": address, "events": told}
    return shown | {"custom_args": {"mid": str(message_id), "attempt": "1"}}


def state_of(db: Database, message_id: UUID) -> tuple[str, str]:
    query = sa.select(tables.messages.c.state, tables.messages.c.resolved_by).where(tables.messages.c.id == message_id)
    with db.begin() as conn:
        return tuple(conn.execute(query).one())  # type: ignore[return-value]


def test_the_log_settles_what_the_webhook_missed(
    db: Database, host: SendgridHost, channel: SendgridChannel, doubtful: UUID, now: datetime
) -> None:
    mine, other = log_of(doubtful, "camille@example.org", "processed", "delivered"), uuid4()
    host.logs = {str(log["sg_message_id"]): log for log in (log_of(other, "camille@example.org", "bounce"), mine)}
    assert sendgrid_account.reconcile(db, channel, now=now) == "2 reports of 1 in doubt"
    assert state_of(db, doubtful) == ("delivered", "log_pull")
    assert sendgrid_account.reconcile(db, channel, now=now) is None


def test_a_mail_the_log_does_not_know_stays_in_doubt(
    db: Database, host: SendgridHost, channel: SendgridChannel, doubtful: UUID, now: datetime
) -> None:
    assert sendgrid_account.reconcile(db, channel, now=now) == "0 reports of 1 in doubt"
    assert state_of(db, doubtful)[0] == "uncertain"
    in_doubt(db, "fresh", at=now - MINUTE)
    assert sendgrid_account.reconcile(db, channel, now=now) == "0 reports of 1 in doubt", "the webhook has its time"


def test_an_account_without_a_log_is_left_in_peace(
    db: Database, host: SendgridHost, channel: SendgridChannel, doubtful: UUID, now: datetime
) -> None:
    host.closed = {"logs", "lists"}
    assert sendgrid_account.reconcile(db, channel, now=now) == "log not open: /v3/logs answered 403"
    assert sendgrid_account.agree(db, channel, now=now) == "lists not open: /v3/suppression/bounces answered 403"
    assert sendgrid_account.reconcile(db, OutboxChannel(db), now=now) is None


def test_who_came_back_is_not_taken_for_gone_because_we_had_told_them(
    db: Database, host: SendgridHost, channel: SendgridChannel, now: datetime
) -> None:
    with db.begin() as conn:
        people = [world.make_customer(conn, user, at=now - 9 * MINUTE, consents=False) for user in ("ada", "bob")]
        consent.suppress(conn, channel="email", address="ada@example.org", reason="unsubscribed", now=now - 5 * MINUTE)
        said = consent.Said(people[0], "email", "marketing", consent.State.GRANTED, now - MINUTE, "preferences")
        consent.record_many(conn, [said], now=now - MINUTE)
    created = int((now - 4 * MINUTE).timestamp())
    host.lists = {"unsubscribes": [{"email": f"{user}@Example.org", "created": created} for user in ("Ada", "bob")]}
    sendgrid_account.agree(db, channel, now=now)
    with db.begin() as conn:
        hashes = {name: consent.address_hash(conn, "email", f"{name}@example.org") for name in ("ada", "bob")}
        assert consent.suppressed(conn, "email", hashes.values()) == {hashes["bob"]}, "her last word stands"


def test_who_says_yes_again_with_proof_leaves_their_list_of_goodbyes_and_no_other(
    db: Database, host: SendgridHost, channel: SendgridChannel, now: datetime
) -> None:
    back = {
        "ada": {"text": "Yes, write to me again"},
        "bob": {"proof": {"message": "m1"}},
        "eve": {},  # a yes nobody can prove
        "dan": {"text": "Yes"},  # who complained before
        "flo": {"text": "Yes"},  # who changed her mind once more
        "new+1": {"text": "Yes"},  # who never left
    }
    with db.begin() as conn:
        for name, proof in back.items():
            person = world.make_customer(conn, name, at=now - 9 * MINUTE, consents=False)
            said = [("denied", 5, {})] if name != "new+1" else []
            said += [("granted", 3, proof)] + ([("denied", 2, {})] if name == "flo" else [])
            for state, ago, more in said:
                at = now - ago * MINUTE
                one = consent.Said(person, "email", "marketing", state, at, "form", **more)  # type: ignore[arg-type]
                consent.record_many(conn, [one], now=at)
        consent.suppress(conn, channel="email", address="dan@example.org", reason="complaint", now=now - 4 * MINUTE)
    host.lists = {"unsubscribes": [{"email": f"{name}@example.org", "created": 1} for name in ("Ada", *back)]}
    assert sendgrid_account.agree(db, channel, now=now) == "7 taken over, 2 taken back"
    ended = [path for method, path, _ in host.asked if method == "DELETE"]
    assert ended == [f"/v3/asm/suppressions/global/{name}%40example.org" for name in ("ada", "bob")]
    assert [one["email"] for one in host.lists["unsubscribes"]] == [
        f"{name}@example.org" for name in ("eve", "dan", "flo", "new+1")
    ]
    with db.begin() as conn:
        hashes = {name: consent.address_hash(conn, "email", f"{name}@example.org") for name in back}
        assert hashes["ada"] not in consent.suppressed(conn, "email", hashes.values())
    assert sendgrid_account.agree(db, channel, now=now + MINUTE) is not None, "the list is read again"
    assert len([path for method, path, _ in host.asked if method == "DELETE"]) == 2, "each is asked once"


def test_the_lists_of_both_sides_agree(
    db: Database, host: SendgridHost, channel: SendgridChannel, doubtful: UUID, now: datetime
) -> None:
    host.lists = {
        "bounces": [{"email": f"gone{n}@example.org", "created": 1} for n in range(750)],
        "spam_reports": [{"email": "Angry@Example.org", "created": 1}],
    }
    with db.begin() as conn:
        consent.suppress(conn, channel="email", address="camille@example.org", reason="unsubscribed", now=now - MINUTE)
    assert sendgrid_account.agree(db, channel, now=now) == "751 taken over, 1 handed on"
    handed = [body for method, path, body in host.asked if path == "/v3/asm/suppressions/global"]
    assert handed == [{"recipient_emails": ["camille@example.org"]}]
    with db.begin() as conn:
        hashes = {consent.address_hash(conn, "email", name) for name in ("gone749@example.org", "angry@example.org")}
        assert consent.suppressed(conn, "email", hashes) == hashes
    host.lists = {}
    assert sendgrid_account.agree(db, channel, now=now + MINUTE) is None
    first = [int(body["start_time"]) for method, path, body in host.asked if path.startswith("/v3/suppression/bounces")]
    assert first[0] == 0 and first[-1] == int(now.timestamp()) - 3600, "only what is new is asked for"
