"""The protocol itself, in every order things can happen: nobody twice, nobody said to have got nothing who has."""

from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from foundation.database import Database
from tests.campaigns import test_machine
from tests.ledger import machine, protocol
from tests.ledger.protocol import Rules

SHORT = settings(test_machine.SHORT, max_examples=6, stateful_step_count=20)


def test_in_no_order_of_events_is_a_message_taken_twice_or_said_to_be_what_it_is_not() -> None:
    explored = protocol.explore(Rules())
    assert len(explored.steps) > 1_000
    assert not explored.doubled() and not explored.mistaken() and not explored.invented() and not explored.stuck()


def test_sending_again_after_the_reports_doubles_nothing_where_deadlines_are_kept() -> None:
    explored = protocol.explore(Rules(resend=True, late=False))
    assert any(world.resends and world.taken for world in explored.steps)
    assert not explored.doubled() and not explored.invented() and not explored.stuck()


def test_what_remains_is_a_sender_frozen_after_it_looked_at_its_deadline() -> None:
    assert protocol.explore(Rules(resend=True, late=True), crashes=0, claims=2).doubled(), (
        "the one hole the manual names"
    )


def test_the_exploration_would_find_a_time_out_that_leads_back_to_waiting() -> None:
    assert protocol.explore(Rules(reopen=True), crashes=0, claims=2).doubled()


def test_whatever_happens_the_ledger_says_what_the_provider_knows(db: Database, tmp_path: Path) -> None:
    run_state_machine_as_test(machine.machine(db, tmp_path), settings=SHORT)
