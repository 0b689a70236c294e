"""On what a number was computed: library versions and the commit of the checkout."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_LIBRARIES = (
    "numpy",
    "scipy",
    "numba",
    "pandas",
    "pillow",
    "soundfile",
    "av",
    "pycocotools",
    "opencv-python-headless",
    "torch",
)


def environment() -> dict[str, Any]:
    """Versions of what may change a number, as a JSON-able dictionary; imports no library.

    Examples
    --------
    >>> sorted(environment())[:2]
    ['commit', 'libraries']
    """
    libraries = {name: found for name in _LIBRARIES if (found := _version(name)) is not None}
    return {
        "ssl_bench": package_version(),
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": sys.platform,
        "libraries": libraries,
    }


def package_version() -> str:
    """Version of this package."""
    return _version("ssl-bench") or "0+unknown"


# What is asked after each result does not change while a process runs.
@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _commit() -> str | None:
    """Commit of the checkout that the package runs from; None in an installed wheel."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
