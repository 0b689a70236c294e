"""The authors' files as the vectors describe them, and what adapters make of files and inputs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from containers import prefixed, write
from numpy.typing import NDArray
from recipe_weights import recipe_weights
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ssl_bench.errors import WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Localizer
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.fnac import FNACArchitecture, FNACNetwork
from ssl_bench.models.images import prepare_images
from ssl_bench.models.lvs import SSLTIE_UNUSED_ENTRIES, UNUSED_ENTRIES, LVSArchitecture, LVSNetwork
from ssl_bench.models.provenance import describe
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.slavc import SLAVCNetwork
from ssl_bench.models.sounds import prepare_sound, taking_any_rate

# Baselines, and how the vectors name them.
NAMES = {
    "ezvsl": "ezvsl",
    "fnac": "fnac",
    "slavc": "slavc",
    "lvs": "lvs",
    "sslalign": "ours",
    "ssltie": "ssltie",
    "ogl-l1": "ogl_l1",
}
LISTENING = [name for name in NAMES if name != "ogl-l1"]
PRESETS = [
    (name, preset) for name in LISTENING for preset in load_baseline(name).variant("full").presets
]

Facts = Callable[[str], dict[str, Any]]
Written = Callable[..., Path]


@pytest.fixture(scope="module")
def facts(vectors: Path) -> Facts:
    def of(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((vectors / f"{NAMES[name]}.keys.json").read_text())
        return found

    return of


@pytest.fixture(scope="module")
def written(vectors: Path, facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Write a file as the vectors describe those of a model; once."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            state = recipe_weights(vectors, NAMES[name])
            checkpoint = facts(name)["checkpoint"]
            file = re.search(r"[\w*]+\.pth(\.tar)?", checkpoint["file"])
            made[name] = write(
                tmp_path_factory.mktemp(name),
                file.group().replace("*", "last") if file else "resnet18.pth",
                _content(checkpoint, prefixed(state, _prefix(checkpoint))),
            )
        return made[name]

    return of


def _prefix(checkpoint: dict[str, Any]) -> str:
    """What the authors' files have before every key, at least where they were distributed."""
    said = re.match(r"(?:none or )?(module\.)", checkpoint["key_prefix_in_file"])
    return said.group(1) if said else ""


def _content(checkpoint: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Any]:
    under = checkpoint.get("state_dict_under")
    if under is None:
        return dict(state)
    beside: dict[str, Any] = {
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 20,
        "iteration": 12,
    }
    return {
        key: state if key == under else beside.get(key, np.float64(0.5))
        for key in _top_level(checkpoint)
    }


def _top_level(checkpoint: dict[str, Any]) -> list[str]:
    """What a file holds by name, as far as it is known; nothing where it is flat."""
    if "state_dict_under" not in checkpoint:
        return []
    return list(checkpoint.get("top_level", [checkpoint["state_dict_under"]]))


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_of_the_authors_file_is_recognised(
    facts: Facts, written: Written, name: str
) -> None:
    described, checkpoint = facts(name), facts(name)["checkpoint"]
    weights = describe(load_localizer(name, variant="full", weights=written(name)))["weights"]
    under = checkpoint.get("state_dict_under")
    assert weights["container"] == (
        "torch file, bare state dict"
        if under is None
        else f"torch file, state dict under {under!r}"
    )
    assert weights["prefixes_removed"] == ([_prefix(checkpoint)] if _prefix(checkpoint) else [])
    assert set(weights["fields"]) == set(_top_level(checkpoint)) - {under, "optimizer"}
    assert weights["entries"] + len(weights["ignored"]) == described["n_entries"]


@pytest.mark.parametrize("name", LISTENING)
def test_an_unknown_entry_is_an_error_where_the_authors_load_strictly(
    vectors: Path, facts: Facts, tmp_path: Path, name: str
) -> None:
    checkpoint = facts(name)["checkpoint"]
    state = {**recipe_weights(vectors, NAMES[name]), "further.weight": torch.ones(1)}
    path = write(tmp_path, "weights.pth", _content(checkpoint, state))
    if checkpoint["strict"]:
        with pytest.raises(WeightsError, match=r"1 not known to this network .further\.weight"):
            load_localizer(name, variant="full", weights=path)
    else:
        loaded = describe(load_localizer(name, variant="full", weights=path))
        assert "further.weight" in loaded["weights"]["ignored"]


@pytest.mark.parametrize(
    ("name", "network", "unused"),
    [
        ("ezvsl", lambda: EZVSLNetwork(EZVSLArchitecture()), ()),
        ("fnac", lambda: FNACNetwork(FNACArchitecture()), ()),
        ("slavc", lambda: SLAVCNetwork(FNACArchitecture()), ()),
        ("lvs", lambda: LVSNetwork(LVSArchitecture()), UNUSED_ENTRIES),
        ("sslalign", lambda: LVSNetwork(LVSArchitecture()), UNUSED_ENTRIES),
        (
            "ssltie",
            lambda: LVSNetwork(LVSArchitecture()),
            (*UNUSED_ENTRIES, *SSLTIE_UNUSED_ENTRIES),
        ),
        ("ogl-l1", lambda: ResidualTrunk(TrunkArchitecture(), input_channels=3), ()),
    ],
)
def test_networks_have_the_entries_of_the_authors_files(
    facts: Facts, name: str, network: Callable[[], nn.Module], unused: tuple[str, ...]
) -> None:
    described = facts(name)
    entries = described["entries"]
    assert len(entries) == described["n_entries"]
    learned = [e["shape"] for e in entries if "running" not in e["key"] and e["shape"]]
    assert sum(math.prod(shape) for shape in learned) == described["n_float_parameters"]
    assert set(unused) <= {entry["key"] for entry in entries}
    state = network().state_dict()
    assert [
        {"key": key, "shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
        for key, value in state.items()
    ] == [entry for entry in entries if entry["key"] not in unused]


@contextmanager
def _handed_to_the_network() -> Iterator[list[NDArray[np.float32]]]:
    """Inputs of modules in the order of their calls; the first is that of the whole."""
    inputs: list[NDArray[np.float32]] = []

    def keep(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        del module
        inputs.append(arguments[0].numpy().copy())

    hook = register_module_forward_pre_hook(keep)
    try:
        yield inputs
    finally:
        hook.remove()


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_adapters_hand_networks_what_the_recipe_says(
    written: Written,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
    awkward_sounds: dict[str, Waveform],
    name: str,
    preset: str,
) -> None:
    table = load_baseline(name).variant("full").preprocessing_of(preset)
    said = checked(EmbeddingPreprocessing, table, name)
    said = said.model_copy(update={"audio": taking_any_rate(said.audio)})
    model = load_localizer(
        name,
        variant="full",
        weights=written(name),
        options={"preset": preset, "any_rate": True},
    )
    assert isinstance(model, Localizer)
    with _handed_to_the_network() as inputs:
        model.encode_image(golden_images[:1])
    np.testing.assert_array_equal(inputs[0], prepare_images(golden_images[:1], said.image))
    slow = next(sound for sound in awkward_sounds.values() if sound.samples.shape[1] == 1)
    for sound in (golden_sounds[0], slow):
        with _handed_to_the_network() as inputs:
            model.encode_audio([sound])
        np.testing.assert_array_equal(inputs[0][0], prepare_sound(sound, said.audio))
