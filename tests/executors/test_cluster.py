"""A Ray cluster is reached or started, and what is in the way is said."""

from __future__ import annotations

import os
import signal
import sys
import time
import types
from typing import Any

import pytest
from refusals import refused
from worked_parts import doubling

from ssl_bench.executors import Executor, cluster


def test_without_it_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with refused("E_EXTRA_MISSING"), Executor("ray", 2).open(doubling):
        pass


def test_an_address_where_nobody_answers_is_refused_at_once() -> None:
    executor = Executor("ray", 2, address="127.0.0.1:1")
    with refused("E_RAY_ADDRESS", where="127.0.0.1:1"), executor.open(doubling):
        pass


def test_a_token_that_is_not_accepted_is_said_and_ray_prints_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def init(**_: object) -> None:
        worker.print_to_stdstream({"is_err": False}, ignore_prefix=False)
        raise RuntimeError("Failed to connect. ray.exceptions.AuthenticationError: InvalidAuth")

    def shown(data: dict[str, Any], ignore_prefix: bool) -> None:
        print("A worker died", ignore_prefix, file=sys.stderr if data["is_err"] else sys.stdout)

    ray, private = types.ModuleType("ray"), types.ModuleType("ray._private")
    worker: Any = types.SimpleNamespace(print_to_stdstream=shown)
    vars(private).update(worker=worker)
    vars(ray).update(is_initialized=lambda: False, init=init, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray._private", private)
    monkeypatch.setattr(cluster, "_reach", lambda _address: None)
    for name in ("COLOR_PREFIX", "DISABLE_FAILURE_SIGNAL_HANDLER"):
        monkeypatch.setenv(f"RAY_{name}", "0")
    monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", "5")
    executor = Executor("ray", 2, address="there:1")
    with refused("E_RAY_TOKEN", where="there:1"), executor.open(doubling):
        pass
    assert capsys.readouterr() == ("", "A worker died False\n")
    assert worker.print_to_stdstream is shown


def test_a_ray_that_does_not_start_in_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    ray = types.ModuleType("ray")
    vars(ray).update(is_initialized=lambda: False, init=init, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with refused("E_RAY_START"), Executor("ray", 2).open(doubling):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_breaks_into_neither_its_start_nor_its_end(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    done: list[str] = []

    def lasting(name: str) -> None:
        os.kill(os.getpid(), number)
        for _ in range(20):
            time.sleep(0.005)
        done.append(name)

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    ray = types.ModuleType("ray")
    vars(ray).update(
        is_initialized=lambda: False,
        init=lambda **_: lasting("start"),
        shutdown=lambda: lasting("end"),
        exceptions=types.SimpleNamespace(RayError=RuntimeError),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
    before = signal.signal(number, stop)
    try:
        with pytest.raises(KeyboardInterrupt), Executor("ray", 2).open(doubling):
            pass
    finally:
        signal.signal(number, before)
    assert done == ["start", "end"]
