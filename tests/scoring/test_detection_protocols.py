"""The extended and the negative-audio protocols, from predictions to results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from refusals import refused
from sklearn.metrics import average_precision_score, roc_auc_score

from ssl_bench.analysis.chosen_trials import Choice
from ssl_bench.figures.trial_pictures import ShownRun, draw_trials
from ssl_bench.measures.detection import top_quarter_mean
from ssl_bench.measures.interpolation import upsample
from ssl_bench.predictions import PredictionsMeta, PredictionsWriter, open_predictions
from ssl_bench.protocols.protocol import Protocol, TestSetTable, load_dialect, load_protocol
from ssl_bench.scoring.dialects import dialect_table
from ssl_bench.scoring.run import Scored, ScoringOptions, score_file
from ssl_bench.scoring.scores import MapBatch
from ssl_bench.scoring.thresholds import set_apart, with_threshold
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

Maps = NDArray[np.float32]


def small(name: str, count: int = 16) -> TrialSet:
    table = TestSetTable(name="synth", split="standard", options={"count": count})
    return open_trials(load_protocol(name).model_copy(update={"test_set": table}))


def changed(trials: TrialSet, **tables: object) -> TrialSet:
    protocol: Protocol = trials.protocol.model_copy(update=tables)
    return TrialSet(protocol, trials.test_set, trials.trials)


def written(path: Path, trials: TrialSet, maps: Maps, stated: Maps | None = None) -> Path:
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model="handmade",
        complete=True,
    )
    with PredictionsWriter(path, meta) as writer:
        writer.add(trials.ids, maps, score=stated)
    return path


def heard(trials: TrialSet) -> NDArray[np.bool_]:
    return np.array([trial.sounding for trial in trials])


def blocks(trials: TrialSet) -> Maps:
    """Truth maps averaged over 32 x 32 pixels."""
    truths = np.stack([trials.truth(trial) for trial in trials])
    return truths.reshape(-1, 7, 32, 7, 32).mean(axis=(2, 4))


def noisy(trials: TrialSet, seed: int = 0) -> Maps:
    """Maps that find a part of what sounds."""
    rng = np.random.default_rng(seed)
    return blocks(trials) + rng.normal(0, 0.3, (len(trials), 7, 7)).astype(np.float32)


def value(scored: Scored, measure: str) -> float:
    found = scored.result[measure].value
    assert found is not None
    return found


class TestExtended:
    @pytest.fixture(scope="class")
    @classmethod
    def trials(cls) -> TrialSet:
        return small("vggss-extended@synth")

    @pytest.mark.slow
    def test_the_confidence_is_read_from_the_map_and_silence_is_no_size(
        self, trials: TrialSet, tmp_path: Path
    ) -> None:
        maps = noisy(trials)
        scored = score_file(written(tmp_path / "maps.npz", trials, maps), trials)
        call = trials.protocol.interpolation
        expected = [top_quarter_mean(upsample(heat, 224, call)) for heat in maps]
        np.testing.assert_allclose(scored.scores["confidence"], expected, atol=1e-6)
        sizes = scored.scores["size"].to_numpy()
        np.testing.assert_array_equal(sizes == "silent", ~heard(trials))

    @pytest.mark.slow
    def test_the_model_may_state_it_instead(self, trials: TrialSet, tmp_path: Path) -> None:
        stated = np.random.default_rng(1).random(len(trials)).astype(np.float32)
        order = np.random.default_rng(2).permutation(len(trials))
        turned = TrialSet(trials.protocol, trials.test_set, [trials.trials[row] for row in order])
        path = written(tmp_path / "s.npz", turned, noisy(trials)[order], stated=stated[order])
        scored = score_file(path, trials, options=ScoringOptions(jobs=2))
        np.testing.assert_array_equal(scored.scores["confidence"], stated)
        localised = (scored.scores["cIoU"].to_numpy() >= 0.5) & heard(trials)
        reached = localised.sum() / heard(trials).sum()
        assert 0 < reached < 1
        expected = average_precision_score(localised, stated) * reached
        assert value(scored, "AP@0.5") == pytest.approx(expected)

    @pytest.mark.slow
    def test_a_perfect_map_reaches_the_ceiling(self, trials: TrialSet, tmp_path: Path) -> None:
        maps = np.stack([trials.truth(trial) for trial in trials])
        scored = score_file(written(tmp_path / "oracle.npz", trials, maps), trials)
        assert scored.result.ceiling is not None
        best = {each.measure: each.value for each in scored.result.ceiling.measures}
        # The truth predicts the whole picture under the half rule, so look at the adaptive one.
        assert value(scored, "cIoU(adaptive)@0.5") == best["cIoU(adaptive)@0.5"]
        assert best["AP@0.5"] == pytest.approx(best["LocAcc@0.5"])
        for name, found in best.items():
            assert found is not None
            if name not in ("cIoU(adaptive)@0.5",):
                assert found >= value(scored, name) - 1e-12

    def test_the_dialect_of_the_public_evaluator(self, trials: TrialSet, tmp_path: Path) -> None:
        path = written(tmp_path / "maps.npz", trials, noisy(trials))
        table = dialect_table(path, trials, ["slavc-extended", "acl-extended"])
        measured = table.set_index(["dialect", "measure"])["value"]
        assert measured[("slavc-extended", "AP(slavc)@0.5")] != pytest.approx(
            measured[("canonical", "AP@0.5")]
        )
        assert ("acl-extended", "maxF1(slavc)@0.5") in measured.index


class TestNegativeAudio:
    @pytest.fixture(scope="class")
    @classmethod
    def trials(cls) -> TrialSet:
        return small("negative-audio")

    @pytest.fixture(scope="class")
    @classmethod
    def stored(cls, trials: TrialSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return written(tmp_path_factory.mktemp("stored") / "maps.npz", trials, noisy(trials))

    @pytest.fixture(scope="class")
    @classmethod
    def scored(cls, trials: TrialSet, stored: Path) -> Scored:
        return score_file(stored, trials)

    @pytest.mark.slow
    def test_trials_that_are_set_apart_and_missing_are_counted(
        self, trials: TrialSet, tmp_path: Path
    ) -> None:
        rows = np.delete(np.arange(len(trials)), np.flatnonzero(set_apart(trials))[:3])
        part = trials.part(rows.tolist(), rest_fails=False)
        path = written(tmp_path / "maps.npz", part, noisy(trials)[rows])
        facts = score_file(path, trials, options=ScoringOptions(partial=True)).result.statistics
        assert facts["set_apart_missing"] == 3
        assert facts["set_apart"] == set_apart(trials).sum()

    @pytest.mark.slow
    def test_one_threshold_from_the_trials_that_are_set_apart(
        self, trials: TrialSet, scored: Scored
    ) -> None:
        maps = noisy(trials)
        call = trials.protocol.interpolation
        chosen = set_apart(trials) & ~heard(trials)
        maxima = [float(upsample(heat, 224, call).max()) for heat in maps[chosen]]
        threshold = float(np.quantile(maxima, 0.75))
        facts = scored.result.statistics
        assert facts["universal_threshold"] == pytest.approx(threshold)
        assert facts["universal_quantile"] == 0.75
        assert facts["set_apart"] == set_apart(trials).sum() > 0
        np.testing.assert_allclose(scored.scores["threshold"], threshold, rtol=1e-6)

    @pytest.mark.slow
    def test_trials_that_are_set_apart_are_not_scored(
        self, trials: TrialSet, scored: Scored, tmp_path: Path
    ) -> None:
        assert len(scored.scores) == (~set_apart(trials)).sum()
        # Their sounding maps decide nothing at all.
        other = noisy(trials)
        other[set_apart(trials) & heard(trials)] = 99
        changed_there = score_file(written(tmp_path / "maps.npz", trials, other), trials)
        assert scored.result.measures == changed_there.result.measures

    def test_numbers_by_hand(self, trials: TrialSet, scored: Scored) -> None:
        maps = noisy(trials)
        threshold = scored.result.statistics["universal_threshold"]
        kept = ~set_apart(trials)
        grids = [upsample(heat, 224, trials.protocol.interpolation) for heat in maps[kept]]
        sounding = heard(trials)[kept]
        peaks = np.array([grid.max() for grid in grids])
        shares = np.array([(grid > threshold).mean() for grid in grids])
        assert value(scored, "AUROC") == pytest.approx(roc_auc_score(sounding, peaks))
        assert value(scored, "pIA") == pytest.approx(shares[~sounding].mean(), abs=1e-6)
        detected = peaks > threshold
        hits = (detected & sounding).sum()
        assert value(scored, "F1@0") == pytest.approx(2 * hits / (detected.sum() + sounding.sum()))
        ciou = scored.scores["cIoU"].to_numpy()[sounding].mean()
        left = 1 - shares[~sounding].mean()
        assert value(scored, "F-pos-neg") == pytest.approx(
            2 * ciou * left / (ciou + left), abs=1e-6
        )
        assert scored.result.breakdown["role"].keys() == {
            "sounding",
            "silence",
            "noise",
            "off-screen",
        }

    @pytest.mark.slow
    def test_a_map_that_hears_beats_one_that_only_sees(
        self, trials: TrialSet, tmp_path: Path
    ) -> None:
        truths = np.stack(
            [trials.truth(trials.trials[trials.index[trial.image.key]]) for trial in trials]
        )
        blind = written(tmp_path / "blind.npz", trials, truths)
        hearing = written(tmp_path / "hearing.npz", trials, truths * heard(trials)[:, None, None])
        scored = score_file(hearing, trials, vision_only=blind)
        assert value(scored, "AUROC") == 1.0
        assert value(scored, "pIA") == 0.0
        assert value(scored, "F-pos-neg") == pytest.approx(1.0)
        assert scored.result.ceiling is not None
        for best in scored.result.ceiling.measures:
            assert value(scored, best.measure) == pytest.approx(best.value)
        assert scored.result.vision_only is not None
        seen = {each.measure: each.value for each in scored.result.vision_only.measures}
        # Seeing alone, each map peaks alike with any sound.
        assert seen["AUROC"] == pytest.approx(0.5)
        assert seen["F1@0.5"] == 0.0

    @pytest.mark.slow
    def test_the_scale_of_the_maps_does_not_matter_and_floors_have_their_own(
        self, trials: TrialSet, scored: Scored, tmp_path: Path
    ) -> None:
        louder = score_file(written(tmp_path / "loud.npz", trials, 4 * noisy(trials)), trials)
        assert scored.result.measures == louder.result.measures
        assert scored.result.floors == louder.result.floors
        found = {floor.name: floor.measures for floor in scored.result.floors}
        assert {each.value for each in found["full"] if each.measure == "AUROC"} == {0.5}

    def test_dialects_with_other_rules_score_every_trial(
        self, trials: TrialSet, stored: Path, scored: Scored
    ) -> None:
        table = dialect_table(stored, trials, ["ezvsl"]).set_index(["dialect", "measure"])
        positives = heard(trials)
        assert table.loc[("ezvsl", "cIoU@0.5"), "n_trials"] == positives.sum()
        kept = positives & ~set_apart(trials)
        assert table.loc[("canonical", "cIoU@0.5"), "n_trials"] == kept.sum()
        assert table.loc[("canonical", "F-pos-neg"), "value"] == value(scored, "F-pos-neg")

    def test_the_sheet_shows_what_was_scored(
        self, stored: Path, scored: Scored, tmp_path: Path
    ) -> None:
        maps, model = open_predictions(stored), scored.result.model
        run = ShownRun("mine", model, None, scored.trials, maps, scored.scores, "universal")
        by, sheet = Choice("random", 4), tmp_path / "sheet.png"
        shown = draw_trials([run], by, out=sheet).trial_ids
        assert len(shown) == 4
        assert set(shown) <= set(scored.scores["trial_id"])
        assert sheet.is_file()


class TestUniversalThreshold:
    @pytest.fixture(scope="class")
    @classmethod
    def trials(cls) -> TrialSet:
        return small("negative-audio", 10)

    def test_other_rules_set_nothing_apart_and_look_at_no_map(self, trials: TrialSet) -> None:
        asked = changed(trials, threshold=load_dialect("ezvsl").threshold)
        assert not set_apart(asked).any()
        assert with_threshold(asked, iter(())) is asked

    def test_it_needs_trials_that_say_which_are_set_apart(self) -> None:
        threshold = load_protocol("negative-audio").threshold
        asked = changed(small("synth", 4), threshold=threshold)
        with refused("E_TRIALS_SET_APART"):
            with_threshold(changed(asked, map=load_protocol("negative-audio").map), iter(()))

    def test_it_refuses_maps_that_are_normalised_one_by_one(self, trials: TrialSet) -> None:
        asked = changed(trials, map=load_protocol("synth").map)
        with refused("E_THRESHOLD_NORMALISED"):
            with_threshold(asked, iter(()))

    def test_without_the_maps_that_it_needs_there_is_none(self, trials: TrialSet) -> None:
        rows = np.flatnonzero(heard(trials))
        batch = MapBatch(rows, noisy(trials)[rows])
        with refused("E_THRESHOLD_UNKNOWN"):
            with_threshold(trials, [batch])

    def test_scoring_without_it_is_refused(self, trials: TrialSet) -> None:
        with refused("E_THRESHOLD_RULE"):
            assert trials.protocol.threshold.rule_of_map
