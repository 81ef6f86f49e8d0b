"""`create_app(parts)`: the web application, with every room it has. Each room names who may enter it."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app import commands, health, hooks, preferences, product_feeds, public, security_headers, sms_hooks, worker
from app.api import (
    campaigns,
    carts,
    catalogue,
    customers,
    events,
    merchandising,
    offers,
    onsite,
    openapi,
    problems,
    promotions,
    push,
    recommendations,
    stores,
)
from app.console import blueprint as console
from app.demo import storefront
from app.parts import Parts

ROOMS = (
    customers,  # the rest of the API: secret key
    catalogue,
    stores,
    promotions,
    offers,
    campaigns,
    merchandising,
    carts,
    push,  # write or secret key: the storefront's tracker
    onsite,
    openapi,  # open to all
    worker,
    public,  # open to all, behind signed links
    preferences,  # the same
    hooks,  # providers, by their signature
    sms_hooks,
    health,  # open to all
    product_feeds,  # ad platforms, by an address nobody guesses
)


def create_app(parts: Parts) -> Flask:
    """The whole application over the given parts. The console asks people to sign in; the demo shop is open."""
    app = Flask(__name__, template_folder="../templates", static_folder="static")
    app.extensions["relance"] = parts
    app.url_map.strict_slashes = False  # an address typed with a slash too many is the same address
    app.secret_key, *older = parts.config.secret_keys
    app.config["SECRET_KEY_FALLBACKS"] = older
    security_headers.register(app)
    problems.register(app)
    events.register(app)  # write key: the tracking API
    recommendations.register(app)  # write or secret key
    for room in ROOMS:
        app.register_blueprint(room.bp)
    console.register(app)
    if parts.config.demo:
        storefront.register(app)
    commands.register(app)
    if hops := parts.config.trusted_proxies:  # outermost: every door within sees who really asks
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=0, x_host=0)  # type: ignore[method-assign]
    return app
