"""What a person got wrong on the command line is said in red, a line each; a bug still shows its traceback."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click
from flask import current_app

from foundation.errors import Conflict, Invalid, NotFound


def told(command: Callable[..., None]) -> Callable[..., None]:
    """Runs the command within the application; refusals end it with exit code 1."""

    @wraps(command)
    def telling(*args: Any, **kwargs: Any) -> None:
        try:
            with current_app.app_context():
                command(*args, **kwargs)
        except Invalid as wrong:
            for fault in wrong.faults:
                click.secho(f"{fault.pointer}: {fault.detail}", fg="red", err=True)
            sys.exit(1)
        except (Conflict, NotFound) as refused:
            click.secho(str(refused), fg="red", err=True)
            sys.exit(1)

    return telling


@contextmanager
def bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on standard error, moved by (done, total)."""
    with click.progressbar(length=100, label=label, file=sys.stderr) as drawn:

        def move(done: int, total: int | None) -> None:
            drawn.update(int(100 * done / total) - drawn.pos if total else 0)

        yield move
