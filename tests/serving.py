"""A web server of the tests' own: the real application on a real port of this machine."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from wsgiref.types import WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import ClosingIterator

PATIENCE_SECONDS = 30


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Nobody reads an access log of tests."""


class Server:
    """Listens from the start, so that the application may know its address. Who asks before there is one waits."""

    def __init__(self, host: str = "localhost") -> None:
        self._application: WSGIApplication | None = None
        self._ready = threading.Event()
        self._asked = 0
        self._changed = threading.Condition()
        self._server = make_server(host, 0, self._answer, threaded=True, request_handler=_Quiet)
        self.address = f"http://{host}:{self._server.server_port}"
        self._serving = threading.Thread(target=self._server.serve_forever)
        self._serving.start()

    def serve(self, application: WSGIApplication) -> None:
        """Answers with this application from now on."""
        self._application = application
        self._ready.set()

    def close(self) -> None:
        """Returns once every request is answered: none still holds a connection to the database. A browser that left
        a page has not waited for what that page had asked."""
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()
        with self._changed:
            assert self._changed.wait_for(lambda: not self._asked, PATIENCE_SECONDS), "a request never ended"

    def _answer(self, environ: Any, start: Any) -> Iterable[bytes]:
        """Whole at once: of an answer nobody waits for any more the server would leave files open."""
        self._count(1)
        try:
            assert self._ready.wait(PATIENCE_SECONDS), "there is no application"
            assert self._application is not None
            with closing(ClosingIterator(self._application(environ, start))) as answer:
                return [b"".join(answer)]
        finally:
            self._count(-1)

    def _count(self, by: int) -> None:
        with self._changed:
            self._asked += by
            self._changed.notify_all()


@contextmanager
def served(application: WSGIApplication) -> Iterator[str]:
    """Serves an application until the end of the block; gives its address."""
    server = Server("127.0.0.1")
    server.serve(application)
    try:
        yield server.address
    finally:
        server.close()
