"""How long a user waits for ``ssl-bench --help`` and ``ssl-bench score``.

Run ``python benchmarks/startup.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from common import (
    VGGSS_ENTRIES,
    invent_maps,
    invent_vggss,
    print_rows,
    spread,
    vggss_trials,
    write_predictions,
)

COMMAND = Path(sys.executable).parent / "ssl-bench"


class Runs:
    """Wall-clock and processor seconds of a command, run several times."""

    def __init__(self, *command: str | Path, environment: dict[str, str] | None = None) -> None:
        self._command = [str(part) for part in command]
        self._environment = os.environ | (environment or {})
        self.wall: list[float] = []
        self.processor: list[float] = []

    def run(self) -> None:
        """Run it once; it must succeed."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = perf_counter()
        subprocess.run(self._command, check=True, capture_output=True, env=self._environment)
        self.wall.append(perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def row(self, name: str) -> tuple[str, str]:
        """What it took, as a row of a table."""
        return name, f"{spread(self.wall, ' s')}, processor {spread(self.processor, ' s')}"

    def ratio(self, other: Runs) -> tuple[str, str]:
        """How much longer it took than another command, as a row of a table."""
        ratio = statistics.median(self.wall) / statistics.median(other.wall)
        return "  against the bare interpreter", f"{ratio:.3g} x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=VGGSS_ENTRIES)
    parser.add_argument("--side", type=int, default=14, help="height and width of a map")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = invent_vggss(folder, given.maps)
        path = folder / "maps.npz"
        write_predictions(path, vggss_trials(data), invent_maps(given.maps, given.side))
        scoring = [COMMAND, "score", path, "--protocol", "vggss", "--data", data]
        compiling = Runs(*scoring, environment={"NUMBA_CACHE_DIR": str(folder / "compiled")})
        compiling.run()
        bare, shown, scored = (
            Runs(*command)
            for command in ([sys.executable, "-c", "pass"], [COMMAND, "--help"], scoring)
        )
        Runs(*scoring).run()  # fills the usual cache of compiled code
        for _ in range(given.repeats):
            for runs in (bare, shown, scored):
                runs.run()
    print_rows(
        f"Processes from start to end, {given.repeats} repetitions",
        [
            bare.row("python -c pass"),
            shown.row("ssl-bench --help"),
            shown.ratio(bare),
            scored.row(f"ssl-bench score, {given.maps:,} maps"),
            scored.ratio(bare),
            compiling.row("  the first time, which compiles"),
        ],
    )


if __name__ == "__main__":
    main()
