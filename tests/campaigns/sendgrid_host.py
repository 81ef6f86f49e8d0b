"""A local host that speaks SendGrid's v3 API: sending, the log of messages, the lists of addresses; and misbehaves."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class SendgridHost(ThreadingHTTPServer):
    """Answers as the documentation says. `answers` are told in turn instead: a status, headers and a body; 0 hangs up
    after taking the call, -1 never answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Endpoint)
        self.taken: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[tuple[int, dict[str, str], str]] = []
        self.logs: dict[str, dict[str, Any]] = {}
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.closed: set[str] = set()
        self.bad_recipients: set[str] = set()
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def delivered(self) -> list[dict[str, str]]:
        """Every mail as its recipient gets it: what is common, and the values in the place of their tags."""
        found = []
        for call in self.taken:
            bodies = {part["type"]: part["value"] for part in call["content"]}
            for one in call["personalizations"]:
                mail = {"to": one["to"][0]["email"], "mid": one["custom_args"]["mid"], "subject": one["subject"]}
                mail |= {"html": bodies["text/html"], "text": bodies["text/plain"]}
                for tag, value in one.get("substitutions", {}).items():
                    mail |= {name: mail[name].replace(tag, value) for name in ("html", "text")}
                found.append(mail | {**call.get("headers", {}), **one.get("headers", {})})
        return found


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SendgridHost

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self._asked("POST", body)
        if self.server.answers:
            return self._told(body)
        match urlsplit(self.path).path:
            case "/v3/mail/send":
                return self._send(body)
            case "/v3/logs" if "logs" not in self.server.closed:
                hits = [log for log in self.server.logs.values() if f'to_email = "{log["to_email"]}"' in body["query"]]
                return self._say(200, {"messages": hits})
            case "/v3/asm/suppressions/global":
                return self._say(201, body)
        return self._say(403, {"errors": [{"message": "access forbidden"}]})

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        self._asked("GET", {name: values[0] for name, values in parse_qs(path.query).items()})
        name = path.path.rsplit("/", 1)[1]
        if path.path.startswith("/v3/logs/") and name in self.server.logs:
            return self._say(200, self.server.logs[name])
        if path.path.startswith("/v3/suppression/") and "lists" not in self.server.closed:
            asked = self.server.asked[-1][2]
            start, limit = int(asked["offset"]), int(asked["limit"])
            return self._say(200, self.server.lists.get(name, [])[start : start + limit])
        return self._say(403, {"errors": [{"message": "access forbidden"}]})

    def do_DELETE(self) -> None:
        self._asked("DELETE", {})
        address = unquote(self.path.rsplit("/", 1)[1])
        goodbyes = self.server.lists.get("unsubscribes", [])
        left = [one for one in goodbyes if one["email"].lower() != address.lower()]
        if "lists" in self.server.closed:
            return self._say(403, {"errors": [{"message": "access forbidden"}]})
        self.server.lists["unsubscribes"] = left
        return self._say(404, {"errors": [{"message": "not found"}]}) if left == goodbyes else self._say(204, None)

    def _send(self, body: dict[str, Any]) -> None:
        bad = {one["to"][0]["email"] for one in body["personalizations"]} & self.server.bad_recipients
        if bad:
            return self._say(400, {"errors": [{"message": "Does not contain a valid address.", "field": "to"}]})
        self.server.taken.append(body)
        return self._say(202, None, {"X-Message-Id": f"sg-{len(self.server.taken)}"})

    def _told(self, body: dict[str, Any]) -> None:
        status, headers, text = self.server.answers.pop(0)
        if status == -1:
            time.sleep(1.5)
        if status in (0, -1, 202):
            self.server.taken.append(body)
        if status in (0, -1):
            self.close_connection = True
            return self.connection.close()
        return self._say(status, text, headers)

    def _asked(self, method: str, body: dict[str, Any]) -> None:
        self.server.asked.append((method, self.path, body))

    def _say(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        text = (body if isinstance(body, str) else json.dumps(body) if body is not None else "").encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@contextmanager
def hosting() -> Iterator[SendgridHost]:
    """The host, listening."""
    host = SendgridHost()
    serving = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield host
    finally:
        host.shutdown()
        serving.join()
        host.server_close()
