"""ACL: the authors' numbers, sounds that are swapped, and weights in several files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_tensor
from refusals import refused
from torch import Tensor

from ssl_bench.errors import WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.acl import (
    ACL,
    ACLArchitecture,
    ACLNetwork,
    ACLOptions,
    ACLPreprocessing,
    CLIPSegArchitecture,
    CLIPTower,
)
from ssl_bench.models.beats import DEVIATION, MEAN, BEATs, BEATsArchitecture, kaldi_log_mel
from ssl_bench.models.checkpoints import (
    Checkpoint,
    current_name,
    read_checkpoint,
    save_checkpoint,
)
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.registry import load_baseline, load_localizer

pytest.importorskip("transformers")

SEED = "acl"
SMALL = ACLArchitecture(
    beats=BEATsArchitecture(
        width=24, heads=4, hidden=32, embedded=16, positions=8, groups=4, buckets=32, farthest=40
    ),
    clipseg=CLIPSegArchitecture(
        text=CLIPTower(width=32, depth=2, heads=4, hidden=48),
        image=CLIPTower(width=24, depth=4, heads=4, hidden=32),
        side=32,
        dimension=16,
        layers=(0, 1, 2),
        reduced=8,
        decoder_heads=2,
        decoder_hidden=16,
    ),
)
PREPROCESSING: Mapping[str, Any] = {
    "preset": "small",
    "image": {"side": 64},
    "audio": {"rate": 11025, "seconds": 1.0, "bands": 32},
}
SCALE = {"masker_i.w": 2.0, "masker_i.b": -0.5}
FIRST, LAST = (f"layers.{number}.self_attn.relative" for number in (0, 11))
NORMALISED = {"original0": "weight_g", "original1": "weight_v"}

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]


def seeded(key: str, shape: tuple[int, ...]) -> Tensor:
    """An entry as the vectors were made with: under the name that it has in the authors' code."""
    stem, _, last = key.replace(FIRST, LAST).rpartition(".")
    if last in NORMALISED:
        stem, last = stem.removesuffix(".parametrizations.weight"), NORMALISED[last]
    return recipe_tensor(SEED, f"{stem}.{last}", shape)


# What the file of BEATs may not say beside its weights: of 32 buckets, 8 distances are exact.
NO_DISTANCES: tuple[Any, ...] = (
    *(5, "text", None, [1], torch.ones(2)),
    *({"max_distance": each} for each in (None, "far", math.nan, math.inf, 9.5, torch.ones(2))),
    *({"max_distance": each} for each in (0, -5, 8, True, 2**31, 10**400)),
)


@cache
def small_state() -> dict[str, Tensor]:
    state = ACLNetwork(SMALL).state_dict()
    return {
        key: torch.tensor(SCALE[key])
        if key in SCALE
        else value
        if value.ndim == 0
        else seeded(key, tuple(value.shape))
        for key, value in state.items()
    }


def small_network() -> ACLNetwork:
    network = ACLNetwork(SMALL)
    network.load_state_dict(small_state())
    return network.eval()


def small_model() -> ACL:
    preprocessing = ACLPreprocessing.model_validate(PREPROCESSING)
    return ACL(small_network(), preprocessing, options=ACLOptions())


def assembly(weights: Path, **options: Any) -> Assembly:
    return Assembly(
        name="acl",
        variant="small",
        recipe=Path("recipe.toml"),
        architecture=SMALL.model_dump(),
        preprocessing=PREPROCESSING,
        weights=weights,
        weights_sha256=None,
        seed=0,
        options=options,
    )


def seeded_input(key: str, shape: tuple[int, ...], largest: float) -> Tensor:
    scale = math.sqrt(math.prod(shape[1:]) / 6) * largest
    return recipe_tensor(SEED, f"{key}.input", shape) * scale


def files_of_parts(files: Mapping[str, Path]) -> dict[str, Path]:
    return {name: files[name] for name in ("beats", "clipseg")}


def shipped(name: str) -> Path:
    found = load_baseline(name).shipped_weights()
    assert found is not None
    return found[0]


@pytest.fixture(scope="module")
def vectors() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "vectors" / "acl.npz") as content:
        return dict(content)


@pytest.mark.slow
class TestAuthorsCode:
    def test_their_files_have_what_the_network_needs(
        self, vectors: dict[str, NDArray[Any]]
    ) -> None:
        theirs = dict(str(each).split(" ", 1) for each in vectors["keys"])
        named = {current_name(key): shape for key, shape in theirs.items()}
        own = {key: str(tuple(each.shape)) for key, each in small_state().items()}
        assert own.items() <= named.items()
        # The same distances for every layer of BEATs, and places that are counted.
        assert {key.rpartition(".")[2] for key in named.keys() - own.keys()} == {
            "weight",
            "position_ids",
        }

    def test_every_step_is_theirs(self, vectors: dict[str, NDArray[Any]]) -> None:
        network = small_network()
        sounds = seeded_input("sounds", (2, 32000), 0.5).double().numpy() * 2.0**15
        sizes = {"bands": 128, "window": 400, "hop": 160}
        banks = [(kaldi_log_mel(each, 16000, **sizes) - MEAN) / (2 * DEVIATION) for each in sounds]
        tables = torch.from_numpy(np.stack(banks).astype(np.float32))[:, None]
        with torch.inference_mode():
            sentences = network.hear(tables)
            seen = network.see(seeded_input("images", (2, 3, 64, 64), 2.0))
            found = {
                "fbank": tables[:, 0, ::8, ::4],
                "tokens": network.audio_backbone(tables)[:, ::5],
                "sentence": sentences,
                "own": network.masks(seen, sentences)[:, ::8, ::8],
                "swapped": network.masks(seen, sentences.flip(0))[:, ::8, ::8],
            }
        for name, tensor in found.items():
            scale = np.abs(vectors[name]).max()
            np.testing.assert_allclose(tensor, vectors[name], atol=1e-4 * scale, err_msg=name)


class TestLocalizer:
    def test_swapped_sounds_change_the_maps(self, pictures: Pictures, clips: Clips) -> None:
        model = small_model()
        seen = model.encode_image(pictures[:2])
        maps, swapped = (
            model.localize(seen, model.encode_audio(order)) for order in (clips[:2], clips[1::-1])
        )
        assert (maps.shape, maps.dtype) == ((2, 224, 224), np.float32)
        assert 0 < maps.min() < maps.max() < 1
        assert np.abs(maps - swapped).max() > 1e-4

    def test_sounds_do_not_depend_on_those_beside_them(self, clips: Clips) -> None:
        model = small_model()
        together = model.encode_audio(clips[:2])["sentence"]
        alone = model.encode_audio(clips[1:2])["sentence"]
        np.testing.assert_allclose(together[1:], alone, rtol=1e-4, atol=1e-5)

    def test_two_channels_are_refused(self) -> None:
        with refused("E_SOUND_CHANNELS"):
            small_model().encode_audio([Waveform(np.zeros((11025, 2), np.int16), 11025)])


class TestFiles:
    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path]:
        """The three files as their authors save them."""
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in small_state().items():
            part, _, rest = key.partition(".")
            parts.setdefault(part, {})[rest] = value
        paths = {name: tmp_path / f"{name}.pt" for name in ("acl", "beats", "clipseg")}
        trained = {name: parts[name] for name in ("audio_proj", "masker_i")}
        torch.save(trained, paths["acl"])
        beats = {**parts["audio_backbone"], "predictor.bias": torch.zeros(5)}
        torch.save({"cfg": {"max_distance": 40}, "model": beats}, paths["beats"])
        torch.save(parts["av_grounder"], paths["clipseg"])
        return paths

    def test_three_files_make_one_model(self, files: dict[str, Path], pictures: Pictures) -> None:
        options = {name: str(files[name]) for name in ("beats", "clipseg")}
        model = ACL.assemble(assembly(files["acl"], **options))
        assert model.provenance.weights is not None
        assert model.provenance.weights.ignored == ("audio_backbone.predictor.bias",)
        told = model.provenance.options
        assert {len(str(told[name])) for name in ("beats", "clipseg")} == {12}
        expected = small_model().encode_image(pictures[:1])["seen"]
        found = model.encode_image(pictures[:1])["seen"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    def test_the_file_that_is_not_given_is_named(self, files: dict[str, Path]) -> None:
        with refused("E_WEIGHTS_NEEDED", where="beats=FILE", kind=WeightsError):
            ACL.assemble(assembly(files["acl"]))
        with refused("E_WEIGHTS_NEEDED", where="clipseg=FILE", kind=WeightsError):
            ACL.assemble(assembly(files["acl"], beats=str(files["beats"])))

    @pytest.mark.parametrize("config", NO_DISTANCES)
    def test_distances_that_cannot_be_are_refused(self, tmp_path: Path, config: Any) -> None:
        path = tmp_path / "beats.pt"
        torch.save({"cfg": config, "model": {"w": torch.zeros(1)}}, path)
        options = ACLOptions(beats=str(path))
        given = Checkpoint(tmp_path / "acl.pt", small_state(), {}, "")
        with refused("E_WEIGHTS_DISTANCE", where=path, kind=WeightsError) as caught:
            ACL.build(SMALL, options, ACL.renamed(given, options))
        assert "max_distance" in str(caught.value)

    @pytest.mark.parametrize(
        ("beside", "farthest"),
        [
            *(({}, 40), ({"cfg": {}}, 40), ({"cfg": {"max_distance": 9}}, 9)),
            *(({"cfg": {"max_distance": np.int64(50)}}, 50), ({"cfg": {"max_distance": 60.0}}, 60)),
        ],
    )
    def test_distances_are_those_of_the_file(
        self, tmp_path: Path, beside: dict[str, Any], farthest: int
    ) -> None:
        path, prefix = tmp_path / "beats.pt", "audio_backbone."
        state = {
            key.removeprefix(prefix): value
            for key, value in small_state().items()
            if key.startswith(prefix)
        }
        torch.save({**beside, "model": state}, path)
        options = ACLOptions(beats=str(path))
        given = Checkpoint(tmp_path / "acl.pt", small_state(), {}, "")
        network = ACL.build(SMALL, options, ACL.renamed(given, options))
        shape = SMALL.beats.model_copy(update={"farthest": farthest})
        expected = BEATs(shape)
        expected.load_state_dict(network.audio_backbone.state_dict())
        table = seeded_input("table", (1, 1, 1600, 32), 1.0)
        with torch.inference_mode():
            torch.testing.assert_close(
                network.audio_backbone.eval()(table), expected.eval()(table), rtol=0, atol=0
            )

    @pytest.mark.parametrize("name", ["beats_st.pt", "beats_st.safetensors"])
    def test_safetensors_load_under_any_name(self, files: dict[str, Path], name: str) -> None:
        path = files["beats"].with_name(name)
        save_checkpoint(path, read_checkpoint(files["beats"]).tensors)
        model = ACL.assemble(assembly(files["acl"], beats=path, clipseg=files["clipseg"]))
        digests = (sha256_of_file(each)[:12] for each in (path, files["clipseg"]))
        assert tuple(model.provenance.options.values()) == tuple(digests)

    @pytest.mark.parametrize("option", ["beats", "clipseg"])
    @pytest.mark.parametrize("fault", ["not finite", "swapped", "ezvsl", "acl"])
    def test_faults_are_those_of_the_file_that_has_them(
        self, files: dict[str, Path], option: str, fault: str
    ) -> None:
        given = files_of_parts(files)
        if fault == "not finite":
            tensors = read_checkpoint(given[option]).tensors
            key = {"beats": "layer_norm.bias", "clipseg": "decoder.film_mul.bias"}[option]
            torch.save({**tensors, key: tensors[key] * torch.nan}, given[option])
        else:
            swapped = given["clipseg" if option == "beats" else "beats"]
            others = {"swapped": swapped, "ezvsl": shipped("ezvsl"), "acl": files["acl"]}
            given[option] = others[fault]
        with refused("E_WEIGHTS_MISFIT", where=f"--option {option}=", kind=WeightsError) as caught:
            ACL.assemble(assembly(files["acl"], **given))
        assert caught.value.where == str(given[option])

    @pytest.mark.parametrize("fault", ["missing", "of another shape"])
    def test_one_wrong_entry_is_named_with_its_file(
        self, files: dict[str, Path], fault: str
    ) -> None:
        tensors = dict(read_checkpoint(files["beats"]).tensors)
        del tensors["layer_norm.bias"]
        if fault != "missing":
            tensors["layer_norm.bias"] = torch.zeros(3)
        torch.save(tensors, files["beats"])
        with refused("E_WEIGHTS_MISFIT", where="layer_norm.bias", kind=WeightsError) as caught:
            ACL.assemble(assembly(files["acl"], **files_of_parts(files)))
        assert caught.value.where == str(files["beats"])
        assert fault in str(caught.value)

    def test_entries_of_a_part_come_from_its_file_alone(self, files: dict[str, Path]) -> None:
        save_checkpoint(files["acl"].with_name("all.safetensors"), small_state())
        torch.save({"model": {"w": torch.zeros(1)}}, files["beats"])
        with refused("E_WEIGHTS_MISFIT", where=files["beats"], kind=WeightsError):
            whole = files["acl"].with_name("all.safetensors")
            ACL.assemble(assembly(whole, beats=files["beats"]))

    @pytest.mark.parametrize("option", ["beats", "clipseg"])
    def test_a_directory_is_refused_as_one(self, files: dict[str, Path], option: str) -> None:
        options = {**files_of_parts(files), option: files["acl"].parent}
        with refused("E_WEIGHTS_KIND", where="is a directory", kind=WeightsError) as caught:
            ACL.assemble(assembly(files["acl"], **options))
        assert caught.value.where == str(files["acl"].parent)

    def test_a_file_for_another_model_is_known_without_the_parts(self) -> None:
        with refused("E_WEIGHTS_MODEL", where="ezvsl", kind=WeightsError):
            load_localizer("acl", weights=shipped("ezvsl"))

    def test_a_part_given_as_the_weights_is_refused(self, files: dict[str, Path]) -> None:
        with refused("E_WEIGHTS_MISFIT", where=files["beats"], kind=WeightsError):
            load_localizer("acl", weights=files["beats"])

    def test_a_file_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "all.safetensors"
        state = small_state()
        save_checkpoint(path, {**state, "audio_proj.fc2.bias": torch.zeros(3)})
        with refused("E_WEIGHTS_MISFIT", where="audio_proj.fc2.bias", kind=WeightsError):
            ACL.assemble(assembly(path))
        save_checkpoint(path, state)
        assert ACL.assemble(assembly(path)).provenance.options == {}

    def test_without_a_file_it_is_refused_with_the_address(self) -> None:
        with refused("E_WEIGHTS_NEEDED", where="github.com/swimmiing", kind=WeightsError):
            load_localizer("acl")
