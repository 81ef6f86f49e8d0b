"""How soon each page of the console can be used, in Chromium over a large crowd: against one second.

    python -m bench interactive                                      200,000 customers
    RELANCE_BENCH_CUSTOMERS=1000000 RELANCE_BENCH_EVENTS=1 python -m bench interactive         a million, an event each

The pages are those of `bench pages`, with what it makes beside the crowd. A page can be used once its load event is
over and no task of 50 ms or more holds the thread that would answer a click. Cold is a browser that has never been
here: no script, style or letter in its cache; warm is one that has. Times are those of the browser, from the start of
the navigation.
"""

import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from bench import bench_pages, crowd, web
from tests import browser

COLD, WARM = 3, 3
"""Times each page is opened."""
WANTED = 1000.0
QUIET = 200
"""Milliseconds after the load event in which a long task still counts."""

WATCH = """
window.long = [];
new PerformanceObserver((seen) => seen.getEntries().forEach((task) => long.push([task.startTime, task.duration])))
  .observe({ type: "longtask", buffered: true });
"""
READ = """(quiet) => new Promise((tell) => setTimeout(() => {
  const went = performance.getEntriesByType("navigation")[0];
  tell({ dom: went.domInteractive, load: went.loadEventEnd, tasks: long });
}, quiet))"""


def run() -> list[dict[str, object]]:
    """The slowest pages first, then all of them in one row."""
    customers = int(os.environ.get("RELANCE_BENCH_CUSTOMERS", "200000"))
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        with crowd.of(customers) as db:
            bench_pages.make(db)
            with web.server(db.url, directory) as port:
                found = bench_pages.found(port, db.url, directory)
                return [{"customers": customers, **row} for row in _measured(f"http://127.0.0.1:{port}", found)]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _measured(address: str, found: dict[str, str]) -> list[dict[str, object]]:
    with sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=browser.executable(), args=["--no-sandbox"])
        known = _signed_in(chromium, address)
        rows = [{"page": name.removeprefix("console."), **_page(known, address + path)} for name, path in found.items()]
        chromium.close()
    rows.sort(key=lambda row: -float(row["cold worst"]))
    every = {what: [float(row[what]) for row in rows] for what in ("cold ms", "cold worst", "warm ms", "warm worst")}
    slow = sum(worst > WANTED for worst in every["cold worst"] + every["warm worst"])
    medians = {what: round(statistics.median(times)) for what, times in every.items() if what.endswith("ms")}
    worst = {what: max(times) for what, times in every.items() if what.endswith("worst")}
    return [*rows, {"page": "all", "pages": len(rows), **medians, **worst, "over 1 s": slow}]


def _signed_in(chromium: Browser, address: str) -> BrowserContext:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/console/sign-in")
    page.fill("#email", bench_pages.EMAIL)
    page.fill("#password", bench_pages.PASSWORD)
    page.click(".door .btn-primary")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.close()
    return context


def _page(known: BrowserContext, url: str) -> dict[str, Any]:
    cold = []
    for _ in range(COLD):
        stranger = known.browser.new_context(  # type: ignore[union-attr] - a context of a launched browser has one
            viewport={"width": 1440, "height": 900}, storage_state=known.storage_state()
        )
        cold.append(_opened(stranger, url))
        stranger.close()
    warm = [_opened(known, url) for _ in range(WARM + 1)][1:]
    usable = {"cold": [one["usable"] for one in cold], "warm": [one["usable"] for one in warm]}
    return {
        **{f"{what} ms": round(statistics.median(times)) for what, times in usable.items()},
        **{f"{what} worst": round(max(times)) for what, times in usable.items()},
        "dom ms": round(statistics.median(one["dom"] for one in warm)),
        "longest task": round(max(one["longest"] for one in cold + warm)),
    }


def _opened(context: BrowserContext, url: str) -> dict[str, float]:
    """Milliseconds until the page can be used, until its document was read, and of its longest task."""
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(url)
    seen = page.evaluate(READ, QUIET)
    page.wait_for_load_state("networkidle", timeout=120_000)  # what it asked for later slows down no other
    page.close()
    ends = [start + lasted for start, lasted in seen["tasks"]]
    longest = max((lasted for _, lasted in seen["tasks"]), default=0.0)
    return {"usable": max([seen["load"], *ends]), "dom": seen["dom"], "longest": longest}
