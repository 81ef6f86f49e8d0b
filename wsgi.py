"""The web's front door: `app` for any WSGI server."""

import atexit
import gc

from app import create_app
from app.parts import build
from foundation import logs
from foundation.config import Config

logs.configure()
parts = build(Config.of_program())
atexit.register(parts.close)
app = create_app(parts)

# What is here now stays for good: the collector need not look at it again with every few thousand events.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 10, 50)
