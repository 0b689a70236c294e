"""Parts are worked on here, in other processes or on Ray, with the same outcome."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from refusals import refused
from worked_parts import doubling, failing, naming_its_device, slow

from ssl_bench.analysis.request import Request, load_model, settled
from ssl_bench.executors import HERE, Executor, processes
from ssl_bench.models.provenance import describe

LOCAL = [HERE, processes(3)]


@pytest.mark.parametrize("executor", LOCAL, ids=str)
class TestEach:
    def test_every_part_has_its_outcome(self, executor: Executor) -> None:
        with executor.open(doubling) as run:
            assert dict(run([3, 4, 5])) == {0: 6, 1: 8, 2: 10}
            assert dict(run(["a"])) == {0: "aa"}
            assert list(run([])) == []

    def test_an_error_of_ours_arrives_as_it_is(self, executor: Executor) -> None:
        with refused("E_TORN", where="clip 2"), executor.open(failing) as run:
            list(run([1, 2]))


def test_one_process_is_this_one() -> None:
    assert processes(1) == HERE
    with HERE.open(naming_its_device) as run:
        assert dict(run([0])) == {0: (os.getpid(), None)}


def test_this_process_may_work_with_what_it_has() -> None:
    with processes(2).open(naming_its_device, here=slow) as run:
        outcomes = dict(run(range(20)))
    assert any(isinstance(outcome, int) for outcome in outcomes.values())
    assert any(isinstance(outcome, tuple) for outcome in outcomes.values())


def test_a_run_is_told_the_device_of_its_workers_and_needs_none_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(_self: Executor, device: str, _question: object) -> tuple[str, str | None]:
        return ("cuda", "cuda (H200)") if device == "auto" else (device, "cuda (H100)")

    monkeypatch.setattr(Executor, "ask", ask)
    executor = Executor("ray", 2, address="elsewhere:1")
    asked = settled(Request("ezvsl", device="cuda", precision="bf16", executor=executor))
    assert (asked.device, asked.executor.devices) == ("cuda", ("cuda",))
    assert settled(asked) is asked
    facts = describe(load_model(asked))
    assert (facts["device"], facts["precision"]) == ("cuda (H100)", "bf16")
    auto = replace(asked, device="auto", elsewhere=None)
    assert settled(auto).executor.devices == ("cuda",)
    plain = Request("ezvsl", device="cpu", executor=executor)
    assert settled(plain) is plain
