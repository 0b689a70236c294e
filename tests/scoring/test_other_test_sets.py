"""Compositions on folders in the published formats, from files to figures worked out by hand.

A box around the middle quarter of a picture has an eighth of a picture of twice the width:
6,272 of the 50,176 pixels of the grid.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_clips import LevelMatcher, make_flickr, make_vggss
from standins import predictions_of

from ssl_bench.analysis.evaluation import Evaluation, evaluate
from ssl_bench.files import sha256_of_json
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.scoring.results import MeasuredValue, Result
from ssl_bench.scoring.run import score_file
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

PIXELS = 224 * 224
BOX = PIXELS // 8


def floor(result: Result, name: str) -> dict[str, float | None]:
    (found,) = (each for each in result.floors if each.name == name)
    return numbers(found.measures)


def numbers(measures: tuple[MeasuredValue, ...]) -> dict[str, float | None]:
    return {each.measure: each.value for each in measures}


class TestConcatOnVggss:
    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        root = tmp_path_factory.mktemp("data")
        make_vggss(root)
        return root

    @pytest.fixture(scope="class")
    @classmethod
    def trials(cls, root: Path) -> TrialSet:
        return open_trials(load_protocol("concat@vggss"), root)

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, root: Path) -> Evaluation:
        return evaluate(LevelMatcher(), "concat@vggss", data=root, folder=root / "run")

    def test_both_twins_of_every_pair_and_halves_of_different_videos(
        self, trials: TrialSet
    ) -> None:
        samples = {each.id: each for each in trials.test_set.samples}
        # The last two clips sound alike, so they find no partner.
        one, other = samples.keys() - {trial.audio.samples[0] for trial in trials}
        assert samples[one].category == samples[other].category
        assert len(trials) == 38
        assert len({trial.image for trial in trials}) == 19
        for trial in trials:
            (twin,) = (trials.trials[trials.index[name]] for name in trial.twins)
            assert twin.image == trial.image
            assert {trial.audio.samples[0], twin.audio.samples[0]} == {
                name for name, _ in trial.image.parts
            }
            left, right = (samples[name] for name, _ in trial.image.parts)
            assert left.group != right.group
            assert left.category != right.category

    def test_the_pairs_of_the_seed_do_not_change(self, trials: TrialSet) -> None:
        assert (
            sha256_of_json(trials.ids)
            == "62d316309a6cf296906d107425b83bff4e90d1e95e52af36ef1200b0eeffa882"
        )

    def test_a_model_that_hears_which_half_sounds(self, done: Evaluation) -> None:
        found = numbers(done.result.measures)
        assert done.result.coverage.present == 38
        assert found["side-accuracy"] == 1.0
        # Half of the picture is predicted, and a quarter of that is the box.
        assert found["mean-cIoU"] == pytest.approx(BOX / (PIXELS // 2))
        assert found["cIoU@0.5"] == 0.0
        # It reaches 0, 0.05 .. 0.25.
        assert found["AUC"] == pytest.approx(5.5 / 20)

    def test_the_whole_picture(self, done: Evaluation) -> None:
        found = floor(done.result, "full")
        assert found["side-accuracy"] == 0.5
        assert found["mean-cIoU"] == pytest.approx(BOX / PIXELS)
        assert found["pointing"] == pytest.approx(BOX / PIXELS)
        assert found["AUC"] == pytest.approx(2.5 / 20)

    def test_a_map_that_always_looks_left(self, trials: TrialSet, tmp_path: Path) -> None:
        maps = np.tile(np.array([[[1, 0]]], np.float32), (len(trials), 1, 1))
        found = score_file(predictions_of(trials, maps, tmp_path / "left.npz"), trials)
        assert found.result["side-accuracy"].value == 0.5
        assert found.result["mean-cIoU"].value == pytest.approx(BOX / (PIXELS // 2) / 2)


class TestConcatOnFlickrAfterOya:
    """All three annotators drew the left half of the box, two of three its right half.

    The centre of each picture counts, 196 of 224 pixels.
    """

    TRUTH = BOX / 2 * (1 + 2 / 3)
    SEEN = 196 * 196

    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        root = tmp_path_factory.mktemp("data")
        make_flickr(root)
        return root

    def test_the_truth_is_the_mean_over_annotators(self, root: Path) -> None:
        protocol = load_protocol("concat@flickr")
        plain = open_trials(protocol, root)
        theirs = open_trials(protocol.under(load_dialect("oya")), root)
        assert plain.truth_convention == "consensus"
        assert len(theirs) == 12
        trial = theirs.trials[0]
        assert trial.id.endswith("#left")
        expected = np.zeros((196, 196), np.float32)
        expected[42:154, 21:77] = 2 / 3
        expected[42:154, 21:49] = 1
        np.testing.assert_allclose(theirs.truth(trial), expected, rtol=1e-6)
        whole = np.zeros((224, 224), bool)
        whole[56:168, 28:84] = True
        np.testing.assert_array_equal(plain.truth(plain.trials[0]), whole)

    def test_a_model_that_hears_which_half_sounds(self, root: Path) -> None:
        done = evaluate(
            LevelMatcher(),
            "concat@flickr",
            data=root,
            folder=root / "run",
            dialect="oya",
        )
        assert done.result.protocol.dialect == "oya"
        found = numbers(done.result.measures)
        assert found["mean-cIoU"] == pytest.approx(self.TRUTH / (self.TRUTH + self.SEEN / 2 - BOX))
        assert found["cIoU@0.5"] == 0.0

    def test_the_whole_picture(self, root: Path, tmp_path: Path) -> None:
        trials = open_trials(load_protocol("concat@flickr"), root)
        path = predictions_of(trials, np.ones((12, 1, 1), np.float32), tmp_path / "ones.npz")
        theirs = trials.protocol.under(load_dialect("oya"))
        found = numbers(score_file(path, trials, conventions=theirs).result.measures)
        everywhere = self.TRUTH / (self.TRUTH + self.SEEN - BOX)
        assert found["mean-cIoU"] == pytest.approx(everywhere)
        # It is above every tau but the last, 1, at which nothing is predicted.
        assert found["tau-AUC"] == pytest.approx(0.995 * everywhere)


class TestNegativeAudioOnVggss:
    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        root = tmp_path_factory.mktemp("data")
        make_vggss(root)
        return root

    def test_four_sounds_for_each_picture_the_last_from_elsewhere(self, root: Path) -> None:
        trials = open_trials(load_protocol("negative-audio@vggss"), root)
        assert len(trials) == 4 * 40
        samples = {each.id: each for each in trials.test_set.samples}
        for trial in trials:
            assert len(trial.twins) == 3
            twins = [trials.trials[trials.index[name]] for name in trial.twins]
            assert {each.image for each in twins} == {trial.image}
            if trial.role == "off-screen":
                shown, heard = (samples[name] for name in (trial.image.key, trial.audio.samples[0]))
                assert shown.group != heard.group
                assert shown.category != heard.category
        apart = [trial for trial in trials if trial.attributes["calibration"]]
        # A fifth of the 20 videos, with two clips each.
        assert len(apart) == 4 * 4 * 2

    @pytest.mark.slow
    def test_figures(self, root: Path) -> None:
        done = evaluate(LevelMatcher(), "negative-audio@vggss", data=root, folder=root / "run")
        found = numbers(done.result.measures)
        assert done.result.statistics["universal_threshold"] == 0.0
        assert done.result.statistics["set_apart"] == 32
        assert len(done.scores) == 128
        # Its maps are all 1 with the picture's own sound, and all 0 with any other.
        assert found["AUROC"] == 1.0
        assert found["pIA"] == 0.0
        assert found["F1@0"] == 1.0
        assert found["mean-cIoU"] == pytest.approx(1 / 4)
        assert found["F-pos-neg"] == pytest.approx(2 * (1 / 4) / (1 + 1 / 4))
        whole = floor(done.result, "full")
        # A map that never changes has no value above the threshold that it gives itself.
        assert (whole["AUROC"], whole["mean-cIoU"], whole["pIA"]) == (0.5, 0.0, 0.0)


def test_the_published_pairs_of_the_embedded_world_do_not_change() -> None:
    """``ssl-bench protocols concat --trials`` prints them; another list is another protocol."""
    trials = open_trials(load_protocol("concat"))
    assert (
        sha256_of_json(trials.ids)
        == "cbdf9a073a3e625175c6c84dc9b074d167e5f335ac101a7f36ec46fc83bcfb42"
    )
