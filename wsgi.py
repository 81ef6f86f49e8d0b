"""The web's front door: `app` for any WSGI server."""

import atexit

from app import create_app
from app.parts import build
from foundation import logs
from foundation.config import Config

logs.configure()
parts = build(Config.of_program())
atexit.register(parts.close)
app = create_app(parts)
