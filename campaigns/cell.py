"""Where a marketer's text is tried the first time: a process of its own, killed at 512 MB or after two seconds.

The allow-list of `wording.py` leaves nothing that grows; this is the wall behind it, for what nobody thought of. Each
text is filled in once here, with every field as long and every list as full as they come, before anything is rendered
beside other work. One process serves many texts; whatever kills it is one text's fault, and the next gets another.
"""

import atexit
import json
import resource
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MEMORY = 512 * 1024 * 1024
SECONDS, START_SECONDS = 2.0, 30.0

Try = Callable[[str], str | None]
"""Fills a text in; what is wrong with it, or None."""


class Cell:
    """One process and the turn at it. `module` names the module whose `trial` function fills a text in."""

    def __init__(self, module: str, *, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self._module, self._seconds, self._memory = module, seconds, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        atexit.register(self.close)

    def tried(self, text: str) -> str | None:
        """What is wrong with the text, as the end of a sentence; None if it can be filled in."""
        with self._turn:
            process = self._process or self._start()
            try:
                _write(process, text)
                answer = _read(process, self._seconds)
            except (BrokenPipeError, EOFError):
                self._end()
                return f"needs more memory than {self._memory // 1024 // 1024} MB"
            except TimeoutError:
                self._end()
                return f"takes longer than {self._seconds:g} s to fill in"
        return answer or None

    def close(self) -> None:
        """Ends the process, if there is one; the next text starts another."""
        with self._turn:
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from campaigns import cell; cell.serve()"
        command = [sys.executable, "-I", "-c", code, self._module, str(self._memory)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - our own code
        self._process = process
        _read(process, START_SECONDS)
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait()


def _write(process: subprocess.Popen[bytes], text: str) -> None:
    if process.stdin is not None:
        process.stdin.write(json.dumps(text).encode() + b"\n")
        process.stdin.flush()


def _read(process: subprocess.Popen[bytes], seconds: float) -> str:
    """The next answer; raises `TimeoutError`, or `EOFError` if the process ended instead."""
    if process.stdout is None or not select.select([process.stdout], [], [], seconds)[0]:
        raise TimeoutError
    line = process.stdout.readline()
    if not line:
        raise EOFError
    return str(json.loads(line))


def serve() -> None:
    """The process itself: says that it is there, then answers each text with what is wrong with it."""
    module, memory = sys.argv[1], int(sys.argv[2])
    trial: Any = __import__(module, fromlist=["trial"]).trial
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    sys.stdout.write('""\n')
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(trial(json.loads(line)) or "") + "\n")
        sys.stdout.flush()
