"""The errors Relance raises on purpose, as one tree.

    RelanceError
    ├── Invalid      what was given cannot be accepted; carries a list of `Fault`s, each with its place
    ├── NotFound     the thing named does not exist
    └── Conflict     the thing exists, and its state forbids what was asked

Expected refusals inside the engine (a message skipped, a model rejected) are values, not errors. Anything
else that is raised is a bug or the outside world, and is not caught here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: where (`pointer`, a JSON pointer, column or setting name) and what, in a sentence."""

    pointer: str
    detail: str


class RelanceError(Exception):
    """Base of every error raised on purpose."""


class Invalid(RelanceError):
    """What was given cannot be accepted; every fault is named."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        self.faults = list(faults)


class NotFound(RelanceError):
    """The thing named does not exist."""


class Conflict(RelanceError):
    """The thing exists, and its state forbids what was asked. `reason` is a stable word for programs."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason
