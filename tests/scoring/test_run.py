"""Scoring a file: checked first, whole, with coverage, floors, ceiling and gap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from ssl_bench.files import sha256_of_file
from ssl_bench.models.trivial import Oracle
from ssl_bench.predictions import PredictionsMeta, save_predictions
from ssl_bench.protocols.protocol import (
    ControlsTable,
    TestSetTable,
    load_dialect,
    load_protocol,
)
from ssl_bench.scoring.dialects import dialect_table, dialects_for
from ssl_bench.scoring.hearing import OWN_BLIND
from ssl_bench.scoring.run import ScoringOptions, score_file
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    protocol = load_protocol("synth")
    table = TestSetTable(name="synth", split="standard", options={"count": 40})
    return open_trials(protocol.model_copy(update={"test_set": table}))


def meta(trials: TrialSet, **changed: object) -> PredictionsMeta:
    facts = {
        "protocol": trials.protocol.label,
        "protocol_digest": trials.protocol.digest,
        "test_set": trials.test_set.name,
        "test_set_digest": trials.test_set.digest,
        "model": "noise",
        "complete": True,
        **changed,
    }
    return PredictionsMeta.model_validate(facts)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 7, 7)).astype(np.float32)


@pytest.fixture(scope="module")
def stored(trials: TrialSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "noise.npz"
    save_predictions(path, trials.ids, noise(len(trials)), meta(trials))
    return path


def test_the_result_says_what_was_measured(trials: TrialSet, stored: Path) -> None:
    scored = score_file(stored, trials)
    result = scored.result
    assert result.protocol.digest == trials.protocol.digest
    assert result.test_set.digest == trials.test_set.digest
    assert result.test_set.truth_convention == "union"
    assert [value.measure for value in result.measures] == list(trials.protocol.measures)
    assert result["mean-cIoU"].value == pytest.approx(scored.scores["cIoU"].mean())
    assert [floor.name for floor in result.floors] == [
        "center",
        "full",
        "random",
        "random-pixel",
    ]
    assert {"n_boxes", "size", "category"} <= set(result.breakdown)
    assert result.coverage.present == len(trials)


def test_the_oracle_reaches_the_ceiling(trials: TrialSet, tmp_path: Path) -> None:
    oracle = Oracle()
    maps = np.stack([oracle.map_for("", trials.truth(trial)) for trial in trials])
    path = tmp_path / "oracle.npz"
    save_predictions(path, trials.ids, maps, meta(trials, model="oracle"))
    result = score_file(path, trials).result
    assert result.ceiling is not None
    for value, best in zip(result.measures, result.ceiling.measures, strict=True):
        assert value.value == pytest.approx(best.value, abs=1e-9)


def test_missing_trials_of_a_complete_file_are_failures(trials: TrialSet, tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    save_predictions(path, trials.ids[10:], noise(len(trials) - 10), meta(trials))
    whole = score_file(path, trials).result
    part = score_file(path, trials, options=ScoringOptions(partial=True)).result
    assert (whole.coverage.present, whole.coverage.expected) == (30, 40)
    assert whole.coverage.missing == tuple(trials.ids[:10])
    assert whole["mean-cIoU"].n_trials == 40
    assert part["mean-cIoU"].n_trials == 30
    assert part.coverage.partial
    assert whole["mean-cIoU"].value == pytest.approx((part["mean-cIoU"].value or 0) * 30 / 40)


def test_missing_trials_of_an_incomplete_file_are_refused(trials: TrialSet, tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    save_predictions(path, trials.ids[1:], noise(len(trials) - 1), meta(trials, complete=False))
    with refused("E_IDS_MISSING", where=trials.ids[0]):
        score_file(path, trials)


def test_a_file_of_another_protocol_is_refused(trials: TrialSet, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    wrong = meta(trials, protocol="concat@synth:standard", protocol_digest="0" * 64)
    save_predictions(path, trials.ids, noise(len(trials)), wrong)
    with refused("E_OTHER_PROTOCOL", where="concat@synth:standard"):
        score_file(path, trials)


def test_maps_of_a_version_with_the_same_trials_are_scored_and_the_result_says_so(
    trials: TrialSet, stored: Path, tmp_path: Path
) -> None:
    changed = trials.protocol.model_copy(update={"version": 99, "measures": ("mean-cIoU",)})
    newer = TrialSet(changed, trials.test_set, trials.trials)
    path = tmp_path / "of the older version.npz"
    save_predictions(path, trials.ids, noise(40), meta(trials, trials_digest=trials.digest))
    result = score_file(path, newer).result
    assert result["mean-cIoU"].value == score_file(stored, trials).result["mean-cIoU"].value
    assert result.predicted_under is not None
    assert result.predicted_under.digest == trials.protocol.digest
    assert result.protocol.digest == changed.digest
    assert result.protocol.trials_digest == trials.digest
    with refused("E_PROTOCOL_VERSION"):
        score_file(stored, newer)


def test_maps_of_this_very_version_need_no_such_remark(trials: TrialSet, stored: Path) -> None:
    assert score_file(stored, trials).result.predicted_under is None


def test_hearing_stands_beside_each_measure(trials: TrialSet, stored: Path) -> None:
    result = score_file(stored, trials).result
    assert [each.measure for each in result.hearing] == [each.measure for each in result.measures]
    for number, each in enumerate(result.hearing):
        assert each.score == result.measures[number]
        assert each.without_sound is not None
        values = {floor.name: floor.measures[number].value or 0 for floor in result.floors}
        assert each.without_sound.value == max(values.values())
        assert each.best_without is not None
        assert values[each.best_without.removeprefix("trivial map ")] == each.without_sound.value


def test_a_model_that_is_known_not_to_listen_hears_nothing(
    trials: TrialSet, tmp_path: Path
) -> None:
    path = tmp_path / "oracle.npz"
    save_predictions(
        path, trials.ids, np.stack([trials.truth(trial) for trial in trials]), meta(trials)
    )
    listening, deaf = (
        score_file(path, trials, is_deaf=is_deaf).result.hearing for is_deaf in (False, True)
    )
    assert any(each.is_shown for each in listening)
    assert not any(each.is_shown for each in deaf)


def test_a_random_floor_says_its_seed_and_resolution(trials: TrialSet, stored: Path) -> None:
    floors = {floor.name: floor for floor in score_file(stored, trials).result.floors}
    assert floors["random"].settings == {"seed": 0, "resolution": 7}
    assert floors["random-pixel"].settings == {"seed": 0, "resolution": 224}
    assert floors["center"].settings == {}


def test_a_category_is_found_in_every_trial_where_it_sounds(trials: TrialSet, stored: Path) -> None:
    result = score_file(stored, trials).result
    heard = [category for trial in trials for category in trial.category.split("+")]
    for category, values in result.breakdown["category"].items():
        assert values[0].n_trials == heard.count(category)


class TestAudioBlindFile:
    def save(self, path: Path, trials: TrialSet, ids: list[str], **changed: object) -> Path:
        save_predictions(path, ids, noise(len(ids)), meta(trials, **changed))
        return path

    def test_one_that_lacks_trials_is_refused(
        self, trials: TrialSet, stored: Path, tmp_path: Path
    ) -> None:
        short = self.save(tmp_path / "short.npz", trials, trials.ids[:-3])
        with refused("E_TRIALS_MISSING", where=short):
            score_file(stored, trials, vision_only=short)

    def test_one_of_another_model_is_refused(
        self, trials: TrialSet, stored: Path, tmp_path: Path
    ) -> None:
        other = self.save(tmp_path / "other.npz", trials, trials.ids, model="somebody")
        with refused("E_BLIND_MODEL", where=other):
            score_file(stored, trials, vision_only=other)

    def test_the_predictions_are_no_prior_of_themselves(
        self, trials: TrialSet, stored: Path
    ) -> None:
        with refused("E_PRIOR_SAME", where=stored):
            score_file(stored, trials, priors={"itself": stored})

    def test_its_digest_is_in_the_result(
        self, trials: TrialSet, stored: Path, tmp_path: Path
    ) -> None:
        twin = self.save(tmp_path / "twin.npz", trials, trials.ids)
        result = score_file(stored, trials, vision_only=twin).result
        assert result.vision_only is not None
        assert result.vision_only.predictions_sha256 == sha256_of_file(twin)
        assert result.vision_only.measures == result.measures


def test_hearing_is_the_paired_difference(trials: TrialSet, stored: Path, tmp_path: Path) -> None:
    blind = tmp_path / "blind.npz"
    truths = np.stack([trials.truth(trial) for trial in trials])
    save_predictions(blind, trials.ids, truths, meta(trials))
    scored = score_file(stored, trials, vision_only=blind)
    assert scored.vision_only is not None
    found = {each.measure: each for each in scored.result.hearing}["mean-cIoU"]
    assert found.best_without == OWN_BLIND
    assert found.adds is not None
    expected = (scored.scores["cIoU"] - scored.vision_only["cIoU"]).mean()
    assert found.adds.value == pytest.approx(expected)
    assert found.adds.low is not None
    assert found.adds.high is not None
    assert found.adds.low < expected < found.adds.high


def test_rows_in_another_order_give_the_same_result(
    trials: TrialSet, stored: Path, tmp_path: Path
) -> None:
    order = np.random.default_rng(3).permutation(len(trials))
    turned = tmp_path / "turned.npz"
    ids = [trials.ids[row] for row in order]
    save_predictions(turned, ids, noise(len(trials))[order], meta(trials))
    first, second = score_file(stored, trials).result, score_file(turned, trials).result
    assert first.measures == second.measures
    assert first.breakdown == second.breakdown


def test_a_dialect_keeps_the_trials_and_changes_the_conventions(
    trials: TrialSet, stored: Path
) -> None:
    conventions = trials.protocol.under(load_dialect("oya"))
    result = score_file(stored, trials, conventions=conventions).result
    assert result.protocol.dialect == "oya"
    assert result.protocol.digest != trials.protocol.digest
    assert [value.measure for value in result.measures][:2] == ["mean-cIoU", "tau-AUC"]


@pytest.mark.slow
def test_all_dialects_in_one_table(trials: TrialSet, tmp_path: Path) -> None:
    nothing = ControlsTable(floors=(), ceiling=False, vision_only=False)
    alone = trials.protocol.model_copy(update={"controls": nothing})
    trials, stored = TrialSet(alone, trials.test_set, trials.trials), tmp_path / "noise.npz"
    save_predictions(stored, trials.ids, noise(len(trials)), meta(trials))
    names, _ = dialects_for(trials.protocol, "noise")
    table = dialect_table(stored, trials, names)
    assert list(dict.fromkeys(table["dialect"])) == ["canonical", *names]
    for dialect in names[::4]:
        conventions = trials.protocol.under(load_dialect(dialect))
        single = score_file(stored, trials, conventions=conventions).result
        rows = table[table["dialect"] == dialect]
        assert rows["measure"].tolist() == [value.measure for value in single.measures]
        for name in ("value", "low", "high"):
            expected = [getattr(value, name) for value in single.measures]
            assert np.array_equal(rows[name], np.array(expected, np.float64), equal_nan=True)
    first = table[table["measure"] == "cIoU@0.5"].set_index("dialect")["value"]
    assert first["canonical"] == first["ezvsl"]
