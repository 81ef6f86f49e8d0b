"""One JSON line per outcome, with its ids as fields; never an address, a token or a body."""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

_VALUES = re.compile(r"^(DETAIL|CONTEXT): .*\n?", re.MULTILINE)
"""Where PostgreSQL's errors quote the row they are about: a key that is there already is often an address."""


_QUOTED = re.compile(r"""(["'])(?![a-z][a-z_]*\1).*?\1""")
"""What an error quotes, unless it is a word like those our columns and fields are called."""

_WHO = re.compile(r"[^\s\"'<>()=]+@[\w.-]+|\+?\d{9,}")
"""An address, or a number as long as that of a telephone or a card, wherever it stands."""


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, message, and the `extra` fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            line["error"] = _without_values(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def _without_values(error: str) -> str:
    """A traceback as it is, and of what the errors say themselves (`could not convert 'Ada'`) nothing of anybody."""
    lines = _VALUES.sub("", error).splitlines()
    return "\n".join(line if line.startswith("  ") else _WHO.sub("…", _QUOTED.sub("…", line)) for line in lines)


def configure(level: str = "INFO", stream: TextIO = sys.stderr) -> None:
    """Sends every log line of this process to `stream` as JSON."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # The HTTP client names every address it calls, and that of a browser or an account is nobody else's business.
    for chatty in ("apscheduler", "alembic", "httpx2", "httpcore2"):
        logging.getLogger(chatty).setLevel("WARNING")
