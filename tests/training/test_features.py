"""Features of images and sounds: made once, kept with digests, read by training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from refusals import refused
from torch import nn

from ssl_bench.models.efficientnet import LiteClassifier
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.training import approximate
from ssl_bench.training.approximate import nearest_in_long
from ssl_bench.training.encoders import Kind, load_encoder
from ssl_bench.training.feature_files import FeatureOptions, Made, make_features
from ssl_bench.training.neighbours import Features, find_neighbours, nearest, read_features

OWN = """
import numpy as np

class Mean:
    def encode(self, batch):
        return np.array([[image.mean() + {shift}, 1.0] for image in batch])

class Broken:
    def encode(self, batch):
        return np.zeros((1, len(batch)))

class Nothing:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures, each brighter than the one before, and four sounds, each of another pitch."""
    for place in ("frames", "audio"):
        (tmp_path / place).mkdir()
    for number, name in enumerate("abcd"):
        level = 40 + 50 * number
        Image.new("RGB", (32, 24), (level, level, 9)).save(tmp_path / "frames" / f"{name}.png")
        tone = np.sin(np.arange(22050) * 0.05 * (number + 1))
        soundfile.write(tmp_path / "audio" / f"{name}.wav", tone, 22050)
    (tmp_path / "own.py").write_text(OWN.format(shift=0))
    return tmp_path


def made_by(folder: Path, name: str, kind: Kind = "images", **options: int) -> Made:
    encoder = load_encoder(kind, name)
    place = folder / ("frames" if kind == "images" else "audio")
    return make_features(kind, place, encoder, folder / "f.npz", FeatureOptions(**options))


class TestEncoders:
    def test_the_encoders_that_ship_tell_clips_apart(self, folder: Path) -> None:
        kinds: tuple[tuple[Kind, str, int], ...] = (
            ("images", "trunk", 64),
            ("sounds", "bands", 128),
            ("sounds", "ezvsl", 64),
        )
        for kind, name, width in kinds:
            (folder / "f.npz").unlink(missing_ok=True)
            assert made_by(folder, name, kind).encoded == 4
            found = read_features(folder / "f.npz", list("abcd")).values
            assert found.shape == (4, width)
            assert len(np.unique(found.round(3), axis=0)) == 4

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "made", "width"),
        [
            ("resnet18", lambda: ClassifierNetwork(ClassifierArchitecture(classes=7)), 512),
            ("efficientnet-lite0", lambda: LiteClassifier(7), 1280),
        ],
    )
    def test_weights_are_read_with_or_without_the_last_layer(
        self, name: str, made: Callable[[], nn.Module], width: int, folder: Path
    ) -> None:
        torch.manual_seed(0)
        whole = made().state_dict()
        bare = {key: value for key, value in whole.items() if "fc." not in key}
        assert 0 < len(bare) < len(whole)
        values = []
        for state in (whole, bare):
            torch.save(state, folder / "r.pth")
            encoder = load_encoder("images", name, weights=folder / "r.pth")
            make_features("images", folder / "frames", encoder, folder / "f.npz")
            values.append(read_features(folder / "f.npz", ["a", "d"]).values)
        np.testing.assert_array_equal(*values)
        assert values[0].shape == (2, width)

    @pytest.mark.parametrize(
        ("kind", "name", "code"),
        [
            ("images", "resnet18", "E_WEIGHTS_NEEDED"),
            ("images", "bands", "E_ENCODER"),
            ("sounds", "trunk", "E_ENCODER"),
            ("sounds", "ogl-l1", "E_ENCODER"),
            ("images", "own.py:Nothing", "E_CLASS_CONTRACT"),
            ("images", "own.py:Gone", "E_CLASS_MISSING"),
        ],
    )
    def test_one_that_cannot_be_used_is_refused(
        self, kind: Kind, name: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        with refused(code):
            load_encoder(kind, name)

    def test_features_of_another_form_are_refused(self, folder: Path) -> None:
        with refused("E_MODEL_FEATURES"):
            made_by(folder, f"{folder}/own.py:Broken")
        assert not (folder / "f.npz").exists()


class TestKeeping:
    def test_only_what_has_changed_is_made_again(self, folder: Path) -> None:
        own = f"{folder}/own.py:Mean"
        assert made_by(folder, own).encoded == 4
        before = (folder / "f.npz").read_bytes()
        again = made_by(folder, own, batch_size=3)
        assert (again.clips, again.encoded, again.written) == (4, 0, False)
        Image.new("RGB", (32, 24), (1, 2, 3)).save(folder / "frames" / "b.png")
        (folder / "frames" / "d.png").unlink()
        changed = made_by(folder, own)
        assert (changed.clips, changed.encoded, changed.written) == (3, 1, True)
        assert read_features(folder / "f.npz", ["b"]).values[0, 0] == 2
        assert (folder / "f.npz").read_bytes() != before

    def test_another_encoder_makes_all_again(self, folder: Path) -> None:
        own = f"{folder}/own.py:Mean"
        made_by(folder, own)
        (folder / "own.py").write_text(OWN.format(shift=1))
        assert made_by(folder, own).encoded == 4
        assert made_by(folder, "trunk").encoded == 4

    def test_a_clip_that_cannot_be_read_is_told_and_the_others_are_made(self, folder: Path) -> None:
        (folder / "frames" / "b.png").write_bytes(b"no picture")
        made = made_by(folder, "trunk")
        [problem] = made.problems
        assert (problem.item, made.clips) == ("b", 3)

    def test_what_is_in_the_way_or_missing_is_refused(self, folder: Path) -> None:
        np.savez(folder / "f.npz", ids=np.array(["a"]), features=np.ones((1, 2)))
        before = (folder / "f.npz").read_bytes()
        with refused("E_FEATURES_OTHER", where="f.npz"):
            made_by(folder, "trunk")
        assert (folder / "f.npz").read_bytes() == before
        encoder = load_encoder("images", "trunk")
        with refused("E_FOLDER_MISSING"):
            make_features("images", folder / "none", encoder, folder / "g.npz")
        with refused("E_CLIPS_NONE"):
            make_features("images", folder / "audio", encoder, folder / "g.npz")


class TestNeighbours:
    def test_training_reads_those_of_the_file(self, folder: Path) -> None:
        own = f"{folder}/own.py:Mean"
        with refused("E_NEIGHBOURS_FEW"):
            made_by(folder, own, neighbours=4)
        made = made_by(folder, own, neighbours=3)
        assert made.exact is True
        features = read_features(folder / "f.npz", list("dacb"))
        assert features.nearest is not None
        exact = nearest(features.values, 3)
        np.testing.assert_array_equal(features.nearest, exact)
        assert made_by(folder, own, neighbours=3).written is False
        assert made_by(folder, own, neighbours=2).written is True

    def test_clips_that_are_left_out_are_passed_over(self) -> None:
        values = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
        before = nearest(values, 6)
        before[before % 3 == 0] = -1  # as if these were not among the clips of the training
        found = find_neighbours(
            Features(values, "i", before), Features(values, "s", before.copy()), 4
        ).images
        for row in range(30):
            left = before[row][before[row] >= 0]
            if len(left) >= 4:
                np.testing.assert_array_equal(found[row], left[:4])
            else:
                np.testing.assert_array_equal(found[row], nearest(values, 4)[row])

    def test_neighbours_that_are_no_rows_are_refused(self, tmp_path: Path) -> None:
        for wrong in (np.array([[5], [0]]), np.zeros((3, 1), int), np.zeros((2, 1))):
            path = tmp_path / "f.npz"
            np.savez(path, ids=np.array(["a", "b"]), features=np.eye(2), neighbours=wrong)
            with refused("E_FEATURES_FORM", where=path):
                read_features(path, ["a"])

    @pytest.mark.slow
    def test_a_long_list_is_searched_approximately_and_the_same_each_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("faiss")
        monkeypatch.setattr(approximate, "EXACT_UP_TO", 1000)
        generator = np.random.default_rng(0)
        centres = generator.normal(size=(40, 16))
        spread = 0.4 * generator.normal(size=(3000, 16))
        values = (centres[generator.integers(0, 40, 3000)] + spread).astype(np.float32)
        values[7] = values[8] = values[9]
        found, exact = nearest_in_long(values, 10)
        assert exact is False
        assert found.shape == (3000, 10)
        assert not (found == np.arange(3000)[:, None]).any()
        expected = nearest(values, 10)
        shared = [len({*one} & {*other}) for one, other in zip(found, expected, strict=True)]
        assert np.mean(shared) > 9.5
        np.testing.assert_array_equal(nearest_in_long(values, 10)[0], found)
        assert nearest_in_long(values[:1000], 10)[1] is True
