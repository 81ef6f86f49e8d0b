"""The marketer's words: plain text with merge fields, checked against an allow-list before anything is rendered.

Jinja's own sandbox does not stop a template from eating memory, so the syntax tree is checked first: fields,
conditions and short loops pass; calls, arithmetic, assignments, macros and includes do not. What is left is as
harmless as it is small, and its output is cut off at 512 kB.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from campaigns import cell

MAX_SOURCE = 10_000
MAX_OUTPUT = 512 * 1024
MAX_TAGS, MAX_WORDS = 200, 100
"""Fields, conditions and loops of a text, and words in one of them: Jinja takes its time over what is deep."""
FILTERS = ("capitalize", "default", "first", "last", "length", "lower", "title", "trim", "upper")
TESTS = ("defined", "undefined")

_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.If,
    nodes.For,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Filter,
    nodes.Test,
)


class WordingError(Exception):
    """The text cannot be used as it stands; the message says why, naming the field."""


class _Missing(StrictUndefined):
    """A field without a value: may be asked about in a condition, never shown."""

    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def _fail_with_undefined_error(self, *args: object, **kwargs: object) -> NoReturn:
        raise UndefinedError(f"{self._undefined_name} is missing")

    __str__ = __iter__ = __len__ = __eq__ = __ne__ = __hash__ = _fail_with_undefined_error


_environment = ImmutableSandboxedEnvironment(undefined=_Missing, autoescape=False, cache_size=0)
_environment.filters = {name: _environment.filters[name] for name in FILTERS}
_environment.tests = {name: _environment.tests[name] for name in TESTS}
_environment.globals = {}


def check(source: str, *, fields: Collection[str]) -> list[str]:
    """Everything wrong with a text, in sentences; `fields` are the merge fields there are, as `cart.value`."""
    if len(source) > MAX_SOURCE:
        return [f"is longer than {MAX_SOURCE} characters"]
    try:
        return _faults(_parsed(source), fields)
    except TemplateSyntaxError as error:
        return [f"cannot be read: {error}"]
    except WordingError as error:
        return [str(error)]


def _parsed(source: str) -> nodes.Template:
    """Raises Jinja's `TemplateSyntaxError`, or `WordingError` for what would take long to look at."""
    tags = words = 0
    for _, kind, _ in _environment.lex(source):
        begins = kind in ("variable_begin", "block_begin")
        tags, words = tags + begins, 0 if begins else words + (kind != "whitespace")
        if tags > MAX_TAGS:
            raise WordingError(f"has more than {MAX_TAGS} fields, conditions and loops")
        if words > MAX_WORDS:
            raise WordingError(f"has a field or condition of more than {MAX_WORDS} words")
    return _environment.parse(source)


def _faults(tree: nodes.Template, fields: Collection[str]) -> list[str]:
    faults = [fault for node in _walk(tree) if (fault := _fault(node))]
    if _depth(tree) > 2:
        faults.append("has loops within loops within loops; two levels are the most")
    return faults or _unknown_fields(tree, fields)


def render(source: str, values: Mapping[str, object]) -> str:
    """The text with its fields filled in; raises `WordingError` if one of them is missing."""
    if not has_fields(source):
        return source
    try:
        pieces, size = [], 0
        for piece in _compiled(source).generate(dict(values)):
            size += len(piece)
            if size > MAX_OUTPUT:
                raise WordingError(f"is longer than {MAX_OUTPUT} characters once filled in")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError) as error:
        raise WordingError(str(error)) from error
    return "".join(pieces)


def has_fields(source: str) -> bool:
    """Whether anything in a text depends on its reader."""
    return "{" in source


def plain(source: str) -> str:
    """A text without its merge fields, for a place where none has a value."""
    tree = _environment.parse(source)
    return "".join(data.data for data in tree.find_all(nodes.TemplateData)).strip()


def hole(source: str, *, fields: Collection[str], without: Collection[str]) -> str | None:
    """What is missing in a text where these fields have no value; None if it is written in full all the same."""
    values: dict[str, Any] = {}
    for field in fields:
        *way, name = field.split(".")
        here = values
        for part in way:
            here = here.setdefault(part, {})
        if field not in without:
            here[name] = [{"title": "x"}] if name == "lines" else 1 if name == "count" else "x"
    try:
        render(source, values)
    except WordingError as error:
        return str(error)
    return None


@lru_cache(maxsize=512)
def _compiled(source: str) -> Template:
    """Compiles only what passes the allow-list, whatever way the text came into the database, and was tried apart."""
    if len(source) > MAX_SOURCE:
        raise WordingError("is too long")
    if fault := _cell.tried(source):
        raise WordingError(fault)
    return _environment.from_string(source)


_cell = cell.Cell(__name__)


def trial(source: str) -> str | None:
    """What is wrong with a text: against the allow-list, and filled in with all there could ever be."""
    try:
        tree = _parsed(source)
        faults = [fault for node in _walk(tree) if (fault := _fault(node))]
        if faults:
            return faults[0]
        names = {node.name for node in tree.find_all(nodes.Name)}
        size = 0
        for piece in _environment.from_string(source).generate(dict.fromkeys(names, _LONG)):
            size += len(piece)
            if size > MAX_OUTPUT:
                break
    except WordingError as error:
        return str(error)
    except (TemplateError, TypeError, ValueError):
        return None  # depends on what its fields hold, and is told when they are known
    except (RecursionError, MemoryError, SyntaxError) as error:
        return f"is too intricate ({type(error).__name__})"
    return None


class _Full(str):
    """A field as long as any, whose own fields are as long, and which is a list of fifty."""

    __slots__ = ()

    def __getattr__(self, name: str) -> "_Full":
        return self

    def __iter__(self) -> "Iterator[_Full]":
        return iter([self] * 50)


_LONG = _Full("x" * 10_000)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    """A node and all beneath it, in their order; without recursion, for what is hostile is deep."""
    left = [node]
    while left:
        yield (here := left.pop())
        left += reversed(list(here.iter_child_nodes()))


def _fault(node: nodes.Node) -> str | None:
    if not isinstance(node, _ALLOWED):
        return f"uses {type(node).__name__.lower()}, which is not available in messages"
    if isinstance(node, nodes.Name | nodes.Getattr):
        return _hidden(node.name if isinstance(node, nodes.Name) else node.attr)
    if isinstance(node, nodes.Getitem) and not _plain_key(node.arg):
        return "asks for a field by a computed name"
    if isinstance(node, nodes.Filter | nodes.Test):
        known = FILTERS if isinstance(node, nodes.Filter) else TESTS
        kind = type(node).__name__.lower()
        return None if node.name in known else f"uses the {kind} {node.name}; there are: {', '.join(known)}"
    recursive = isinstance(node, nodes.For) and node.recursive
    return "has a recursive loop" if recursive else None


def _hidden(name: str) -> str | None:
    hidden = name.startswith("_") or name in ("self", "super")
    return f"asks for {name}, which is not a field" if hidden else None


def _plain_key(key: nodes.Node) -> bool:
    return isinstance(key, nodes.Const) and not str(key.value).startswith("_")


def _depth(node: nodes.Node) -> int:
    below = max((_depth(child) for child in node.iter_child_nodes()), default=0)
    return below + isinstance(node, nodes.For)


def _path(node: nodes.Node) -> str:
    """`customer.predictions.value` of such a chain of names; empty of any other."""
    if isinstance(node, nodes.Name):
        return node.name
    before = _path(node.node) if isinstance(node, nodes.Getattr) else ""
    return f"{before}.{node.attr}" if isinstance(node, nodes.Getattr) and before else ""


def _unknown_fields(tree: nodes.Template, fields: Collection[str]) -> list[str]:
    own = {
        name.name for loop in tree.find_all(nodes.For) for name in _walk(loop.target) if isinstance(name, nodes.Name)
    }
    roots = {field.split(".")[0] for field in fields}
    known = {".".join(field.split(".")[:depth]) for field in fields for depth in range(2, field.count(".") + 2)}
    asked = {path for node in tree.find_all(nodes.Getattr) if (path := _path(node))}
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"} - own
    unknown = {name for name in asked if name.split(".")[0] not in own and name not in known} | (names - roots)
    shown = sorted(name for name in unknown if not (name in roots or name.split(".")[0] in unknown and "." in name))
    return [f"uses {name}, which is not a field; there are: {', '.join(sorted(fields))}" for name in shown]
