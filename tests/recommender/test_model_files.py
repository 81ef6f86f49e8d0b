"""Artefacts as files: shared, checked, and never the only copy."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recommender import artefact, model_files
from recommender.artefact import Damaged, Seal

PARTS = list(artefact.parts({"factors": np.arange(100_000.0)}))
SEAL = Seal.of(PARTS)


class Stored:
    """What the database holds, and how often it was asked for it."""

    def __init__(self, parts: list[bytes] = PARTS) -> None:
        self.parts, self.asked = parts, 0

    def __call__(self) -> Iterator[bytes]:
        self.asked += 1
        return iter(self.parts)


def _file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_is_written_once_and_mapped_by_everyone(tmp_path: Path) -> None:
    stored, folder = Stored(), tmp_path / "models"
    first, second = (model_files.whole(stored, SEAL, folder=folder) for _ in range(2))
    assert first == second == b"".join(PARTS) and stored.asked == 1
    assert first.readonly and _file(folder).name == f"{SEAL.sha256.hex()}.model"


@pytest.mark.parametrize("spoilt", [b"", b"short", b"x" * SEAL.size])
def test_a_spoilt_file_is_made_again(tmp_path: Path, spoilt: bytes) -> None:
    stored = Stored()
    model_files.whole(stored, SEAL, folder=tmp_path)
    _file(tmp_path).write_bytes(spoilt)
    assert model_files.whole(stored, SEAL, folder=tmp_path) == b"".join(PARTS)
    assert _file(tmp_path).read_bytes() == b"".join(PARTS)


@pytest.mark.parametrize("parts", [[], PARTS[:-1] + [b""], PARTS * 2, [b"\0" + PARTS[0][1:]]])
@pytest.mark.parametrize("kept", [True, False])
def test_what_is_stored_wrong_is_refused_and_leaves_nothing(tmp_path: Path, parts: list[bytes], kept: bool) -> None:
    with pytest.raises(Damaged):
        model_files.whole(Stored(parts), SEAL, folder=tmp_path if kept else None)
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_it_is_held_in_memory(tmp_path: Path) -> None:
    folder = tmp_path / "no folder"
    folder.write_text("a file is in its way")
    held = model_files.whole(Stored(), SEAL, folder=folder)
    assert held == b"".join(PARTS) and held.readonly


def test_on_a_full_disk_it_is_held_in_memory(tmp_path: Path) -> None:
    class Full(Stored):
        """The disk is full at the first try to copy from here."""

        def __call__(self) -> Iterator[bytes]:
            parts = super().__call__()
            if self.asked == 1:
                yield PARTS[0]
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield from parts

    assert model_files.whole(Full(), SEAL, folder=tmp_path) == b"".join(PARTS)
    assert not list(tmp_path.iterdir())


def test_two_processes_that_write_at_once_agree_on_one_file(tmp_path: Path) -> None:
    class Raced(Stored):
        """Another process puts its file there while this one still copies."""

        def __call__(self) -> Iterator[bytes]:
            if not self.asked:
                self.asked += 1
                model_files.whole(Stored(), SEAL, folder=tmp_path)
                self.first = _file_of(tmp_path).stat().st_ino
            yield from PARTS

    raced = Raced()
    assert model_files.whole(raced, SEAL, folder=tmp_path) == b"".join(PARTS)
    assert _file(tmp_path).stat().st_ino == raced.first


def _file_of(folder: Path) -> Path:
    (path,) = folder.glob(f"*{model_files.SUFFIX}")
    return path


def test_other_models_and_what_was_left_are_removed_but_stay_mapped(tmp_path: Path) -> None:
    view = model_files.whole(Stored(), SEAL, folder=tmp_path)
    fresh, left = tmp_path / "new.draft", tmp_path / "old.draft"
    fresh.touch()
    left.touch()
    os.utime(left, (time.time() - 2 * model_files.ABANDONED_SECONDS,) * 2)
    (tmp_path / "notes.txt").touch()
    model_files.tidy(tmp_path, keep=Seal(b"another", 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.draft", "notes.txt"]
    assert view == b"".join(PARTS)
