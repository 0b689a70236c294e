"""Commands hand what is independent to workers, and say and write what they do alone."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command_line import Call
from made_clips import make_vggss
from protocol_files import few_trials
from worked_parts import kill_worker

from ssl_bench.analysis.evaluation import run_predict
from ssl_bench.analysis.request import Request
from ssl_bench.executors import Executor
from ssl_bench.leaderboard.baselines import add_baselines

SMALL = ("scenes=16", "validation_scenes=8", "epochs=1", "batch=8")
TRAIN = ("train", "--model", "ogl-l1", *(f"--change={each}" for each in SMALL))
SCORE = ("--no-cache", "--sheet", 0)


@pytest.fixture(scope="module", params=["processes", "ray"])
def workers(request: pytest.FixtureRequest) -> Iterator[tuple[object, ...]]:
    """Two workers of each kind; those on Ray are of a cluster that lasts as long as the module."""
    asked = ("--workers", 2, "--executor", request.param)
    if request.param == "processes":
        yield asked
        return
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        with Executor("ray").held():
            yield asked


@pytest.fixture
def processes() -> tuple[object, ...]:
    """Two processes."""
    return ("--workers", 2)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """Maps of a few trials, and how they are scored."""
    folder = tmp_path_factory.mktemp("few")
    protocol = folder / "few.toml"
    protocol.write_text(few_trials(12))
    run_predict(Request("random", folder=folder / "run"), [str(protocol)])
    return (folder / "run" / "predictions.npz", "--protocol", protocol)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run_predict(Request("random", folder=folder), ["concat"])
    return folder / "predictions.npz"


def content(folder: Path, *names: str) -> list[bytes]:
    return [path.read_bytes() for name in names for path in sorted(folder.rglob(name))]


@pytest.mark.slow
class TestWhatWorkersDo:
    def test_scores_are_the_same_bytes(
        self,
        call: Call,
        few: tuple[object, ...],
        tmp_path: Path,
        workers: tuple[object, ...],
    ) -> None:
        alone = call("score", *few, *SCORE, "--out", tmp_path / "alone")
        shared = call("score", *few, *SCORE, "--out", tmp_path / "shared", *workers)
        assert (alone.code, shared.code) == (0, 0), shared.err
        scores = [content(tmp_path / name, "scores.npz") for name in ("alone", "shared")]
        assert len(scores[0]) == 1
        assert scores[0] == scores[1]
        compared = ("score", *few, "--dialect", "all", "--json")
        assert call(*compared).out == call(*compared, *workers).out

    def test_a_board_is_found_the_same(
        self, call: Call, tmp_path: Path, processes: tuple[object, ...]
    ) -> None:
        board = tmp_path / "board"
        some = {"baselines": ("center", "full", "random"), "protocols": ("synth",)}
        list(add_baselines(board, **some, new_board=True))
        command = ("leaderboard", "check", "--board", board, "--no-pages", "--json")
        alone, shared = call(*command, "--jobs", 1), call(*command, *processes)
        assert (alone.code, alone.out) == (shared.code, shared.out), shared.err
        assert '"entries": 3' in alone.out

    def test_a_test_set_is_found_the_same(
        self, call: Call, tmp_path: Path, processes: tuple[object, ...]
    ) -> None:
        make_vggss(tmp_path, 40)
        next((tmp_path / "vggss" / "frames").iterdir()).write_bytes(b"no picture")
        command = ("data", "verify", "vggss", "--data", tmp_path, "--json")
        # First by the workers: what is usable is then remembered.
        shared, alone = call(*command, *processes), call(*command)
        assert (alone.code, alone.out) == (shared.code, shared.out), shared.err
        assert '"corrupt": 1' in alone.out

    def test_each_seed_has_the_weights_of_a_run_alone(
        self, call: Call, tmp_path: Path, workers: tuple[object, ...]
    ) -> None:
        seeds = ("--seed", 5, "--seed", 6, "--out", tmp_path / "both")
        shared = call(*TRAIN, *seeds, *workers)
        assert shared.code == 0, shared.err
        for seed in (5, 6):
            alone = tmp_path / f"alone{seed}"
            assert call(*TRAIN, "--seed", seed, "--out", alone).code == 0
            [weights] = content(alone, "*.safetensors")
            assert content(tmp_path / "both" / f"seed{seed}", "*.safetensors") == [weights]

    def test_each_value_of_a_sweep_has_the_weights_of_one_alone(
        self, call: Call, tmp_path: Path, processes: tuple[object, ...]
    ) -> None:
        (tmp_path / "few.toml").write_text(few_trials(4))
        words = ("--model", "ogl-l1", "--protocol", tmp_path / "few.toml", "--values", "8,16")
        command = ("sweep", "train-size", *words, *TRAIN[3:], "--json")
        command = tuple(word for word in command if word != "--change=scenes=16")
        made = []
        for name, further in (("alone", ()), ("shared", processes)):
            places = ("--weights-dir", tmp_path / name, "--out", tmp_path / f"{name}-sweep")
            done = call(*command, *places, *further)
            assert done.code == 0, done.err
            made.append((done.out, content(tmp_path / name, "*.safetensors")))
        assert made[0] == made[1]
        assert len(made[0][1]) == 2

    def test_what_fails_in_a_worker_is_one_sentence(
        self, call: Call, tmp_path: Path, workers: tuple[object, ...]
    ) -> None:
        seeds = ("--seed", 5, "--seed", 6, "--json", *workers)
        done = call("train", "--model", "ogl-l1", "--data", tmp_path / "nowhere", *seeds)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error[E_FOLDER_MISSING]: ")
        assert len(done.err.splitlines()) == 1


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_sentence(call: Call, maps: Path, tmp_path: Path) -> None:
    ended = threading.Event()
    with ThreadPoolExecutor(1) as killer:
        killer.submit(kill_worker, 0.0, ended)
        out = ("--out", tmp_path / "out")
        done = call("score", maps, *SCORE, *out, "--workers", 2, "--json")
        ended.set()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[E_WORKER_DIED]: a worker process ended before scoring ")
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_address_belongs_to_ray(call: Call, tmp_path: Path) -> None:
    for command in (("score", "maps.npz"), ("leaderboard", "check"), ("data", "verify", "synth")):
        done = call(*command, "--address", "127.0.0.1:1")
        assert done.code == 2
        assert done.err.startswith("error[E_USAGE]: --address belongs to --executor ray")
