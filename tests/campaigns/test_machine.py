"""The engine and the oracle agree, whatever happens in whatever order; `make prove` says it at length."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from foundation.database import Database
from tests.campaigns import machine

SHORT = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_whatever_happens_the_engine_is_where_the_oracle_is(db: Database) -> None:
    run_state_machine_as_test(machine.machine(db), settings=SHORT)
