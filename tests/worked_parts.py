"""What tests of executors let workers do; workers in other processes import it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
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
