"""The product feeds ad platforms fetch, at addresses that stay the same: whoever knows the address may read it.

Nothing in a feed is about a person. The address holds a word made from the installation's secret, so that it cannot be
guessed; while a secret is being replaced the old address works too.
"""

import hashlib
import hmac
from collections.abc import Sequence

from flask import Blueprint, Response, abort

from app.parts import current_parts
from campaigns.audiences import feeds

bp = Blueprint("product_feeds", __name__, url_prefix="/feeds")


@bp.get("/<token>/<platform>.xml")
def feed(token: str, platform: str) -> Response:
    """The whole catalogue in the platform's words, written while it is read."""
    parts = current_parts()
    good = [hmac.compare_digest(word(secret).encode(), token.encode()) for secret in parts.config.secret_keys]
    if not any(good) or platform not in feeds.DIALECTS:
        abort(404)
    written = feeds.write(parts.db, platform, base_url=parts.config.base_url)
    headers = {"Cache-Control": "private, max-age=300", "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}
    return Response(written, mimetype="application/xml", headers=headers)


def addresses(secret_keys: Sequence[str], base_url: str) -> dict[str, str]:
    """Where each platform finds its feed, by its name."""
    return {name: f"{base_url}/feeds/{word(secret_keys[0])}/{name}.xml" for name in feeds.DIALECTS}


def word(secret: str) -> str:
    """The word in the address: 128 bits that give nothing else away."""
    return hmac.new(secret.encode(), b"relance.feeds", hashlib.sha256).hexdigest()[:32]
