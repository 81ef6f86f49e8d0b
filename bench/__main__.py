"""`make bench`: runs every benchmark, prints a table of ratios and writes `var/bench.json`.

python -m bench [tracking import training recommendations quality slates predictions segments promotions mail
                 audiences campaigns console pages interactive start]
"""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson

from bench import (
    bench_audiences,
    bench_campaigns,
    bench_console,
    bench_import,
    bench_interactive,
    bench_mail,
    bench_pages,
    bench_predictions,
    bench_promotions,
    bench_quality,
    bench_recommendations,
    bench_segments,
    bench_slates,
    bench_start,
    bench_tracking,
    bench_training,
)

BENCHMARKS = {
    "tracking": bench_tracking.run,
    "import": bench_import.run,
    "training": bench_training.run,
    "recommendations": bench_recommendations.run,
    "quality": bench_quality.run,
    "slates": bench_slates.run,
    "predictions": bench_predictions.run,
    "segments": bench_segments.run,
    "audiences": bench_audiences.run,
    "campaigns": bench_campaigns.run,
    "promotions": bench_promotions.run,
    "mail": bench_mail.run,
    "console": bench_console.run,
    "pages": bench_pages.run,
    "interactive": bench_interactive.run,
    "start": bench_start.run,
}
ROOT = Path(__file__).resolve().parent.parent


def main(names: list[str]) -> int:
    """Runs the named benchmarks, or all; each gives rows of figures with a ratio to its floor where it has one."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"No benchmark called {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
        return 2
    results = {}
    for name in names or BENCHMARKS:
        print(f"\n{name}\n{'-' * len(name)}", flush=True)
        results[name] = BENCHMARKS[name]()
        for row in results[name]:
            print("  " + "   ".join(f"{key} {_shown(value)}" for key, value in row.items()), flush=True)
    out = ROOT / "var" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "at": datetime.now(UTC).isoformat()}
    out.write_bytes(orjson.dumps({"machine": machine, "results": results}, option=orjson.OPT_INDENT_2))
    print(f"\nWritten to {out.relative_to(ROOT)}")
    return 0


def _shown(value: object) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
