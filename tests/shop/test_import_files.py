"""Reading import files: what a row is, on which line it stands, and what cannot be read."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foundation.errors import Invalid
from shop import import_blocks, import_files

KNOWN = ("a", "b", "c")


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(path: Path) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, str]]]:
    """Every good row and every refused one, each with its line."""
    file = import_files.open_file(path, known=KNOWN, required=("a",))
    good, bad = [], []
    for block in file.blocks():
        names = list(block.columns)
        for index, line in enumerate(block.lines):
            good.append((int(line), {name: block.columns[name][index].as_py() for name in names}))
        bad += [(refused.line, refused.reason) for refused in block.refused]
    return good, bad


def test_cells_are_trimmed_and_empty_ones_are_null(tmp_path: Path) -> None:
    good, bad = read(write(tmp_path / "f.csv", "\ufeffa,b,c\r\n 1 ,,x\r\n"))
    assert good == [(2, {"a": "1", "b": None, "c": "x"})]
    assert bad == []


def test_a_row_stands_on_the_line_it_starts_on_whatever_was_quoted_before(tmp_path: Path) -> None:
    data = 'a,b,c\n1,"two\nlines",3\n2,,\n\n3,4\n"4\n\n",5\n5,"x\ny\nz",\n6,7,8,9\n7,,\n'
    good, bad = read(write(tmp_path / "f.csv", data))
    assert [(line, row["a"]) for line, row in good] == [(2, "1"), (4, "2"), (10, "5"), (14, "7")]
    assert bad == [
        (6, "has 2 cells where the header has 3"),
        (7, "has 2 cells where the header has 3"),
        (13, "has 4 cells where the header has 3"),
    ]


def test_lines_stay_right_over_block_borders(tmp_path: Path) -> None:
    wide = "x" * 200
    lines = ["a,b,c"] + [f"{n},ragged" if n % 7 == 3 else f"{n},{wide},c" for n in range(2, 60_000)]
    path = write(tmp_path / "f.csv", "\n".join(lines))
    good, bad = read(path)
    assert path.stat().st_size > import_blocks.BLOCK_BYTES
    assert all(int(row["a"]) == line for line, row in good)
    assert [line for line, _ in bad] == [n for n in range(2, 60_000) if n % 7 == 3]
    assert len(good) + len(bad) == 59_998


def test_nul_bad_utf8_and_long_cells_are_refused_and_their_neighbours_kept(tmp_path: Path) -> None:
    data = b"a,b,c\n1,\0,\n2,\xff\xfe,\n3,\xe9t\xe9\n4,caf\xc3\xa9,\n5," + b"x" * 40_000 + b",\n6,,\n"
    good, bad = read(write(tmp_path / "f.csv", data))
    assert [(line, row["b"]) for line, row in good] == [(5, "café"), (7, None)]
    assert sorted(bad) == [
        (2, "b: contains a NUL character"),
        (3, "b: is not UTF-8"),
        (4, "has 2 cells where the header has 3"),
        (6, "b: is longer than 32 KB"),
    ]


def test_an_unclosed_quote_ends_the_reading_with_its_line(tmp_path: Path) -> None:
    good, bad = read(write(tmp_path / "f.csv", 'a,b,c\n1,2,3\n2,"never closed,3\n4,5,6\n'))
    assert [line for line, _ in good] == [2]
    assert [line for line, _ in bad] == [3]


@pytest.mark.parametrize(
    ("name", "data", "place"),
    [
        ("f.csv", "", "f.csv"),
        ("f.csv", "b,c\n1,2\n", "a"),
        ("f.csv", "a,a\n1,2\n", "a"),
        ("f.csv", ",".join("abc" * 100) + "\n", "f.csv"),
        ("f.csv", b"\xff\xfea\0,\0", "f.csv"),
        ("f.jsonl", "not json\n", "f.jsonl"),
        ("f.jsonl", '{"b": 1}\n', "a"),
        ("f.parquet", "PAR1 not really", "f.parquet"),
        ("f.xlsx", "", "f.xlsx"),
        ("missing.csv", None, "missing.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str, data: Any, place: str) -> None:
    path = tmp_path / name
    if data is not None:
        write(path, data)
    with pytest.raises(Invalid) as caught:
        read(path)
    assert [fault.pointer for fault in caught.value.faults] == [place]


def test_a_header_alone_is_an_empty_file(tmp_path: Path) -> None:
    assert read(write(tmp_path / "f.csv", "a,b\n")) == ([], [])


def test_unknown_columns_are_named(tmp_path: Path) -> None:
    file = import_files.open_file(write(tmp_path / "f.csv", "a,x,y\n1,2,3\n"), known=KNOWN, required=("a",))
    assert file.unknown == ("x", "y")


def test_json_lines_keep_good_objects_and_name_bad_ones(tmp_path: Path) -> None:
    data = (
        '{"a": 1, "b": {"deep": [1, "é"]}}\n\n[1]\nnot json\n{"a": "\\u0000"}\n{"a": "\\ud800"}\n{"a": 2.5, "c": true}'
    )
    good, bad = read(write(tmp_path / "f.jsonl", data))
    assert [(line, row["a"], row["b"], row["c"]) for line, row in good] == [
        (1, "1", '{"deep":[1,"é"]}', None),
        (7, "2.5", None, "true"),
    ]
    assert [line for line, _ in bad] == [3, 4, 6, 5]


def test_an_endless_json_line_costs_only_itself(tmp_path: Path) -> None:
    data = '{"a": 1}\n{"a": "' + "x" * 3_000_000 + '"}\n{"a": 3}\n'
    good, bad = read(write(tmp_path / "f.jsonl", data))
    assert [line for line, _ in good] == [1, 3]
    assert bad == [(2, "is longer than 1 MB")]


def test_parquet_keeps_its_types_and_counts_rows(tmp_path: Path) -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)
    table = pa.table({"a": [1, 2], "b": [moment, None], "c": [{"x": 1}, None]})
    pq.write_table(table, tmp_path / "f.parquet")
    good, bad = read(tmp_path / "f.parquet")
    assert good == [(1, {"a": 1, "b": moment, "c": '{"x":1}'}), (2, {"a": 2, "b": None, "c": None})]
    assert bad == []
