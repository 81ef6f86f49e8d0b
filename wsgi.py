"""The web's front door: `app` for any WSGI server."""

from app import create_app
from app.parts import build
from foundation import logs
from foundation.config import Config

logs.configure()
app = create_app(build(Config.from_env()))
