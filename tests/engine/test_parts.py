"""A run is made in parts, which a later run takes over if they are of the same model and trials."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from refusals import refused
from standins import MemoryTestSet, folder_test_set, protocol, sample

from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.parts import discard, in_use
from ssl_bench.engine.predict import predict
from ssl_bench.errors import DataError
from ssl_bench.executors import Executor, processes
from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.provenance import Provenance
from ssl_bench.protocols.protocol import ControlsTable
from ssl_bench.trials.compositions import compose
from ssl_bench.trials.trial_set import TrialSet

COUNT = 22
CALLS: list[int] = []


class Blended(Localizer):
    """Maps that depend on every pixel and sample; `fails_at` counts images.

    With `once`, this process waits until that file is there; another makes it, and `dies`.
    """

    name = "blended"
    provenance = Provenance("blended", weights_sha256="0" * 64)

    def __init__(
        self, fails_at: int | None = None, once: Path | None = None, *, dies: bool = False
    ) -> None:
        self.fails_at, self.once, self.dies, self.seen = fails_at, once, dies, 0
        self.own = os.getpid()

    def others(self) -> None:
        if self.once is not None and self.own != os.getpid() and not self.once.exists():
            self.once.touch()
            if self.dies:
                os.kill(os.getpid(), signal.SIGKILL)
        until = time.monotonic() + 60
        while self.once is not None and not self.once.exists() and time.monotonic() < until:
            time.sleep(0.01)

    def encode_image(self, images: Any) -> Features:
        self.seen += len(images)
        if self.fails_at is not None and self.seen > self.fails_at:
            raise DataError("too dark", code="E_DARK", where="it", remedy="light it")
        self.others()
        CALLS.extend(range(len(images)))
        return {"map": np.stack([image[::8, ::8].mean(axis=2, dtype="f4") for image in images])}

    def encode_audio(self, sounds: Any) -> Features:
        self.others()
        levels = [np.abs(sound.samples.astype("f4")).mean() / 2**15 for sound in sounds]
        return {"level": np.array(levels, np.float32)}

    def localize(self, image_features: Features, audio_features: Features) -> Any:
        return image_features["map"] / (1 + audio_features["level"][:, None, None])

    def vision_only(self, image_features: Features) -> Any:
        return image_features["map"]


@pytest.fixture
def trials() -> TrialSet:
    asked = protocol(controls=ControlsTable(vision_only=True))
    return compose(asked, MemoryTestSet([sample(f"s{number}") for number in range(COUNT)]))


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    return EngineOptions(batch_size=2, part_size=4, parts=tmp_path / "parts")


Predict = Callable[..., tuple[bytes, bytes]]


@pytest.fixture
def predicted(tmp_path: Path, trials: TrialSet) -> Predict:
    def run(options: EngineOptions, model: Localizer | None = None) -> tuple[bytes, bytes]:
        CALLS.clear()
        [written] = predict(model or Blended(), [(trials, tmp_path / "run")], options)
        assert written.vision_only is not None
        return written.predictions.read_bytes(), written.vision_only.read_bytes()

    return run


def test_parts_change_no_byte(predicted: Predict, options: EngineOptions) -> None:
    whole = predicted(replace(options, part_size=100))
    assert predicted(options) == whole
    assert predicted(replace(options, part_size=6)) == whole


def test_a_run_that_is_started_again_takes_the_parts_that_are_done(
    predicted: Predict, options: EngineOptions
) -> None:
    expected = predicted(replace(options, part_size=100))
    with refused("E_DARK"):
        predicted(options, Blended(fails_at=9))
    said: list[str] = []
    again = replace(options, notify=said.append)
    assert predicted(again) == expected
    # Two parts of four images were done, and all sounds.
    assert len(CALLS) == COUNT - 8
    assert len(said) == 1


def test_what_a_killed_run_left_of_temporary_files_goes_even_if_no_part_is_missing(
    predicted: Predict, options: EngineOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    left = tmp_path / "temporary" / ".ssl-bench.0123456789abcdef"
    left.mkdir(parents=True)
    predicted(options)
    assert not left.exists()


class Other(Blended):
    provenance = Provenance("blended", weights_sha256="1" * 64)


@pytest.mark.parametrize(
    ("model", "changed", "made"),
    [
        (Other(), {}, COUNT),
        (Blended(), {"batch_size": 4}, COUNT),
        (Blended(), {"dtype": "float16"}, COUNT - 8),
    ],
)
def test_parts_of_another_model_or_of_other_batches_are_not_taken(
    model: Localizer,
    changed: dict[str, Any],
    made: int,
    predicted: Predict,
    options: EngineOptions,
) -> None:
    with refused("E_DARK"):
        predicted(options, Blended(fails_at=9))
    predicted(replace(options, **changed), model)
    assert len(CALLS) == made


def test_a_model_of_unknown_identity_starts_anew(
    predicted: Predict, options: EngineOptions
) -> None:
    class Unknown(Blended):
        provenance = None

    said: list[str] = []
    with refused("E_DARK"):
        predicted(replace(options, notify=said.append), Unknown(fails_at=9))
    [note] = said  # Parts were asked for, and there are none
    assert "blended" in note
    assert "provenance" in note
    predicted(options, Unknown())
    assert len(CALLS) == COUNT


def test_progress_begins_with_the_first_part_and_counts_parts_and_workers(
    predicted: Predict, options: EngineOptions
) -> None:
    told: list[tuple[str, int, int]] = []
    two = replace(options, executor=processes(2), progress=lambda *step: told.append(step))
    predicted(two)
    assert told[:2] == [("sounds", 0, COUNT), ("parts, 2 workers", 0, 12)]
    assert told[-1] == ("parts, 2 workers", 12, 12)


def test_a_damaged_part_is_made_anew(predicted: Predict, options: EngineOptions) -> None:
    expected = predicted(replace(options, part_size=100))
    with refused("E_DARK"):
        predicted(options, Blended(fails_at=9))
    assert isinstance(options.parts, Path)
    [first, _] = sorted(options.parts.rglob("images-*.npz"))
    first.write_bytes(first.read_bytes()[:-9])
    assert predicted(options) == expected
    assert len(CALLS) == COUNT - 4


def test_two_processes_make_the_same_bytes(
    predicted: Predict, options: EngineOptions, tmp_path: Path
) -> None:
    expected = predicted(options)
    two = replace(options, executor=processes(2))
    assert predicted(two, Blended(once=tmp_path / "both")) == expected


def test_what_a_part_raises_arrives_and_the_others_stay(
    predicted: Predict, options: EngineOptions
) -> None:
    expected = predicted(options)
    with refused("E_DARK"):
        predicted(replace(options, executor=processes(2)), Blended(fails_at=9))
    # One of them had made two parts of four images.
    assert predicted(options) == expected
    assert len(CALLS) <= COUNT - 8


def test_a_worker_that_finds_other_weights_is_refused(
    options: EngineOptions, trials: TrialSet, tmp_path: Path
) -> None:
    elsewhere = replace(options, executor=processes(2))
    taken = tmp_path / "taken"

    def load(_device: str | None) -> Localizer:
        taken.touch()
        return Other()

    with refused("E_WORKER_MODEL"):
        predict(Blended(once=taken), [(trials, tmp_path)], elsewhere, load=load)


@pytest.mark.slow
def test_a_worker_that_dies_is_said_and_the_next_run_goes_on(
    predicted: Predict, options: EngineOptions, tmp_path: Path
) -> None:
    expected = predicted(options)
    executor = replace(options, executor=processes(2))
    with refused("E_WORKER_DIED") as raised:
        predicted(executor, Blended(once=tmp_path / "died", dies=True))
    assert re.search(r"part \d of 6 of the sounds \(\d+ to \d+, s\d+ to s\d+\)", str(raised.value))
    assert predicted(executor, Blended(once=tmp_path / "died", dies=True)) == expected


def _parts_of(options: EngineOptions, pattern: str) -> list[Path]:
    assert isinstance(options.parts, Path)
    return sorted(options.parts.rglob(pattern))


def test_a_part_of_other_weights_is_not_taken(
    predicted: Predict, options: EngineOptions, tmp_path: Path
) -> None:
    expected = predicted(replace(options, part_size=100))
    with refused("E_DARK"):
        predicted(replace(options, parts=tmp_path / "others"), Other(fails_at=9))
    with refused("E_DARK"):
        predicted(options, Blended(fails_at=9))
    [theirs, _] = sorted((tmp_path / "others").rglob("images-*.npz"))
    shutil.copy(theirs, _parts_of(options, "images-00000.npz")[0])
    assert predicted(options) == expected
    assert len(CALLS) == COUNT - 4


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_breaks_meanwhile_is_said_with_its_part(
    workers: int, predicted: Predict, options: EngineOptions
) -> None:
    with refused("E_DARK") as raised:
        predicted(replace(options, executor=processes(workers)), Blended(fails_at=9))
    assert re.search(r"part \d of 6 of the images \(\d+ to \d+, s\d+ to s\d+\)", str(raised.value))


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["sounds-*.npz", "images-*.npz", "sounds/0.npy"])
def test_a_part_with_flipped_bytes_is_made_again_in_the_same_run(
    kind: str, workers: int, predicted: Predict, options: EngineOptions
) -> None:
    expected = predicted(replace(options, part_size=100))
    with refused("E_DARK"):
        predicted(options, Blended(fails_at=9))
    if kind == "sounds-*.npz":  # Else it is not read again
        for folder in _parts_of(options, "sounds"):
            shutil.rmtree(folder)
    [first, *_] = _parts_of(options, kind)
    data = bytearray(first.read_bytes())
    for place in (-2, -3) if kind == "sounds/0.npy" else (150, 151):
        data[place] ^= 255
    first.write_bytes(data)
    assert predicted(replace(options, executor=processes(workers))) == expected


def test_a_part_that_cannot_be_kept_whole_is_said(
    predicted: Predict, options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_path: Path) -> None:
        raise ValueError

    monkeypatch.setattr("ssl_bench.engine.parts.read_arrays", damaged)
    with refused("E_PART_DAMAGED"):
        predicted(options)


@pytest.mark.slow
def test_machines_share_parts_at_an_address(
    predicted: Predict,
    options: EngineOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = predicted(options)
    shared = replace(options, parts=f"file://{tmp_path}/shared")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "one"))
    with refused("E_DARK"):
        predicted(shared, Blended(fails_at=9))
    # Another machine has nothing but the address.
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "other"))
    assert predicted(shared) == expected
    assert len(CALLS) == COUNT - 8
    assert not list((tmp_path / "shared").rglob("*.npz"))
    two = replace(shared, executor=processes(2))
    assert predicted(two, Blended(once=tmp_path / "both")) == expected


class Deaf(Blended):
    audio_blind = True

    def localize(self, image_features: Features, audio_features: Features) -> Any:
        return image_features["map"]


def test_machines_that_share_parts_may_have_copies_of_the_data(
    options: EngineOptions, tmp_path: Path
) -> None:
    ids = [f"s{number}" for number in range(6)]
    for kind in ("frames", "audio"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number, name in enumerate(ids):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / "frames" / f"{name}.png")
    trials = compose(protocol(), folder_test_set([sample(name) for name in ids], tmp_path / "data"))
    runs = [(trials, tmp_path / "run")]
    for parts, made in ((f"file://{tmp_path}/shared", 2), (tmp_path / "parts", 6)):
        shared = replace(options, parts=parts)
        with refused("E_DARK"):
            predict(Deaf(fails_at=5), runs, shared)
        for file in (tmp_path / "data" / "frames").iterdir():
            os.utime(file)
        CALLS.clear()
        predict(Deaf(), runs, shared)
        assert len(CALLS) == made


def test_an_address_that_is_wrong_is_refused_before_the_first_part(
    predicted: Predict, options: EngineOptions
) -> None:
    with refused("E_PARTS_ADDRESS", where="nosuch://parts"):
        predicted(replace(options, parts="nosuch://parts"))
    assert not CALLS


def test_parts_stay_while_another_run_uses_them(tmp_path: Path) -> None:
    with in_use(tmp_path / "parts") as folder:
        (folder / "images-00000.npz").touch()
        discard(folder)
        assert list(folder.iterdir())
    discard(folder)
    assert not folder.exists()


def test_a_model_that_cannot_be_sent_to_a_process_is_said(
    predicted: Predict, options: EngineOptions
) -> None:
    model = Blended()
    model.lock = threading.Lock()  # type: ignore[attr-defined]
    with refused("E_WORKER_MODEL"):
        predicted(replace(options, executor=processes(2)), model)


def _unreadable(taken: Path, _device: str | None) -> Localizer:
    taken.touch()
    raise DataError("these weights are damaged", code="E_DARK")


def _little_room(taken: Path, _device: str | None) -> Localizer:
    taken.touch()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    return Blended()


@pytest.mark.slow
def test_what_the_model_raises_in_a_worker_arrives(
    trials: TrialSet, options: EngineOptions, tmp_path: Path
) -> None:
    two = replace(options, executor=processes(2))
    runs = [(trials, tmp_path / "run")]
    taken = tmp_path / "taken"
    with refused("E_DARK"):
        predict(Blended(once=taken), runs, two, load=partial(_unreadable, taken))
    taken.unlink()
    with pytest.raises(OSError, match="too large") as raised:
        predict(Blended(once=taken), runs, two, load=partial(_little_room, taken))
    assert Path(raised.value.filename).name.startswith("sounds-")
    assert not (tmp_path / "run" / "predictions.npz").exists()


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """A Ray cluster on this machine, whose workers know this file; executors join it."""
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        with Executor("ray", 1).open(lambda _device: lambda part: part):
            yield


@pytest.mark.slow
def test_a_ray_cluster_where_nobody_answers_is_refused(
    predicted: Predict, options: EngineOptions
) -> None:
    pytest.importorskip("ray")
    nobody = Executor("ray", 1, address="127.0.0.1:1")
    with refused("E_RAY_ADDRESS"):
        predicted(replace(options, executor=nobody))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_ray_makes_the_same_bytes_and_says_what_is_wrong(
    predicted: Predict, options: EngineOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = predicted(replace(options, part_size=100))
    executor = Executor("ray", 2)
    home = ModuleType("at_home")
    home.AtHome = type("AtHome", (Blended,), {"__module__": home.__name__})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, home.__name__, home)
    with refused("E_WORKER_MODEL"):  # Its workers do not know that module
        predicted(replace(options, executor=executor), home.AtHome())
    with refused("E_DARK"):
        predicted(replace(options, executor=Executor("ray", 1)), Blended(fails_at=9))
    assert len(_parts_of(options, "images-*.npz")) == 2
    # One worker dies, and is started again.
    dying = Blended(once=tmp_path / "died", dies=True)
    assert predicted(replace(options, executor=executor), dying) == expected
    with refused("E_RAY_GPUS"):
        predicted(replace(options, executor=Executor("ray", 1, devices=("cuda",))))
