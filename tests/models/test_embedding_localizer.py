"""Small models of cross-modal alignment, LVS and SSL-TIE: what they compare and refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from containers import prefixed
from numpy.typing import NDArray
from recipe_weights import seeded_state
from refusals import refused, unsupported
from torch import Tensor

from ssl_bench.errors import DataError, ModelError, WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.embedding_localizer import SOUND_BANK, EmbeddingLocalizer
from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.sslalign import AlignmentArchitecture, AlignmentNetwork

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]
Write = Callable[[Any], Path]
MODELS = ["sslalign", "lvs", "ssltie"]
PROJECTIONS = ("image_projection", "audio_projection")

# The small SSL-TIE has the keys of LVS, so that a file that does not fit looks like one for LVS.
MISFIT = {"sslalign": "E_WEIGHTS_MISFIT", "lvs": "E_WEIGHTS_MISFIT", "ssltie": "E_WEIGHTS_MODEL"}


@pytest.fixture(scope="module")
def states() -> Mapping[str, Mapping[str, Tensor]]:
    def architecture(name: str) -> Mapping[str, Any]:
        return load_baseline(name).variant("synth").architecture

    plain = LVSNetwork(checked(LVSArchitecture, architecture("lvs"), "lvs"))
    aligned = AlignmentNetwork(checked(AlignmentArchitecture, architecture("sslalign"), "sslalign"))
    return {
        "lvs": seeded_state(plain),
        "ssltie": seeded_state(plain),
        "sslalign": seeded_state(aligned),
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: Any) -> Path:
        path = tmp_path / "weights.pth.tar"
        torch.save(content, path)
        return path

    return write


def _small(name: str, weights: Path, **options: Any) -> EmbeddingLocalizer:
    localizer = load_localizer(name, variant="synth", weights=weights, options=options)
    assert isinstance(localizer, EmbeddingLocalizer)
    return localizer


@pytest.mark.parametrize("name", MODELS)
class TestEveryModel:
    def test_features_do_not_depend_on_the_batch(
        self,
        name: str,
        states: Mapping[str, Mapping[str, Tensor]],
        write: Write,
        pictures: Pictures,
        clips: Clips,
    ) -> None:
        model = _small(name, write(states[name]))
        images, sounds = model.encode_image(pictures), model.encode_audio(clips)
        for index in range(len(pictures)):
            image, sound = model.encode_image([pictures[index]]), model.encode_audio([clips[index]])
            assert image.keys() == images.keys()
            assert sound.keys() == sounds.keys()
            for key in image:
                np.testing.assert_allclose(image[key][0], images[key][index], atol=1e-5)
            for key in sound:
                np.testing.assert_allclose(sound[key][0], sounds[key][index], atol=1e-5)

    def test_a_map_is_the_cosine_of_each_place_with_the_sound(
        self, name: str, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        model = _small(name, write(states[name]))
        visual = np.zeros((1, 2, 1, 3), np.float32)
        visual[0, :, 0] = [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]]
        maps = model.localize({"visual": visual}, {"audio": np.array([[1, 0]], np.float32)})
        np.testing.assert_allclose(maps, [[[1, 0, 0.6]]], rtol=1e-6)

    def test_similarities_compare_every_image_with_every_sound(
        self,
        name: str,
        states: Mapping[str, Mapping[str, Tensor]],
        write: Write,
        pictures: Pictures,
        clips: Clips,
    ) -> None:
        model = _small(name, write(states[name]))
        images, sounds = model.encode_image(pictures), model.encode_audio(clips[:3])
        matrix = model.similarity(images, sounds)
        assert (matrix.shape, matrix.dtype) == ((len(pictures), 3), np.float32)
        assert (np.abs(matrix) <= 1 + 1e-5).all()
        row = model.similarity({key: rows[1:2] for key, rows in images.items()}, sounds)
        np.testing.assert_allclose(row[0], matrix[1], atol=1e-6)

    def test_the_audio_blind_map_is_the_maximum_over_the_sound_bank(
        self,
        name: str,
        states: Mapping[str, Mapping[str, Tensor]],
        write: Write,
        pictures: Pictures,
        clips: Clips,
    ) -> None:
        bare = _small(name, write(states[name]))
        images, bank = bare.encode_image(pictures[:2]), bare.encode_audio(clips)["audio"]
        with unsupported(bare, "vision_only", naming="bank"):
            bare.vision_only(images)
        model = _small(name, write({**states[name], SOUND_BANK: torch.from_numpy(bank)}))
        maps = [
            model.localize(images, {"audio": np.repeat(sound[None], 2, axis=0)}) for sound in bank
        ]
        np.testing.assert_allclose(model.vision_only(images), np.max(maps, axis=0), atol=1e-5)

    def test_an_image_of_one_pixel_and_an_empty_sound_are_refused(
        self, name: str, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        model = _small(name, write(states[name]))
        with refused("E_IMAGE_ONE_PIXEL", kind=DataError):
            model.encode_image([np.full((1, 1, 3), 7, np.uint8)])
        with refused("E_SOUND_EMPTY", kind=DataError):
            model.encode_audio([Waveform(np.zeros((0, 1), np.int16), 11025)])
        with refused("E_SOUND_RATE", where="11025 Hz", kind=DataError):
            model.encode_audio([Waveform(np.zeros((8000, 1), np.int16), 8000)])

    def test_a_missing_weight_is_an_error_that_names_file_and_key(
        self, name: str, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        state = dict(states[name])
        del state["audnet.layer1.0.conv1.weight"]
        with refused(MISFIT[name], where="weights.pth.tar", kind=WeightsError) as caught:
            _small(name, write(prefixed(state)))
        assert "audnet.layer1.0.conv1.weight" in str(caught.value)

    def test_a_weight_that_is_not_finite_is_named(
        self, name: str, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        broken = states[name]["imgnet.bn1.weight"].clone()
        broken[3] = torch.nan
        with refused(MISFIT[name], where="imgnet.bn1.weight", kind=WeightsError):
            _small(name, write({**states[name], "imgnet.bn1.weight": broken}))

    def test_a_truncated_file_is_damaged(
        self, name: str, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        path = write(states[name])
        path.write_bytes(path.read_bytes()[:2000])
        with refused("E_WEIGHTS_DAMAGED", where=path, kind=WeightsError):
            _small(name, path)

    def test_a_bad_sound_bank_is_refused(
        self, name: str, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        for bank in (torch.zeros(2, 3), torch.full((2, 64), torch.inf)):
            with refused("E_WEIGHTS_BANK", where=SOUND_BANK, kind=WeightsError):
                _small(name, write({**states[name], SOUND_BANK: bank}))


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_weight_is_an_error_in_a_small_network(
    name: str, states: Mapping[str, Mapping[str, Tensor]], write: Write
) -> None:
    with refused(MISFIT[name], where="head.weight", kind=WeightsError):
        _small(name, write({**states[name], "head.weight": torch.zeros(2)}))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_file_of_another_model_is_named(name: str, authors_checkpoint: Path) -> None:
    with refused("E_WEIGHTS_MODEL", where="ezvsl", kind=WeightsError):
        load_localizer(name, variant="full", weights=authors_checkpoint)


@pytest.mark.parametrize("legacy", [False, True])
def test_old_and_new_torch_files_give_the_same_model(
    states: Mapping[str, Mapping[str, Tensor]], tmp_path: Path, pictures: Pictures, legacy: bool
) -> None:
    path = tmp_path / "old.pth.tar"
    torch.save(
        {"model_state_dict": dict(states["lvs"])}, path, _use_new_zipfile_serialization=not legacy
    )
    model = _small("lvs", path)
    weights = model.provenance.weights
    assert weights is not None
    assert weights.entries == len(states["lvs"])
    assert model.encode_image(pictures[:1])["visual"].shape == (1, 64, 14, 14)


class TestProjections:
    def test_they_make_the_similarity_where_the_file_has_them(
        self,
        states: Mapping[str, Mapping[str, Tensor]],
        write: Write,
        pictures: Pictures,
        clips: Clips,
    ) -> None:
        model = _small("sslalign", write(states["sslalign"]))
        assert dict(model.provenance.options) == {"retrieval": "semantic"}
        images, sounds = model.encode_image(pictures), model.encode_audio(clips)
        expected = images["semantic"] @ sounds["semantic"].T
        np.testing.assert_allclose(model.similarity(images, sounds), expected, atol=1e-6)

    def test_half_of_them_is_an_error(
        self, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        state = {k: v for k, v in states["sslalign"].items() if not k.startswith(PROJECTIONS[1])}
        with refused("E_WEIGHTS_MISFIT", where="audio_projection.weight", kind=WeightsError):
            _small("sslalign", write(state))

    def test_without_them_s_a_cannot_be_asked_for(
        self, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        state = {k: v for k, v in states["sslalign"].items() if not k.startswith(PROJECTIONS)}
        with refused("E_WEIGHTS_PROJECTIONS", kind=ModelError):
            _small("sslalign", write(state), retrieval="semantic")
        model = _small("sslalign", write(state))
        assert dict(model.provenance.options) == {"retrieval": "pooled"}

    def test_the_localization_score_is_the_mean_over_all_places(
        self,
        states: Mapping[str, Mapping[str, Tensor]],
        write: Write,
        pictures: Pictures,
        clips: Clips,
    ) -> None:
        model = _small("sslalign", write(states["sslalign"]), retrieval="localization")
        images, sounds = model.encode_image(pictures), model.encode_audio(clips)
        maps = model.localize(images, sounds)
        np.testing.assert_allclose(
            np.diag(model.similarity(images, sounds)), maps.mean(axis=(1, 2)), atol=1e-5
        )

    def test_an_unknown_score_is_refused(
        self, states: Mapping[str, Mapping[str, Tensor]], write: Write
    ) -> None:
        with refused("E_SCHEMA", where="retrieval", kind=ModelError):
            _small("sslalign", write(states["sslalign"]), retrieval="loudest")
