"""Localizers with weights from a seed: the published networks, and small ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_seed, recipe_tensor, recipe_weights, seeded_state

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.ezvsl import EZVSL, EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.object_prior import ObjectPrior
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk
from ssl_bench.models.sounds import LogMelAudio
from ssl_bench.models.trained import PriorPreprocessing

Arrays = Mapping[str, NDArray[Any]]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def vectors(golden: Path) -> Path:
    return golden / "models"


@pytest.fixture(scope="session")
def golden_images(vectors: Path) -> list[NDArray[np.uint8]]:
    with np.load(vectors / "inputs.npz") as inputs:
        return list(inputs["images"])


@pytest.fixture(scope="session")
def golden_sounds(vectors: Path) -> list[Waveform]:
    with np.load(vectors / "inputs.npz") as inputs:
        return [Waveform(samples[:, None], 16000) for samples in inputs["audio_16k"]]


@pytest.fixture(scope="session")
def awkward_sounds(vectors: Path) -> dict[str, Waveform]:
    """Short, stereo and low-rate clips, by name."""
    with np.load(vectors / "inputs.npz") as inputs:
        names = [key.removeprefix("rate_") for key in inputs if key.startswith("rate_")]
        return {
            name: Waveform(
                inputs[f"audio_{name}"].reshape(len(inputs[f"audio_{name}"]), -1),
                int(inputs[f"rate_{name}"]),
            )
            for name in names
        }


@pytest.fixture(scope="session")
def authors_checkpoint(vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EZ-VSL's container as distributed training writes it, numpy scalar included."""
    path = tmp_path_factory.mktemp("ezvsl") / "best.pth"
    weights = recipe_weights(vectors, "ezvsl")
    content = {
        "model": {f"module.{key}": value for key, value in weights.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]},
        "epoch": 20,
        "best_cIoU": np.float64(83.94),
        "best_Auc": 63.6,
    }
    torch.save(content, path)
    return path


@pytest.fixture(scope="session")
def imagenet_checkpoint(vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torchvision's flat file, with the last layer, which the L1 prior drops."""
    path = tmp_path_factory.mktemp("prior") / "resnet18.pth"
    seed = recipe_seed(vectors)
    shapes = {"fc.weight": (1000, 512), "fc.bias": (1000,)}
    classifier = {key: recipe_tensor(seed, key, shape) for key, shape in shapes.items()}
    torch.save({**recipe_weights(vectors, "ogl_l1"), **classifier}, path)
    return path


@pytest.fixture(scope="session")
def full_ezvsl(authors_checkpoint: Path) -> EZVSL:
    localizer = load_localizer("ezvsl", variant="full", weights=authors_checkpoint)
    assert isinstance(localizer, EZVSL)
    return localizer


@pytest.fixture(scope="session")
def full_prior(imagenet_checkpoint: Path) -> ObjectPrior:
    localizer = load_localizer("ogl-l1", variant="full", weights=imagenet_checkpoint)
    assert isinstance(localizer, ObjectPrior)
    return localizer


@pytest.fixture(scope="session")
def small_architecture() -> EZVSLArchitecture:
    return EZVSLArchitecture(trunk=SMALL_TRUNK, dimension=16)


@pytest.fixture(scope="session")
def make_small_ezvsl(small_architecture: EZVSLArchitecture) -> Callable[..., EZVSL]:
    def make(sound_bank: NDArray[np.float32] | None = None) -> EZVSL:
        network = EZVSLNetwork(small_architecture)
        network.load_state_dict(seeded_state(network))
        preprocessing = EmbeddingPreprocessing(
            preset="small", image=ImagePreprocessing(side=112), audio=LogMelAudio()
        )
        return EZVSL(network, preprocessing, sound_bank=sound_bank)

    return make


@pytest.fixture(scope="session")
def small_ezvsl(make_small_ezvsl: Callable[..., EZVSL]) -> EZVSL:
    return make_small_ezvsl()


@pytest.fixture(scope="session")
def small_prior() -> ObjectPrior:
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    trunk.load_state_dict(seeded_state(trunk))
    return ObjectPrior(trunk, PriorPreprocessing(image=ImagePreprocessing(side=112)))


@pytest.fixture(scope="session")
def pictures() -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    sizes = [(90, 120), (128, 128), (1, 2), (200, 40)]
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.fixture(scope="session")
def clips() -> list[Waveform]:
    generator = np.random.default_rng(1)
    lengths = [22050, 30000, 5000, 22050]
    return [
        Waveform(generator.integers(-9000, 9000, (length, 1), dtype=np.int16), 11025)
        for length in lengths
    ]
