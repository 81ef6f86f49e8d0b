"""Artefacts as local files named by their checksum, mapped read-only: all processes of a machine share one memory.

A file is a convenience, never the truth: one that is missing or spoilt is made again from what is stored, and where
none can be written, for want of space or rights, the model is held in memory instead.
"""

import logging
import mmap
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from recommender import artefact
from recommender.artefact import Damaged, Seal

log = logging.getLogger(__name__)

SUFFIX = ".model"
DRAFT = ".draft"
ABANDONED_SECONDS = 3600
"""A draft as old as this was left by a process that was killed."""


def whole(stored: Callable[[], Iterator[bytes]], seal: Seal, *, folder: Path | None) -> memoryview:
    """The artefact of this seal; raises `Damaged` if what is stored is not it.

    :param stored: gives its parts from the beginning, at each call anew
    """
    if folder is not None:
        path = folder / f"{seal.sha256.hex()}{SUFFIX}"
        try:
            found = _mapped(path, seal)
            if found is None:
                _write(path, stored(), seal)
                found = _mapped(path, seal)
            if found is not None:
                return found
        except OSError as error:
            log.warning("a model cannot be kept as a file, it is held in memory: %s", error)
    return _in_memory(stored(), seal)


def tidy(folder: Path, *, keep: Seal) -> None:
    """Removes the files of other models, and what killed processes left. Whoever has one mapped goes on with it."""
    kept = f"{keep.sha256.hex()}{SUFFIX}"
    try:
        for path in folder.iterdir():
            abandoned = path.suffix == DRAFT and time.time() - path.stat().st_mtime > ABANDONED_SECONDS
            if abandoned or path.suffix == SUFFIX and path.name != kept:
                path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("old models cannot be removed: %s", error)


def _mapped(path: Path, seal: Seal) -> memoryview | None:
    """The file in memory if it is what it must be. A spoilt one is removed."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == seal.size:
                view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                if Seal.of(_cut(view)) == seal:
                    return view
    except FileNotFoundError:
        return None
    log.error("the file of a model is damaged and is made again", extra={"path": str(path)})
    path.unlink(missing_ok=True)
    return None


def _cut(view: memoryview) -> Iterator[memoryview]:
    return (view[start : start + artefact.PART] for start in range(0, len(view), artefact.PART))


def _write(path: Path, parts: Iterator[bytes], seal: Seal) -> None:
    """Written beside its place and linked there whole; if another process was first, its file is the one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{secrets.token_hex(8)}{DRAFT}")
    try:
        with draft.open("xb") as file:
            _check(Seal.of(_through(parts, file.write)), seal)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _through(parts: Iterator[bytes], write: Callable[[bytes], object]) -> Iterator[bytes]:
    for part in parts:
        write(part)
        yield part


def _in_memory(parts: Iterator[bytes], seal: Seal) -> memoryview:
    held = bytearray()
    for part in parts:
        held += part
    _check(Seal.of(_cut(memoryview(held))), seal)
    return memoryview(held).toreadonly()


def _check(found: Seal, seal: Seal) -> None:
    if found != seal:
        raise Damaged("the stored artefact does not have its checksum")
