"""The rules of the house, as tests: floors, purity, size, and that what exists is documented."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from foundation.config import Config
from shop import vocabulary

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("foundation", "shop", "recommender", "campaigns", "app")
SOURCES = sorted(
    path
    for floor in FLOORS
    for path in (ROOT / floor).rglob("*.py")
    if "migrations" not in path.parts and "vendor" not in path.parts
)
DOORS = (ROOT / "wsgi.py", ROOT / "scheduler.py")
LONGEST_FUNCTION = 40
LONGEST_FILE = 600


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the signature to the end, the docstring not counted."""
    docstring = ast.get_docstring(function, clean=False)
    spoken = docstring.count("\n") + 1 if docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - spoken


def test_floors_import_only_downwards() -> None:
    done = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_nothing_imports_the_front_doors() -> None:
    for path in SOURCES:
        assert not re.search(r"^\s*(from|import) (wsgi|scheduler)\b", path.read_text(), re.MULTILINE), path


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name} has {_length(function)} lines"
        for path in (*SOURCES, *DOORS)
        for function in _functions(path)
        if _length(function) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_nine_functions_in_ten_are_short() -> None:
    lengths = sorted(_length(function) for path in SOURCES for function in _functions(path))
    assert lengths[int(len(lengths) * 0.9)] <= 25


def test_files_hide_one_thing() -> None:
    for path in (*SOURCES, *DOORS):
        text = path.read_text()
        assert text.count("\n") <= LONGEST_FILE, f"{path} is too long"
        if path.name != "__init__.py" or path.parent.name == "app" and path.parent.parent == ROOT:
            assert ast.get_docstring(ast.parse(text)), f"{path} does not say what it hides"


def test_init_files_are_empty_save_the_application_factory() -> None:
    for path in SOURCES:
        if path.name == "__init__.py" and path.parent != ROOT / "app":
            assert path.read_text() == "", path


def test_a_call_never_holds_five_bare_values() -> None:
    """Whoever reads such a call cannot tell which is which; `self` and `cls` do not count."""
    crowded = []
    for path in SOURCES:
        for function in _functions(path):
            names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
            if len([name for name in names if name not in ("self", "cls")]) > 4:
                crowded.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}({', '.join(names)})")
    assert not crowded, "\n".join(crowded)


def test_every_setting_is_documented() -> None:
    operating = (ROOT / "docs" / "operating.md").read_text()
    named = set(re.findall(r'"((?:RELANCE_[A-Z_]+)|PORT)"', (ROOT / "foundation" / "config.py").read_text()))
    assert len(named) >= len(fields(Config)) - 1
    assert [name for name in sorted(named) if f"`{name}`" not in operating] == []


def test_every_event_name_is_documented() -> None:
    api = (ROOT / "docs" / "api.md").read_text()
    assert [name for name in sorted(vocabulary.SPECIFIED) if f"`{name}`" not in api] == []


def test_every_timed_job_is_documented() -> None:
    operating = (ROOT / "docs" / "operating.md").read_text()
    names = re.findall(r'Job\("([a-z-]+)"', (ROOT / "scheduler.py").read_text())
    assert names and [name for name in names if f"`{name}`" not in operating] == []


def test_every_make_target_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    for target in phony.split():
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), target


@pytest.mark.parametrize("directory", ["app", "templates", "docs", "campaigns", "recommender", "shop", "foundation"])
def test_nothing_is_left_to_do(directory: str) -> None:
    for path in (ROOT / directory).rglob("*"):
        if path.suffix in (".py", ".html", ".md", ".js", ".css", ".po", ".mjml") and "vendor" not in path.parts:
            assert not re.search(r"\b(TODO|FIXME|XXX)\b|^[<>]{7} ", path.read_text(), re.MULTILINE), path


def test_every_document_linked_in_the_readme_exists() -> None:
    for name in ("README.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))):
        text = (ROOT / name).read_text()
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"
