"""Running something in a process that is split off from this one, and has what this has loaded."""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# What most commands need, so that it is loaded before processes are split off.
import ssl_bench.analysis.evaluation
import ssl_bench.models.ezvsl  # noqa: F401


class Ended(NamedTuple):
    """How a process ended, and what it printed."""

    code: int
    out: str
    err: str


def split_off(action: Callable[[], object], folder: Path) -> Ended:
    """Do something in a folder, in a process of its own."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            os._exit(_ended(action, folder, out.fileno(), err.fileno()))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return Ended(code, out.read(), err.read())


def _ended(action: Callable[[], object], folder: Path, out: int, err: int) -> int:
    os.dup2(out, 1)
    os.dup2(err, 2)
    # What pytest captures is this process's no more.
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    try:
        os.chdir(folder)
        action()
        return 0
    except SystemExit as stop:
        if isinstance(stop.code, str):
            sys.stderr.write(stop.code)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def run_script(script: Path, *arguments: str | Path, folder: Path) -> Ended:
    """Run a Python file with arguments, as ``python FILE`` does."""

    def run() -> None:
        sys.argv = [str(script), *map(str, arguments)]
        sys.path.insert(0, str(script.parent))
        runpy.run_path(str(script), run_name="__main__")

    return split_off(run, folder)
