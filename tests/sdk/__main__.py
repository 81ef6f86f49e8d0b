"""Tries the JavaScript SDKs as their makers publish them against the running server: `make sdk-check`.

Installs them with npm under `var/sdk`, speaks from Node and from headless Chromium on another origin, and looks in
PostgreSQL whether what was said has arrived for the right people. They are given nothing but our host and a key.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from flask import Flask, send_from_directory
from playwright.sync_api import TimeoutError, sync_playwright

import app as front
from app import parts, security
from foundation import postgres
from foundation.config import Config
from foundation.database import Database
from shop import customers, tables
from tests import browser, serving

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parent.parent / "var" / "sdk"
SPEAKERS = ("segment-node", "rudder-node", "segment-browser", "rudder-browser", "rudder-beacon")
SAID = ["Identified", "Page Viewed", "Product Added", "Product Viewed"]
SECONDS = 20


def main() -> int:
    """Prints a line for each SDK; 1 if any failed."""
    _install()
    with _installation() as (application, db), serving.served(application) as host:
        with db.begin() as conn:
            key = security.create_key(conn, kind="write", name="sdk check", now=datetime.now(UTC))
        node = ["node", str(HERE / "node.mjs"), host, key]
        failed = subprocess.run(node, cwd=INSTALLED, check=False).returncode != 0
        _browse(host, key)
        for speaker in SPEAKERS:
            heard = _heard(db, speaker)
            failed |= heard != SAID
            print(f"{'ok  ' if heard == SAID else 'FAIL'} {speaker}: {', '.join(heard) or 'nothing arrived'}")
    return int(failed)


def _install() -> None:
    INSTALLED.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "package.json", INSTALLED)
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(["npm", "install", *quiet], cwd=INSTALLED, check=True)


@contextmanager
def _installation() -> Iterator[tuple[Flask, Database]]:
    with tempfile.TemporaryDirectory(prefix="relance-sdk-", ignore_cleanup_errors=True) as directory:
        url = os.environ.get("RELANCE_TEST_DATABASE_URL") or postgres.attach(Path(directory) / "postgres")
        environ = {"RELANCE_VAR": directory, "RELANCE_DATABASE_URL": url}
        built = parts.build(replace(Config.from_env(environ), base_url="http://localhost"))
        built.db.migrate()
        yield front.create_app(built), built.db
        built.db.dispose()


def _browse(host: str, key: str) -> None:
    """Pages of a shop on another origin, so that every call has its pre-flight."""
    shop = Flask("shop")
    shop.add_url_rule("/<path:name>", "page", lambda name: send_from_directory(HERE, name))
    shop.add_url_rule("/sdk/<path:name>", "sdk", lambda name: send_from_directory(INSTALLED / "node_modules", name))
    with serving.served(shop) as origin, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.executable(), args=["--no-sandbox"])
        for page_name in ("segment.html?", "rudder.html?", "rudder.html?beacon=1&"):
            page = chromium.new_context().new_page()
            page.on("console", lambda message: print("     ", message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: print("     ", error))
            page.goto(f"{origin}/{page_name}key={key}&host={host}")
            with suppress(TimeoutError):
                page.wait_for_function("document.title === 'done'", timeout=SECONDS * 1000)
            page.wait_for_timeout(2000)  # the SDKs send in the background
        chromium.close()


def _heard(db: Database, speaker: str) -> list[str]:
    """The events of one speaker, once all have come; what they did before they were known is theirs too."""
    deadline = time.monotonic() + SECONDS
    while True:
        with db.begin() as conn:
            customer = customers.find(conn, user_id=speaker)
            same = customer is not None and customers.find(conn, email=f"{speaker}@example.com") == customer
            query = sa.select(tables.events.c.name).where(tables.events.c.customer_id == customer)
            heard = sorted(conn.scalars(query)) if same else []
        if heard == SAID or time.monotonic() > deadline:
            return heard
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
