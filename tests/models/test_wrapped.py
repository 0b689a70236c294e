"""Any torch modules as a localizer: what they are given, must return, and what is recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from protocol_files import few_trials
from refusals import refused, unsupported
from torch import Tensor, nn

import ssl_bench
from ssl_bench.arguments import ArgumentError
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.parts import parts_folder
from ssl_bench.engine.plan import Plan
from ssl_bench.errors import DataError, ModelError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.devices import PROCESSOR, Place, move
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.provenance import describe
from ssl_bench.models.sounds import LogMelAudio, LogPowerAudio, prepare_sound
from ssl_bench.models.wrapped import modules_of

SIZE = 6


class TwoTowers(nn.Module):
    """One network with a method for images and one for sounds."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.seeing = nn.Sequential(nn.Conv2d(3, SIZE, 32, stride=32), nn.Dropout(0.5))
        self.hearing = nn.Sequential(nn.Conv2d(1, SIZE, 16, stride=16), nn.BatchNorm2d(SIZE))

    def see(self, images: Tensor) -> Tensor:
        found: Tensor = self.seeing(images)
        return found

    def hear(self, sounds: Tensor) -> Tensor:
        found: Tensor = self.hearing(sounds)
        return found.mean(dim=(2, 3))


def wrapped(network: TwoTowers | None = None, **changes: Any) -> Any:
    network = network or TwoTowers()
    given: dict[str, Any] = {"image_encoder": network.see, "audio_encoder": network.hear}
    return ssl_bench.wrap(**{**given, "name": "towers", **changes})


def pictures(count: int = 3) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return [
        generator.integers(0, 256, (40 + 9 * number, 60, 3), dtype=np.uint8)
        for number in range(count)
    ]


def sounds(count: int = 3, rate: int = 16000) -> list[Waveform]:
    generator = np.random.default_rng(1)
    return [
        Waveform(generator.integers(-9000, 9000, (3 * rate, 1), dtype=np.int16), rate)
        for _ in range(count)
    ]


def maps_of(model: Any) -> NDArray[np.float32]:
    maps: NDArray[np.float32] = model.localize(
        model.encode_image(pictures()), model.encode_audio(sounds())
    )
    return maps


def test_a_map_is_the_cosine_of_each_place_with_the_sound() -> None:
    network = TwoTowers().eval()
    with torch.no_grad():
        images = torch.from_numpy(prepare_images(pictures(), ImagePreprocessing()))
        heard = [prepare_sound(each, LogPowerAudio()) for each in sounds()]
        expected = nn.functional.cosine_similarity(
            network.see(images), network.hear(torch.from_numpy(np.stack(heard)))[..., None, None]
        )
    maps = maps_of(wrapped(network))
    assert maps.shape == (3, 7, 7)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_an_image_and_a_sound_are_as_similar_as_the_largest_value_of_their_map() -> None:
    for model in (wrapped(), wrapped(similarity=dot)):
        seen, heard = model.encode_image(pictures()), model.encode_audio(sounds(2))
        found = model.similarity(seen, heard)
        assert found.shape == (3, 2)
        for column in range(2):
            same = {"audio": heard["audio"][[column] * 3]}
            largest = model.localize(seen, same).max(axis=(1, 2))
            np.testing.assert_allclose(found[:, column], largest, rtol=1e-5)


def dot(images: Tensor, heard: Tensor) -> Tensor:
    return torch.einsum("bdhw,bd->bhw", images, heard)


def test_a_similarity_of_ones_own_is_given_what_the_encoders_return() -> None:
    network = TwoTowers().eval()
    plain, own = wrapped(network), wrapped(network, similarity=dot)
    lengths = own.encode_audio(sounds())["audio"]
    assert not np.allclose(np.linalg.norm(lengths, axis=1), 1, atol=0.01)
    np.testing.assert_allclose(
        plain.encode_audio(sounds())["audio"],
        lengths / np.linalg.norm(lengths, axis=1, keepdims=True),
        atol=1e-6,
    )
    assert describe(own)["options"]["similarity"] == "dot"
    assert "similarity" not in describe(plain)["options"]


def test_an_audio_blind_map_is_made_by_what_was_given_for_it() -> None:
    model = wrapped(vision_only=lambda images: images.sum(dim=1))
    features = model.encode_image(pictures())
    assert model.supports("vision_only")
    assert model.vision_only(features).shape == (3, 7, 7)
    with unsupported(wrapped(), "vision_only", naming="towers"):
        wrapped().vision_only(features)


def test_modules_are_used_in_evaluation_mode_and_left_as_they_were() -> None:
    network = TwoTowers().train()
    network.seeing.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    first, second = maps_of(wrapped(network)), maps_of(wrapped(network))
    assert (first == second).all()
    assert network.training
    assert network.hearing[1].training
    assert not network.seeing[1].training
    assert all((before[key] == value).all() for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    "encoder",
    [
        lambda network: network.see,
        lambda network: network.seeing,
        lambda network: lambda images: network.see(images),
        lambda network: partial(lambda inner, images: inner.see(images), network),
    ],
    ids=["method", "module", "function", "partial"],
)
def test_a_module_is_found_in_what_calls_it(
    encoder: Callable[[TwoTowers], Callable[[Tensor], Tensor]],
) -> None:
    network = TwoTowers()
    assert len(modules_of(encoder(network))) == 1
    assert modules_of(dot) == ()
    model = wrapped(network, image_encoder=encoder(network), audio_encoder=network.hear)
    assert model.move(Place("cpu", "bf16")) == Place("cpu", "bf16")
    assert maps_of(model).dtype == np.float32


def test_half_precision_is_that_of_the_result() -> None:
    model = wrapped()
    exact = maps_of(model)
    move(model, Place("cpu", "bf16"))
    assert describe(model)["precision"] == "bf16"
    half = maps_of(model)
    assert 0 < np.abs(half - exact).max() < 0.05
    move(model, PROCESSOR)
    assert "precision" not in describe(model)
    assert (maps_of(model) == exact).all()


def test_functions_without_a_module_stay_on_the_processor() -> None:
    model = wrapped(
        image_encoder=lambda images: images[:, :, ::32, ::32],
        audio_encoder=lambda heard: heard.mean(dim=(2, 3)).expand(-1, 3),
    )
    assert move(model, Place("cpu", "bf16")) == PROCESSOR
    assert describe(model)["weights_sha256"] is None
    assert maps_of(model).shape == (3, 7, 7)


def test_the_digest_is_that_of_the_weights_as_they_are_now() -> None:
    network = TwoTowers()
    model = wrapped(network)
    digest = describe(model)["weights_sha256"]
    assert digest == describe(wrapped(TwoTowers()))["weights_sha256"]
    assert len(digest) == 64
    move(model, Place("cpu", "bf16"))
    assert describe(model)["weights_sha256"] == digest
    with torch.no_grad():
        network.seeing[0].bias[0] += 1
    assert describe(model)["weights_sha256"] not in (None, digest)
    assert describe(model)["precision"] == "bf16"


def test_the_digest_does_not_depend_on_the_process() -> None:
    network = nn.Conv2d(3, 2, 2, bias=False)
    nn.init.ones_(network.weight)
    model = ssl_bench.wrap(network, lambda heard: heard[:, 0, :2, 0], name="ones")
    digest = "ea16a44ed14e69b133c1a9989470dc45b47960c283675b8e1601015e87314940"
    assert describe(model)["weights_sha256"] == digest


def test_front_ends_of_the_package_are_chosen_by_their_settings() -> None:
    model = wrapped(
        preprocess_image=ImagePreprocessing(side=96),
        preprocess_sound=LogMelAudio(),
    )
    assert model.prepare_image(pictures()[0]).shape == (3, 96, 96)
    assert model.prepare_sound(sounds(rate=11025)[0]).shape == (1, 64, 169)
    with refused("E_SOUND_RATE", kind=DataError):
        model.encode_audio(sounds(rate=16000))
    assert wrapped().prepare_sound(sounds(rate=8000)[0]).shape == (1, 257, 200)


def test_preprocessing_of_ones_own_may_give_sounds_of_any_length() -> None:
    model = wrapped(
        preprocess_image=lambda image: torch.from_numpy(image[:32, :32].copy()).permute(2, 0, 1),
        preprocess_sound=lambda sound: sound.as_float()[:, 0],
        audio_encoder=lambda waves: waves[:, :SIZE] + waves.mean(dim=1, keepdim=True),
    )
    mixed = [sounds(rate=8000)[0], sounds(rate=16000)[0]]
    assert model.encode_audio(mixed)["audio"].shape == (2, SIZE)
    assert model.encode_image(pictures())["visual"].shape == (3, SIZE, 1, 1)
    assert model.sound_input is None
    assert describe(model)["options"]["preprocess_sound"].endswith("<lambda>")


def pooled(images: Tensor) -> Tensor:
    return images.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"image_encoder": pooled}, "E_ENCODER_OUTPUT", "image_encoder"),
        ({"image_encoder": lambda images: {"last": images}}, "E_ENCODER_OUTPUT", "dict"),
        ({"image_encoder": lambda images: images[:1]}, "E_ENCODER_OUTPUT", "(1, 3, 224, 224)"),
        ({"audio_encoder": lambda heard: heard}, "E_ENCODER_OUTPUT", "(3, 1, 257, 200)"),
        ({"audio_encoder": lambda heard: heard[:, 0, :4, 0]}, "E_ENCODER_OUTPUT", "D = 4"),
        ({"similarity": lambda images, heard: images}, "E_ENCODER_OUTPUT", "similarity"),
        ({"vision_only": lambda images: images}, "E_ENCODER_OUTPUT", "vision_only"),
        ({"image_encoder": nn.Conv2d(4, 2, 1)}, "E_MODEL_RAISED", "(3, 3, 224, 224)"),
        ({"preprocess_image": lambda image: image}, "E_ENCODER_INPUT", "(40, 60, 3)"),
        ({"preprocess_sound": lambda sound: "loud"}, "E_ENCODER_INPUT", "preprocess_sound"),
        ({"preprocess_sound": lambda sound: 1 / 0}, "E_MODEL_RAISED", "preprocess_sound"),
    ],
)
def test_a_wrong_shape_is_an_error_that_names_it(
    changes: dict[str, Any], code: str, named: str
) -> None:
    with refused(code, where=named, kind=ModelError):
        maps_of(wrapped(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"image_encoder": TwoTowers},
        {"audio_encoder": None},
        {"similarity": "cosine"},
        {"preprocess_sound": 16000},
        {"name": None},
        {"preprocess_image": ImagePreprocessing},
        {"preprocess": len},
    ],
)
def test_what_cannot_be_called_is_refused_at_once(changes: dict[str, Any]) -> None:
    with refused("E_ARGUMENT", where=next(iter(changes)), kind=ArgumentError):
        wrapped(**changes)


FILE = """
import ssl_bench
from torch import nn
import torch

torch.manual_seed(0)
seeing = nn.Conv2d(3, 6, 32, stride=32)
hearing = nn.Sequential(nn.Conv2d(1, 6, 16, stride=16), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def made(name="made", weights=None):
    return ssl_bench.wrap(seeing, hearing, name=name)


def nothing():
    return seeing


def raising():
    raise ValueError("no weights")


ready = made("ready")
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    yield path
    for name in [name for name in sys.modules if name.endswith("_own")]:
        del sys.modules[name]


def test_a_file_may_hold_the_model_or_a_function_that_makes_it(file: Path) -> None:
    assert ssl_bench.load_localizer(f"{file}:ready").name == "ready"
    assert ssl_bench.load_localizer(f"{file}:made").name == "made"
    made = ssl_bench.load_localizer(f"{file}:made", options={"name": "other"})
    assert made.name == "other"
    assert describe(made)["options"]["name"] == "other"
    assert describe(made)["weights_sha256"] is not None


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("redy", {}, "E_CLASS_MISSING"),
        ("seeing", {}, "E_CLASS_CONTRACT"),
        ("nothing", {}, "E_CLASS_CONTRACT"),
        ("raising", {}, "E_MODEL_RAISED"),
        ("ready", {"name": "other"}, "E_CLASS_OPTIONS"),
        ("made", {"speed": 1}, "E_CLASS_OPTIONS"),
    ],
)
def test_what_is_no_model_is_refused(
    file: Path, name: str, options: dict[str, Any], code: str
) -> None:
    with refused(code, where=file, kind=ModelError) as caught:
        ssl_bench.load_localizer(f"{file}:{name}", options=options)
    if code == "E_CLASS_MISSING":
        assert "'ready'" in str(caught.value)


@pytest.mark.slow
def test_a_wrapped_model_is_evaluated_with_and_without_an_object_prior(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(few_trials(8), encoding="utf-8")
    model = wrapped(vision_only=lambda images: images.sum(dim=1))
    done = ssl_bench.evaluate(model, tmp_path / "tiny.toml", folder=tmp_path / "alone")
    assert done.result.coverage.present == 8
    assert done.result.vision_only is not None
    assert done.result.model.weights_sha256 == model.provenance.weights_sha256
    settings = {"alpha": 0.4, "folder": tmp_path / "guided"}
    guided = ssl_bench.evaluate(model, tmp_path / "tiny.toml", **settings)
    assert guided.result.model.alpha == 0.4
    assert [part.name for part in guided.result.model.parts] == ["towers", "ogl-l1"]
    # What an interrupted run made is taken over only where the code is known to be the same.
    plan = Plan([done.trials], [False], listens=True)
    assert parts_folder(model, plan, EngineOptions()) is None
