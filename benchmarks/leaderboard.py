"""How long the project's leaderboard takes: scoring every submission, and building the pages."""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from ssl_bench.leaderboard.assess import AssessOptions
from ssl_bench.leaderboard.board import Board, read_board
from ssl_bench.leaderboard.submissions import default_board
from ssl_bench.site.build import build_site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", type=Path, help="the board; default: that of this project")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    root = options.board or default_board()
    with tempfile.TemporaryDirectory(prefix="ssl-bench-") as scratch:
        os.environ["SSL_BENCH_CACHE"] = str(Path(scratch) / "cache")
        site = Path(scratch) / "site"

        def build() -> Board:
            board = read_board(root, AssessOptions(jobs=options.jobs))
            build_site(board, site, jobs=options.jobs)
            return board

        board = timed("from nothing (aim: 240 s on two idle cores)", build)
        timed("unchanged (aim: 15 s)", build)
        print(f"{board.n_entries} entries, {board.n_scored} scored")


def timed(name: str, work: Callable[[], Board]) -> Board:
    started, used = perf_counter(), cpu_seconds()
    found = work()
    print(f"{name}: {perf_counter() - started:.1f} s, CPU {cpu_seconds() - used:.1f} s")
    return found


def cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
