"""`create_app(parts)`: the web application, its blueprints, and who may enter each."""

import importlib
import logging

from flask import Flask

log = logging.getLogger(__name__)

# While the house is being built: rooms that stand are opened, others are skipped.
ROOMS = (
    ("app.security_headers", None),
    ("app.api.problems", None),
    ("app.api.events", None),
    ("app.api.recommendations", None),
    ("app.api.openapi", None),
    ("app.api.customers", None),
    ("app.api.catalogue", None),
    ("app.api.stores", None),
    ("app.api.promotions", None),
    ("app.api.carts", None),
    ("app.public", None),
    ("app.hooks", None),
    ("app.health", None),
    ("app.demo", None),
)


def create_app(parts: object) -> Flask:
    """The whole application over the given parts."""
    app = Flask(__name__, template_folder="../templates", static_folder="static")
    app.extensions["relance"] = parts
    app.secret_key = parts.config.secret_keys[0]
    for name, _ in ROOMS:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as missing:
            log.warning("room not built", extra={"room": name, "missing": missing.name})
            continue
        if hasattr(module, "register"):
            module.register(app)
        elif hasattr(module, "bp"):
            app.register_blueprint(module.bp)
    try:
        console = importlib.import_module("app.console.blueprint")
        console.register(app)
    except ModuleNotFoundError as missing:
        log.warning("room not built", extra={"room": "console", "missing": missing.name})
    return app
