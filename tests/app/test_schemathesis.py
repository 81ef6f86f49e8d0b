"""Every call of the OpenAPI document, tried with what it allows and what it does not: never a server error."""

import itertools
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as openapi_checks

from foundation.database import Database
from shop import catalogue

pytestmark = pytest.mark.slow

CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
EXAMPLES = 15


@pytest.fixture
def described(web: Flask, db: Database, make_key: Callable[..., str], ada: int, code: str) -> Any:
    """The document of an installation with a little in it, called with a secret key, each time from elsewhere."""
    with db.begin() as conn:
        catalogue.put(conn, [{"product_id": "p1", "title": "Pot", "price": 10}], now=datetime.now(UTC))
    web.wsgi_app = FromEverywhere(web.wsgi_app, make_key("secret"))  # type: ignore[method-assign]
    return schemathesis.openapi.from_wsgi("/v1/openapi.json", web)


class FromEverywhere:
    """Gives each request an address of its own, so that no limit ends the trial, and the key it lacks."""

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]], key: str) -> None:
        self._wsgi_app = wsgi_app
        self._key = key
        self._numbers = itertools.count()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """One request."""
        number = next(self._numbers)
        environ["REMOTE_ADDR"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        environ["HTTP_AUTHORIZATION"] = f"Bearer {self._key}"
        return self._wsgi_app(environ, start_response)


def test_no_call_ends_in_a_server_error(described: Any, code: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    known = {"customer": "ada", "code": code}
    operations = [found.ok() for found in described.get_all_operations()]
    failures = [failure for operation in operations if (failure := _tried(operation, known))]
    assert not failures, "\n\n".join(failures)


def _tried(operation: Any, known: dict[str, str]) -> str | None:
    """What went wrong with one call, if anything did; Hypothesis has made it as small as it can."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)), there=st.booleans()
    )
    def call(case: schemathesis.Case, there: bool) -> None:
        for name in known.keys() & (case.path_parameters or {}) if there else ():
            case.path_parameters[name] = known[name]
        case.call_and_validate(checks=CHECKS)

    try:
        call()
    except (Exception, FailureGroup) as error:
        return f"{operation.label}: {error}"
    return None
