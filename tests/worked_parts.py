"""What tests of executors let workers do, and one that dies; other processes import it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ssl_bench.errors import DataError


def doubling(_device: str | None) -> Callable[[Any], Any]:
    return lambda part: part * 2


def failing(_device: str | None) -> Callable[[Any], Any]:
    def work(part: int) -> int:
        if part == 2:
            raise DataError("it is torn", code="E_TORN", where="clip 2", remedy="mend it")
        return part

    return work


def dying(_device: str | None) -> Callable[[Any], Any]:
    return lambda _part: os.kill(os.getpid(), signal.SIGKILL)


def slow(_device: str | None) -> Callable[[Any], Any]:
    return lambda part: time.sleep(0.1) or part


def naming_its_device(device: str | None) -> Callable[[Any], Any]:
    def work(_part: int) -> tuple[int, str | None]:
        return os.getpid(), device

    return work


def kill_worker(after: float, ended: threading.Event) -> None:
    """Kill the next worker of this process so many seconds after it appears."""
    while not ended.wait(0.005):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for child in children:
            with suppress(OSError):
                if b"popen_loky" in Path(f"/proc/{child}/cmdline").read_bytes():
                    time.sleep(after)
                    os.kill(int(child), signal.SIGKILL)
                    return
