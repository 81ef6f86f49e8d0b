"""A campaign's tree of steps as a flat map, so that a customer's place in it is one word: the id of her next step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from campaigns.definitions import steps
from campaigns.definitions.steps import Step

END = ""
"""The place after the last step."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step, what comes after it, and where each of its branches begins."""

    step: Step
    next: str
    heads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """Every step of a journey by its id. As it is laid from a tree, every way through it comes to an end."""

    first: str
    nodes: Mapping[str, Node]


def lay(sequence: Sequence[Step]) -> Flow:
    """The flat map of a sequence with all its branches; what branches joins after the step."""
    nodes: dict[str, Node] = {}
    return Flow(_lay(sequence, END, nodes), nodes)


def _lay(sequence: Sequence[Step], after: str, nodes: dict[str, Node]) -> str:
    head = after
    for step in reversed(sequence):
        heads = tuple(_lay(inner, head, nodes) for _, inner in steps.branches(step))
        nodes[step.id] = Node(step, head, heads)
        head = step.id
    return head


def walk(sequence: Sequence[Step], pointer: str = "/steps") -> Iterator[tuple[str, Step]]:
    """Every step with its JSON pointer, in reading order."""
    for position, step in enumerate(sequence):
        place = f"{pointer}/{position}"
        yield place, step
        for name, inner in steps.branches(step):
            yield from walk(inner, f"{place}/{name}")
