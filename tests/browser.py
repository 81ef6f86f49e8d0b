"""Finds the Chromium the browser tests drive, installing one where there is none, and starts it.

python -m tests.browser      what `make test` runs first; prints what it did, never fails
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT = ("chromium", "fonts-liberation")
OWN_HOSTS = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"
"""No page under test reaches another machine."""


def executable() -> str | None:
    """The path of an installed Chromium or Chrome, else that of playwright's own, else None."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    own = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
    return str(own[-1]) if own else None


@contextmanager
def launched(*arguments: str) -> Iterator[Browser]:
    """A headless browser, told these too, ended afterwards; the test is skipped where there is none."""
    path = executable()
    if path is None:
        pytest.skip("there is no Chromium, and none could be installed")
    with sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=path, args=["--no-sandbox", OWN_HOSTS, *arguments])
        yield started
        started.close()


def install() -> None:
    """The system's package as root on Debian, else playwright's own download."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *APT], check=False)
    if executable() is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    if executable() is None:
        print("No Chromium found for the browser tests; installing one …", flush=True)
        install()
    found = executable()
    print(f"Browser tests use {found}" if found else "No Chromium could be installed: browser tests will be skipped.")
