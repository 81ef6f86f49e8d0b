"""What messages say, kept once for all of a kind: the same to the letter at every reading, and nobody's in what is
shared."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import pruning
from campaigns import files, frozen, ledger, mail_tables, messages, plans, tables
from campaigns.channels.base import Outcome
from campaigns.channels.pieces import Cut, Form
from campaigns.sending import Sending
from foundation.database import Database
from shop import privacy
from tests.campaigns import world
from tests.campaigns.carriers import Carrier
from tests.campaigns.test_delivery import enrol, states

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
contents, forms = tables.message_contents, mail_tables.mail_forms


@pytest.fixture
def sending(db: Database, carrier: Carrier, tmp_path: Path, now: datetime) -> Iterator[Sending]:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now)
    yield world.sending(carrier, tmp_path)


def whole(db: Database) -> list[str]:
    """Everything that stands in the forms."""
    with db.begin() as conn:
        return [bytes(packed).decode() for packed in conn.scalars(sa.select(forms.c.packed))]


def test_what_all_say_is_kept_once_and_each_is_read_back_to_the_letter(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "ann", "bob", "eve", now=now)
    messages.deliver_due(db, sending, now=due)
    assert len(carrier.handed) == 3 and len({mail.html for mail in carrier.handed}) == 3
    with db.begin() as conn:
        kept = conn.execute(sa.select(contents.c.html, contents.c.text, contents.c.form)).all()
        read = {mail.message_id: ledger.content(conn, mail.message_id) for mail in carrier.handed}
    assert [(html, text) for html, text, _ in kept] == [(None, None)] * 3 and len({form for *_, form in kept}) == 1
    for mail in carrier.handed:
        found = read[mail.message_id]
        assert found is not None and (found.html, found.text) == (mail.html, mail.text)
        assert mail.address in str(read[mail.message_id]) and mail.address not in "".join(whole(db))


def test_nobody_is_named_in_a_form(db: Database, sending: Sending, carrier: Carrier, now: datetime) -> None:
    fielded = "Bonjour {{ customer.first_name }}, voici.\n\nToute la saison, pour vous."
    words = {"subject": "s", "blocks": [{"type": "text", "heading": "h", "body": fielded}, {"type": "basket"}]}
    with db.begin() as conn:
        plans.update(conn, files.DEMO, definition=world.relaunch(words={"fr": words}), now=now)
    due = enrol(db, "ann", now=now, first_name="Zénobie")
    messages.deliver_due(db, sending, now=due)
    (form,) = whole(db)
    assert "Toute la saison, pour vous." in form, "what has no field is the same for all"
    assert "Bonjour" not in form and "Bonjour Zénobie, voici." in carrier.handed[0].html
    for hers in ("Zénobie", "Cocotte", "/c/", "/u/", str(carrier.handed[0].message_id)):
        assert hers not in form


def test_a_second_attempt_sends_what_the_first_did_whatever_was_edited_between(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "ann", "bob", now=now)
    carrier.always(Outcome.REFUSED_RETRY)
    messages.deliver_due(db, sending, now=due)
    other = {"fr": {"subject": "Autre", "heading": "Autre", "intro": "Autre"}}
    with db.begin() as conn:
        plans.update(conn, files.DEMO, definition=world.relaunch(words=other), now=due)
    carrier.always(Outcome.ACCEPTED)
    messages.deliver_due(db, sending, now=due + HOUR)
    first, second = carrier.handed[:2], carrier.handed[2:]
    assert len(second) == 2 and {mail.attempt for mail in second} == {2}
    said = [{mail.message_id: (mail.html, mail.text, mail.headers) for mail in part} for part in (first, second)]
    assert said[0] == said[1]


@pytest.mark.parametrize("part", ["own", "subject", "headers"])
def test_what_is_no_longer_what_was_frozen_is_not_sent(
    db: Database, sending: Sending, carrier: Carrier, now: datetime, part: str
) -> None:
    due = enrol(db, "ann", now=now)
    carrier.always(Outcome.REFUSED_RETRY)
    messages.deliver_due(db, sending, now=due)
    with db.begin() as conn:
        kept = conn.execute(sa.select(contents)).mappings().one()
        changed = {
            "own": bytes(kept["own"]).replace(b"Cocotte", b"Marmite"),
            "subject": "other",
            "headers": kept["headers"] | {"List-Id": "other"},
        }
        assert changed[part] != kept[part]
        conn.execute(sa.update(contents).values({part: changed[part]}))
    messages.deliver_due(db, sending, now=due + HOUR)
    assert len(carrier.handed) == 1 and states(db) == [("failed", "content")]


def test_what_was_kept_as_a_whole_is_read_and_sent_as_it_is(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "ann", now=now)
    carrier.always(Outcome.REFUSED_RETRY)
    messages.deliver_due(db, sending, now=due)
    with db.begin() as conn:
        conn.execute(sa.update(contents).values(html="<p>before</p>", text="before", form=None, own=None))
        found = ledger.content(conn, carrier.handed[0].message_id)
    assert found is not None and (found.html, found.text) == ("<p>before</p>", "before")
    carrier.always(Outcome.ACCEPTED)
    messages.deliver_due(db, sending, now=due + HOUR)
    assert (carrier.handed[1].html, carrier.handed[1].text) == ("<p>before</p>", "before")


def test_an_export_shows_what_was_sent_and_an_erasure_leaves_nothing_of_it(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "ann", now=now, first_name="Zénobie")
    messages.deliver_due(db, sending, now=due)
    with db.begin() as conn:
        customer = conn.scalar(sa.select(tables.messages.c.customer_id)) or 0
        (told,) = privacy.export(conn, customer)["message_contents"]
        assert (told["html"], told["text"]) == (carrier.handed[0].html, carrier.handed[0].text)
        assert "own" not in told and "form" not in told
        privacy.erase(conn, customer, now=due)
        assert not conn.scalar(sa.select(sa.func.count()).select_from(contents))
        left = str(conn.execute(sa.select(forms)).all())
    assert "Zénobie" not in left and "ann@" not in left


def test_forms_are_removed_once_no_message_has_them_and_not_while_one_may(
    db: Database, sending: Sending, carrier: Carrier, tmp_path: Path, now: datetime
) -> None:
    messages.deliver_due(db, sending, now=enrol(db, "ann", now=now))
    alone = [Form(Cut([f"alone {n}", ""], [0]), Cut(["", ""], [0])) for n in range(2)]
    with db.begin() as conn:
        frozen.keep(conn, alone)
        conn.execute(sa.update(forms).values(used_at=sa.func.now() - 8 * DAY))
        frozen.keep(conn, alone[:1])  # about to be used: it counts as used already
    pruning.prune(db, tmp_path, now=now)
    with db.begin() as conn:
        left = set(conn.scalars(sa.select(forms.c.digest)))
        used = set(conn.scalars(sa.select(contents.c.form)))
    assert left == used | {alone[0].digest} and len(used) == 1


def test_many_who_keep_the_same_forms_at_once_keep_each_once(db: Database) -> None:
    made = [Form(Cut([f"{n}", ""], [0]), Cut(["", ""], [0])) for n in range(9)]

    def keep(turn: int) -> None:
        with db.begin() as conn:
            frozen.keep(conn, made[turn % 3 :] + made[: turn % 3])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(keep, range(64)))
    with db.begin() as conn:
        assert sorted(conn.scalars(sa.select(forms.c.digest))) == sorted(form.digest for form in made)
