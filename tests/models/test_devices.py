"""Devices and precision: what is there, what is refused, and what moving a localizer changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from made_videos import as_asked
from numpy.typing import NDArray
from refusals import refused
from torch import Tensor, nn

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.devices import PROCESSOR, Place, available, move, resolve
from ssl_bench.models.faster import fold_batch_norms
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.provenance import describe, provenance_of
from ssl_bench.models.registry import (
    list_ready_baselines,
    load_baseline,
    load_localizer,
)
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk
from ssl_bench.scoring.results import ModelIdentity

HALF = Place("cpu", "bf16")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def short_cuts() -> Iterator[None]:
    """The process lets torch multiply with fewer bits than 32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


class Own(Localizer):
    """Written elsewhere: knows nothing of devices, and holds a network in a dictionary."""

    name = "own"
    audio_blind = True

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.seen: list[torch.dtype] = []
        self.networks = {"seeing": nn.Sequential(nn.Conv2d(3, 8, 5), nn.Conv2d(8, 1, 5))}
        self.networks["seeing"][1].register_forward_hook(
            lambda _module, _given, found: self.seen.append(found.dtype)
        )

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
        return {"map": self.networks["seeing"](pixels)[:, 0].detach().numpy()}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        return {}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return image_features["map"]


class Plain(Own):
    """Without any network."""

    def __init__(self) -> None:
        self.seen = []


def pictures() -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 256, (3, 128, 128, 3), dtype=np.uint8))


def sounds(localizer: Localizer) -> list[Waveform]:
    accepted = getattr(localizer, "sound_input", None)
    rate = (accepted.taken_rate if accepted else None) or 16000
    generator = np.random.default_rng(1)
    return [
        Waveform(generator.integers(-9000, 9000, (3 * rate, 1), dtype=np.int16), rate)
        for _ in range(3)
    ]


def maps_of(localizer: Localizer) -> NDArray[np.float32]:
    heard = {} if localizer.audio_blind else localizer.encode_audio(sounds(localizer))
    return localizer.localize(localizer.encode_image(as_asked(localizer, pictures())), heard)


class TestNames:
    @pytest.mark.usefixtures("no_gpu")
    def test_automatic_choice_is_the_processor_where_there_is_nothing_else(self) -> None:
        assert resolve("auto") == resolve("cpu") == PROCESSOR

    @pytest.mark.usefixtures("two_gpus")
    def test_automatic_choice_is_the_first_gpu(self) -> None:
        assert available() == ["cuda:0", "cuda:1", "cpu"]
        assert resolve("auto").device == resolve("cuda").device == "cuda:0"
        assert resolve("cuda:1").device == "cuda:1"

    @pytest.mark.usefixtures("two_gpus")
    @pytest.mark.parametrize("device", ["cuda:7", "cuda:2", "mps", "cuda:-1", "CPU", "", "cpu:0"])
    def test_what_is_not_there_is_refused(self, device: str) -> None:
        with refused("E_DEVICE", where="device"):
            resolve(device)

    @pytest.mark.usefixtures("no_gpu")
    def test_a_gpu_is_refused_where_there_is_none(self) -> None:
        with refused("E_DEVICE", where="device") as caught:
            resolve("cuda")
        assert "cpu" in str(caught.value)

    def test_a_precision_that_a_device_has_not_is_refused(self) -> None:
        with refused("E_PRECISION", where="precision"):
            resolve("cpu", "16")


class TestSending:
    @pytest.mark.parametrize(("device", "pinned"), [("cuda:1", True), ("cpu", False)])
    def test_only_what_goes_to_a_gpu_is_pinned(
        self, device: str, pinned: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[object] = []

        def pin(tensor: Tensor) -> Tensor:
            calls.append("pinned")
            return tensor

        def to(tensor: Tensor, where: str, *, non_blocking: bool = False) -> Tensor:
            calls.append((where, non_blocking))
            return tensor

        monkeypatch.setattr(Tensor, "pin_memory", pin)
        monkeypatch.setattr(Tensor, "to", to)
        assert Place(device).send(np.arange(3)).tolist() == [0, 1, 2]
        assert calls == [*(["pinned"] if pinned else []), (device, pinned)]


class TestComputing:
    def test_single_precision_is_without_short_cuts_and_leaves_settings_as_they_were(
        self, short_cuts: None
    ) -> None:
        with PROCESSOR.computing():
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
            assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
            assert not torch.is_grad_enabled()
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
        with pytest.raises(RuntimeError), PROCESSOR.computing():
            raise RuntimeError
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.is_grad_enabled()
        assert torch.backends.cudnn.allow_tf32

    def test_several_threads_leave_settings_as_they_were(self, short_cuts: None) -> None:
        inside, outside = threading.Event(), threading.Event()

        def first() -> None:
            with PROCESSOR.computing():
                inside.set()
                outside.wait(60)

        def second() -> None:
            inside.wait(60)
            with PROCESSOR.computing():
                outside.set()
                thread.join(60)

        thread = threading.Thread(target=first)
        other = threading.Thread(target=second)
        thread.start()
        other.start()
        other.join(60)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"

    def test_half_precision_computes_in_it(self) -> None:
        with HALF.computing():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


class TestMove:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", list_ready_baselines())
    def test_every_baseline_moves_and_comes_back(self, name: str) -> None:
        model = load_localizer(name)
        if not isinstance(model, Localizer):
            return
        guided = load_baseline(name).recipe.object_prior is not None
        for each in [model, load_localizer(name, alpha=0.4)] if guided else [model]:
            assert isinstance(each, Localizer)
            before, facts = maps_of(each), describe(each)
            where = move(each, HALF)
            moved = maps_of(each)
            assert moved.dtype == np.float32
            assert (describe(each).get("precision") == "bf16") == (where == HALF)
            largest = np.abs(moved - before).max() / np.ptp(before)
            assert (0 < largest < 0.1) if where == HALF else largest == 0
            move(each, PROCESSOR)
            np.testing.assert_array_equal(maps_of(each), before)
            assert describe(each) == facts

    def test_a_mix_moves_all_that_it_is_made_of(self, small_ezvsl, small_prior) -> None:
        mix = ObjectGuided(small_ezvsl, small_prior)
        move(mix, HALF)
        assert {part._place for part in (small_ezvsl, small_prior)} == {HALF}
        move(mix, PROCESSOR)
        assert {part._place for part in (small_ezvsl, small_prior)} == {PROCESSOR}

    def test_the_network_of_an_own_localizer_computes_there(self) -> None:
        model = Own()
        before = maps_of(model)
        for _ in range(2):
            assert move(model, HALF) == HALF
            moved = maps_of(model)
        assert moved.dtype == np.float32
        assert model.seen == [torch.float32, torch.bfloat16, torch.bfloat16]
        assert 0 < np.abs(moved - before).max() < 0.02
        move(model, PROCESSOR)
        np.testing.assert_array_equal(maps_of(model), before)

    def test_a_localizer_without_a_network_is_left_as_it_is(self) -> None:
        model = Plain()
        assert move(model, HALF) == PROCESSOR
        assert model.provenance is None

    def test_similarities_are_computed_there_too(self) -> None:
        model = load_localizer("oya")
        assert isinstance(model, Localizer)
        generator = np.random.default_rng(2)
        images = {
            "visual": generator.random((2, 64, 7, 7), dtype=np.float32),
            "potential": np.full((2, 7, 7), 1 / 49, np.float32),
        }
        heard = {"audio": generator.random((3, 64), dtype=np.float32)}
        before = model.similarity(images, heard)
        move(model, HALF)
        assert 0 < np.abs(model.similarity(images, heard) - before).max() < 0.05


class TestProvenance:
    def test_the_processor_is_not_mentioned(self) -> None:
        facts = describe(load_localizer("ogl-l1"))
        assert not {"device", "precision"} & set(facts)
        assert not {"device", "precision"} & set(ModelIdentity(name="x").model_dump())

    def test_precision_is_and_the_weights_are_the_same(self) -> None:
        model = load_localizer("ogl-l1")
        weights = provenance_of(model).weights_sha256
        move(model, HALF)
        facts = describe(model)
        assert (facts["weights_sha256"], facts["precision"]) == (weights, "bf16")
        assert ModelIdentity.model_validate(facts).precision == "bf16"


def test_prepared_inputs_give_what_raw_ones_give() -> None:
    for model in (load_localizer("sslalign"), load_localizer("ezvsl", alpha=0.4), Own()):
        assert isinstance(model, Localizer)
        seen = model.encode_prepared_images([model.prepare_image(each) for each in pictures()])
        for name, rows in model.encode_image(pictures()).items():
            np.testing.assert_array_equal(seen[name], rows)
        heard = model.encode_prepared_sounds([model.prepare_sound(s) for s in sounds(model)])
        for name, rows in model.encode_audio(sounds(model)).items():
            np.testing.assert_array_equal(heard[name], rows)


def test_a_mix_prepares_an_image_once_where_both_see_the_same() -> None:
    alike = load_localizer("ezvsl", alpha=0.4)
    assert isinstance(alike, ObjectGuided)
    heard, seen = alike.prepare_image(pictures()[0])
    assert heard is seen
    other = ObjectGuided(load_localizer("ezvsl"), Own())  # type: ignore[arg-type]
    heard, seen = other.prepare_image(pictures()[0])
    assert heard.shape != seen.shape


def test_folding_changes_rounding_alone() -> None:
    torch.manual_seed(0)
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    trunk(torch.rand(8, 3, 64, 64))  # gives normalisation something to undo
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before: Tensor = trunk.eval()(pixels)
        after: Tensor = fold_batch_norms(trunk)(pixels)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in trunk.modules())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_a_gpu_agrees_within_the_stated_bounds(precision: str) -> None:
    from ssl_bench.analysis.agreement import check_agreement
    from ssl_bench.protocols.protocol import load_protocol
    from ssl_bench.trials.compositions import open_trials

    trials = open_trials(load_protocol("synth"))
    part = trials.part(range(64), rest_fails=False)
    for name in ("ezvsl", "oya", "sslalign", "icl", "lvs", "unet", "ogl-cls"):
        found = check_agreement(load_localizer(name), resolve("cuda", precision), part)  # type: ignore[arg-type]
        assert found.agrees, (name, found)
