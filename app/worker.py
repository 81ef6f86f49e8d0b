"""The service worker of notifications, for a shop on any host; the shop's own file is one line that imports it."""

from flask import Blueprint, Response, current_app

bp = Blueprint("worker", __name__)


@bp.get("/push-worker.js")
def push_worker() -> Response:
    """What the shop's file imports; browsers ask for it anew once a day at the latest."""
    response = current_app.send_static_file("push-worker.js")
    response.headers.update({"Service-Worker-Allowed": "/", "Access-Control-Allow-Origin": "*"})
    return response
