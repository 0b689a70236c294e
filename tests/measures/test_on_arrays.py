"""Measures on arrays are those of scoring, bit for bit; what cannot be scored is refused."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import COUNT, QUICK, Arrays, arrays_of
from numpy.typing import NDArray
from refusals import refused
from vectors import Vectors

import ssl_bench
from ssl_bench import measures
from ssl_bench import measures as f
from ssl_bench.errors import ArrayError, MeasureError, ProtocolError, SslBenchError
from ssl_bench.measures.checks import as_array, checked_maps
from ssl_bench.measures.values import DEFINITIONS
from ssl_bench.predictions import PredictionsWriter
from ssl_bench.protocols.protocol import dialect_names, load_dialect
from ssl_bench.scoring.run import Scored
from ssl_bench.trials.trial_set import TrialSet

Call = Callable[..., measures.Score]


def agrees(score: measures.Score, scored: Scored) -> None:
    """The number, its interval and the number of samples are those of scoring."""
    expected = scored.result[score.measure]
    assert expected.value is not None
    assert float(score) == expected.value
    interval = score.interval
    ends = (None if math.isnan(end) else end for end in (interval.low, interval.high))
    assert (*ends, interval.method) == (expected.low, expected.high, expected.method)
    assert score.n_samples == expected.n_trials


# For each measure: its text form, the protocol, and the function with what it takes.
ONE = {
    "cIoU@0.3": ("synth", lambda f, m, t, k: f(m, t, 0.3)),
    "cIoU(adaptive)@0.5": ("synth", lambda f, m, t, k: f(m, t, rule="adaptive")),
    "AUC": ("synth", lambda f, m, t, k: f(m, t)),
    "mean-cIoU": ("synth", lambda f, m, t, k: f(m, t)),
    "tau-AUC": ("synth", lambda f, m, t, k: f(m, t)),
    "pointing": ("synth", lambda f, m, t, k: f(m, t)),
    "mIoU": ("synth", lambda f, m, t, k: f(m, t)),
    "max-F": ("synth", lambda f, m, t, k: f(m, t)),
    "CAP": ("synth", lambda f, m, t, k: f(m, t)),
    "class-AP": ("synth", lambda f, m, t, k: f(m, t, k["categories"])),
    "class-IoU": ("synth", lambda f, m, t, k: f(m, t, k["categories"])),
    "PIAP(avgn)": ("synth", lambda f, m, t, k: f(m, t, "avgn")),
    "PIAP(noprior)": ("vggss-duet@synth", lambda f, m, t, k: f(m, t, "noprior", k["mixtures"])),
    "side-accuracy": ("concat", lambda f, m, t, k: f(m, k["places"])),
    "swap-sensitivity": ("concat", lambda f, m, t, k: f(m, k["images"])),
    "tile-NSA": ("concat", lambda f, m, t, k: f(m, t, k["silent_tiles"])),
    "IIoU@0.3": ("interactive", lambda f, m, t, k: f(m, t, k["images"], 0.3)),
    "IAUC": ("interactive", lambda f, m, t, k: f(m, t, k["images"])),
    "scene-cIoU(adaptive)@0.3": (
        "interactive",
        lambda f, m, t, k: f(m, t, k["images"], 0.3, "adaptive"),
    ),
    "scene-AUC": ("interactive", lambda f, m, t, k: f(m, t, k["images"])),
    "type-gap@0.3": ("type-ab", lambda f, m, t, k: f(m, t, k["types"], 0.3)),
    "AP@0.3": ("vggss-extended@synth", lambda f, m, t, k: f(m, t, k["sounding"], 0.3)),
    "AP(clean)@0.3": (
        "vggss-extended@synth",
        lambda f, m, t, k: f(
            m, t, k["sounding"], 0.3, variant="clean", same_category=k["same_category"]
        ),
    ),
    "maxF1(slavc)@0.3": (
        "vggss-extended@synth",
        lambda f, m, t, k: f(m, t, k["sounding"], 0.3, variant="slavc"),
    ),
    "precision-all@0.3": ("vggss-extended@synth", lambda f, m, t, k: f(m, t, k["sounding"], 0.3)),
    "LocAcc@0.5": ("synth", lambda f, m, t, k: f(m, t)),
    "recall(a2i)@1": ("retrieval", None),
    "median-rank(i2a)": ("retrieval", None),
    "category-recall(i2a)@1": ("retrieval", None),
    "mAP": ("retrieval", None),
}
NEGATIVE = {
    "AUROC": lambda f, m, t, k, at: f(m, k["sounding"], roles=k["roles"]),
    "AUROC(noise)": lambda f, m, t, k, at: f(m, k["sounding"], roles=k["roles"], role="noise"),
    "F1@0.3": lambda f, m, t, k, at: f(m, t, k["sounding"], at, 0.3),
    "F-pos-neg": lambda f, m, t, k, at: f(m, t, k["sounding"], at, roles=k["roles"]),
    "F-AUC-AOC(silence)": lambda f, m, t, k, at: f(
        m, t, k["sounding"], at, roles=k["roles"], role="silence"
    ),
    "pIA": lambda f, m, t, k, at: f(m, at, roles=k["roles"]),
    "AOC": lambda f, m, t, k, at: f(m, at, roles=k["roles"]),
}
DIALECTS = sorted({*dialect_names(), "acl-half:1", "dsol:duet"} - {"vssl"})
SILENT = ("pIA", "AOC")
ELSEWHERE = {"NSA", "scene-NSA", "pooled-cIoU", "pooled-AUC"}


def name_of(text: str) -> str:
    return text.partition("@")[0].partition("(")[0]


def function_of(text: str) -> Call:
    found: Call = getattr(measures, name_of(text).replace("-", "_"))
    return found


def with_groups(function: Call, groups: Any) -> Call:
    return lambda *given, **named: function(*given, **named, groups=groups)


def test_every_measure_has_a_function_and_is_tested_here() -> None:
    assert {name.replace("-", "_") for name in DEFINITIONS} <= set(dir(measures))
    assert {name_of(text) for text in (*ONE, *NEGATIVE)} | ELSEWHERE == set(DEFINITIONS)
    with pytest.raises(AttributeError):
        _ = measures.beauty


@pytest.mark.slow
@pytest.mark.parametrize("text", [text for text, (_, call) in ONE.items() if call])
def test_a_function_gives_what_scoring_gives(text: str) -> None:
    name, call = ONE[text]
    # Those of all pixels of a category resample for long.
    arrays = arrays_of(name, 8 if text.startswith("class") else COUNT)
    function = with_groups(function_of(text), arrays.facts["groups"])
    assert call is not None
    score = call(function, arrays.maps, arrays.truths, arrays.facts)
    assert score.measure == text
    agrees(score, arrays.score(text))


@pytest.fixture(scope="module")
def negative() -> tuple[Arrays, Scored]:
    arrays = arrays_of("negative-audio")
    return arrays, arrays.score(*NEGATIVE)


@pytest.mark.slow
@pytest.mark.parametrize("text", NEGATIVE)
def test_negative_audio_at_the_threshold_that_scoring_found(
    text: str, negative: tuple[Arrays, Scored]
) -> None:
    arrays, scored = negative
    kept = arrays.scored_rows
    if name_of(text) in SILENT:
        kept = kept & ~arrays.facts["sounding"]
    maps, truths, facts = arrays.but(kept)
    at = scored.trials.protocol.threshold.value
    function = with_groups(function_of(text), facts["groups"])
    agrees(NEGATIVE[text](function, maps, truths, facts, at), scored)


@pytest.mark.slow
def test_what_stays_dark_where_categories_are_asked_for() -> None:
    arrays = arrays_of("multi-source", 120)
    scored = arrays.score("NSA", "scene-NSA", "cIoU(fraction)@0.3")
    groups = arrays.facts["groups"]
    silent = ~arrays.facts["sounding"]
    assert silent.any()
    maps, _, facts = arrays.but(silent)
    agrees(measures.NSA(maps, groups=facts["groups"]), scored)
    given = arrays.facts["sounding"], arrays.facts["images"]
    agrees(measures.scene_NSA(arrays.maps, *given, groups=groups), scored)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [*sorted({*dialect_names()} - {"vssl"}), "acl-half:1", "dsol:duet"]
)
def test_a_dialect_gives_its_measures_on_arrays(name: str) -> None:
    dialect = load_dialect(name)
    mixture = dialect.compositions == ("mixture",)
    arrays = arrays_of("vggss-duet@synth" if mixture else "synth")
    on_own_grid = {"size": dialect.map.whole_size, "crop": None}
    protocol = arrays.trials.protocol.under(dialect)
    drawn = TrialSet(
        protocol.model_copy(update={"map": dialect.map.model_copy(update=on_own_grid)}),
        arrays.trials.test_set,
        arrays.trials.trials,
    ).truths(arrays.rows)
    texts = ["cIoU@0.5", "mean-cIoU", "AUC", "cIoU(adaptive)@0.5", "AUC(half)", "tau-AUC", "CAP"]
    scored = arrays.score(*texts, dialect=name)
    metric = ssl_bench.Metric(*texts, dialect=name)
    metric.update(arrays.maps, drawn, groups=arrays.facts["groups"])
    for score in metric.compute().values():
        agrees(score, scored)


@pytest.mark.slow
def test_the_constants_of_a_model_and_the_pooled_measures() -> None:
    arrays = arrays_of("negative-audio")
    texts = ("pooled-cIoU@0.3", "pooled-AUC", "mean-cIoU", "pIA", "F-pos-neg")
    scored = arrays.score(*texts, dialect="vssl:sslalign")
    metric = ssl_bench.Metric(*texts, dialect="vssl:sslalign")
    facts = {name: arrays.facts[name] for name in ("sounding", "roles", "groups")}
    metric.update(arrays.maps, arrays.truths, **facts)
    for score in metric.compute().values():
        agrees(score, scored)
    maps, truths, kept = arrays.but(arrays.facts["sounding"])
    named = {"dialect": "vssl:sslalign", "groups": kept["groups"]}
    agrees(measures.pooled_cIoU(maps, truths, threshold=0.3, **named), scored)
    agrees(measures.pooled_AUC(maps, truths, **named), scored)


@pytest.mark.slow
def test_retrieval_ranks_as_scoring_does(tmp_path: Path) -> None:
    arrays = arrays_of("retrieval", 20)
    trials = arrays.trials
    ids = [trials.ids[row] for row in arrays.rows]
    listed = [trials.trials[row] for row in arrays.rows.tolist()]
    similarity = np.random.default_rng(3).integers(0, 9, (len(ids),) * 2).astype(np.float32)
    with PredictionsWriter(tmp_path / "p.npz", trials.predictions_meta("mine")) as writer:
        writer.add(ids, similarity=similarity)
    scored = ssl_bench.score_file(tmp_path / "p.npz", trials, options=QUICK)
    copies = {
        "pictures": [trials.image_identity(trial.image) for trial in listed],
        "sounds": [trials.sound_identity(trial.audio) for trial in listed],
        "groups": [trial.group for trial in listed],
    }
    categories = [trial.category for trial in listed]
    for direction in ("a2i", "i2a"):
        asked = (similarity, direction)
        agrees(measures.recall(*asked, 5, **copies), scored)
        agrees(measures.median_rank(*asked, **copies), scored)
        agrees(measures.category_recall(similarity, categories, direction, **copies), scored)
        agrees(measures.mAP(similarity, categories, direction, **copies), scored)
    both = [measures.mAP(similarity, categories, each) for each in ("a2i", "i2a")]
    assert measures.mAP(similarity, categories) == pytest.approx(np.mean(both))


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    return Vectors(golden)


@pytest.mark.parametrize("test_set", ["vggss", "flickr"])
class TestGolden:
    """What public evaluators gave for the same maps and boxes."""

    @pytest.fixture
    def given(self, vectors: Vectors, test_set: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Maps, and truths drawn from the boxes by the function of this package."""
        stored = vectors.arrays("core224")
        boxes = [
            stored[f"{test_set}_boxes"][start:stop]
            for start, stop in pairwise(stored[f"{test_set}_box_offsets"])
        ]
        how: dict[str, Any] = {}
        if test_set == "flickr":
            how = {"frame": (256.0, 256.0), "convention": "consensus", "annotators": 3}
        truths = measures.truths_from_boxes(boxes, **how)
        np.testing.assert_array_equal(2 * truths, stored[f"{test_set}_gt_times2"])
        return stored["maps"], truths

    @pytest.mark.parametrize(
        ("dialect", "rule", "key"),
        [
            ("ezvsl", None, "ez_ciou"),
            ("lvs", None, "lvs_ciou"),
            ("sslalign", None, "ssl_ciou"),
            ("sslalign", "adaptive", "ssl_ciou_adap"),
        ],
    )
    def test_each_sample(
        self, vectors: Vectors, given: Any, test_set: str, dialect: str, rule: Any, key: str
    ) -> None:
        maps, truths = given
        found = measures.mean_cIoU(maps, truths, rule, dialect=dialect).per_sample
        expected = vectors.arrays("core224")[f"{test_set}_{key}"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, equal_nan=True)

    def test_rates(self, vectors: Vectors, given: Any, test_set: str) -> None:
        maps, truths = given
        printed = vectors.facts("core224")["aggregate"][f"{test_set}_ssl"]
        for rule, suffix in (("half", ""), ("adaptive", "_adap")):
            rate = measures.cIoU(maps, truths, 0.5, rule, dialect="sslalign")
            assert rate == pytest.approx(printed[f"ciou{suffix}"], abs=1e-12)
            area = measures.AUC(maps, truths, rule, dialect="sslalign")
            assert area == pytest.approx(printed[f"auc{suffix}"], abs=1e-12)


def test_golden_detection(vectors: Vectors) -> None:
    stored = vectors.arrays("core224")
    sounding = ~stored["aclx_nonsounding"]
    truths = vectors.truths("vggss", stored) * sounding[:, None, None]
    found = measures.AP(
        stored["maps"].astype(np.float32) / np.float32(255),
        truths,
        sounding,
        variant="slavc",
        confidence=stored["aclx_conf"],
        dialect="acl-extended",
    )
    printed = vectors.facts("core224")["aggregate"]["acl_extended_full"]["eap"]
    assert found == pytest.approx(printed, abs=1e-9)


@pytest.fixture
def batch() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    generator = np.random.default_rng(1)
    maps = generator.random((6, 5, 7)).astype(np.float32)
    truths = np.zeros((6, 16, 16), bool)
    truths[:, 2:9, 3:12] = True
    return maps, truths


def test_a_score_is_a_float_that_knows_its_samples(batch: Any) -> None:
    score = measures.mean_cIoU(*batch)
    assert isinstance(score, float)
    assert json.loads(json.dumps({"score": score})) == {"score": float(score)}
    assert score.per_sample is not None
    assert score == math.fsum(score.per_sample) / 6
    kept = pickle.loads(pickle.dumps(score))
    assert (kept, kept.measure, kept.interval) == (score, "mean-cIoU", score.interval)
    assert measures.max_F(*batch).per_sample is None
    half = measures.IIoU(*batch, images=["a", "a", "b", "b", "b", "c"])
    assert half.n_samples == 3
    assert np.isnan(half.per_sample).tolist() == [False, True, False, True, True, False]


def test_groups_widen_the_interval() -> None:
    maps = np.random.default_rng(2).random((40, 8, 8))
    maps[::2] = maps[1::2]
    truths = np.zeros((40, 16, 16), np.uint8)
    truths[:, :8] = 1
    alone = measures.mean_cIoU(maps, truths)
    grouped = measures.mean_cIoU(maps, truths, groups=np.arange(40) // 2)
    assert alone == grouped
    wide, narrow = grouped.interval, alone.interval
    assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)


def test_kinds_of_arrays_give_the_same(batch: Any) -> None:
    maps, truths = batch
    expected = float(measures.mean_cIoU(maps, truths))
    for other in (
        truths.astype(np.uint8),
        truths.astype(np.float64),
        truths[:, None],
        truths.tolist(),
    ):
        assert measures.mean_cIoU(maps[:, None], other) == expected
    strided = np.asfortranarray(maps)
    assert measures.mean_cIoU(strided[::-1], truths[::-1]) == expected
    assert measures.mean_cIoU(maps.astype(np.float64), truths) == expected


class TestTorch:
    def test_tensors_are_not_copied(self, batch: Any) -> None:
        torch = pytest.importorskip("torch")
        maps, truths = (torch.from_numpy(each) for each in batch)
        assert np.shares_memory(as_array(maps, "maps"), batch[0])
        assert np.shares_memory(checked_maps(maps), batch[0])
        with_gradient = maps.clone().requires_grad_()
        assert as_array(with_gradient, "maps").ctypes.data == with_gradient.data_ptr()
        expected = measures.cIoU(*batch)
        assert measures.cIoU(with_gradient, truths) == expected
        assert measures.cIoU(maps[:, None], truths.half()) == expected

    def test_another_device_is_refused(self, batch: Any) -> None:
        torch = pytest.importorskip("torch")
        with refused("E_ARRAY_DEVICE", kind=ArrayError) as caught:
            measures.cIoU(torch.zeros((6, 5, 7), device="meta"), batch[1])
        assert "maps.cpu()" in str(caught.value)
        with refused("E_ARRAY_DEVICE", kind=ArrayError):
            measures.cIoU(batch[0], torch.zeros((6, 16, 16), device="meta"))

    def test_a_type_that_numpy_lacks_is_refused(self, batch: Any) -> None:
        torch = pytest.importorskip("torch")
        with refused("E_ARRAY_TYPE", kind=ArrayError):
            measures.cIoU(torch.from_numpy(batch[0]).bfloat16(), batch[1])


BAD_MAPS = {
    "one map": (lambda maps: maps[0], "E_MAP_SHAPE"),
    "channels": (lambda maps: np.stack([maps, maps], 1), "E_MAP_SHAPE"),
    "no pixels": (lambda maps: maps[:, :0], "E_MAP_SHAPE"),
    "none": (lambda maps: maps[:0], "E_BATCH_EMPTY"),
    "too few": (lambda maps: maps[:5], "E_MAPS_COUNT"),
    "nan": (lambda maps: np.where(maps == maps.max(), np.nan, maps), "E_MAP_VALUES"),
    "infinite": (lambda maps: np.where(maps == maps.max(), -np.inf, maps), "E_MAP_VALUES"),
    "beyond single precision": (lambda maps: maps.astype(np.float64) * 1e300, "E_MAP_VALUES"),
    "complex": (lambda maps: maps.astype(complex), "E_ARRAY_TYPE"),
    "texts": (lambda maps: maps.astype(str), "E_ARRAY_TYPE"),
    "ragged": (lambda maps: [maps[0], maps[1][:2]], "E_ARRAY_TYPE"),
    "nothing": (lambda maps: None, "E_ARRAY_TYPE"),
}
BAD_TRUTHS = {
    "one truth": (lambda truths: truths[0], "E_TRUTH_SHAPE"),
    "not square": (lambda truths: truths[:, 1:], "E_TRUTH_SHAPE"),
    "too few": (lambda truths: truths[:5], "E_MAPS_COUNT"),
    "0 to 255": (lambda truths: truths.astype(np.uint8) * 255, "E_TRUTH_VALUES"),
    "negative": (lambda truths: truths - 1.0, "E_TRUTH_VALUES"),
    "nan": (lambda truths: np.where(truths, np.nan, 0), "E_TRUTH_VALUES"),
}


@pytest.mark.parametrize("case", BAD_MAPS)
def test_bad_maps_are_refused(case: str, batch: Any) -> None:
    change, code = BAD_MAPS[case]
    with refused(code, kind=ArrayError):
        measures.cIoU(change(batch[0]), batch[1])


@pytest.mark.parametrize("case", BAD_TRUTHS)
def test_bad_truths_are_refused(case: str, batch: Any) -> None:
    change, code = BAD_TRUTHS[case]
    with refused(code, kind=ArrayError):
        measures.cIoU(batch[0], change(batch[1]))


REFUSED: dict[str, tuple[Callable[..., Any], str, type[SslBenchError]]] = {
    "dialect": (
        lambda m, t: f.cIoU(m, t, dialect="ezvls"),
        "E_DIALECT_UNKNOWN",
        ProtocolError,
    ),
    "no choice": (
        lambda m, t: f.cIoU(m, t, dialect="vssl"),
        "E_DIALECT_CHOICE",
        ProtocolError,
    ),
    "grid": (lambda m, t: f.cIoU(m, t, dialect="ezvsl"), "E_TRUTH_SHAPE", ArrayError),
    "other maps": (
        lambda m, t: f.cIoU(m, t, dialect="acl-half:16"),
        "E_THRESHOLD_RULE",
        ArrayError,
    ),
    "rule": (lambda m, t: f.cIoU(m, t, rule="hlf"), "E_MEASURE_VARIANT", MeasureError),
    "rule of mIoU": (
        lambda m, t: f.mIoU(m, t, rule="hlf"),
        "E_MEASURE_VARIANT",
        MeasureError,
    ),
    "threshold": (lambda m, t: f.cIoU(m, t, 1.5), "E_MEASURE_THRESHOLD", MeasureError),
    "negative": (lambda m, t: f.cIoU(m, t, -0.5), "E_MEASURE_THRESHOLD", MeasureError),
    "text": (lambda m, t: f.cIoU(m, t, "half"), "E_MEASURE_THRESHOLD", MeasureError),
    "unused": (lambda m, t: f.cIoU(m, t, map_threshold=0.3), "E_MAP_THRESHOLD", ArrayError),
    "universal": (lambda m, t: f.pIA(m), "E_THRESHOLD_RULE", ArrayError),
    "infinite": (lambda m, t: f.pIA(m, math.inf), "E_ARRAY_TYPE", ArrayError),
    "groups": (lambda m, t: f.cIoU(m, t, groups=["a"]), "E_MAPS_COUNT", ArrayError),
    "one group": (lambda m, t: f.cIoU(m, t, groups="abcdef"), "E_ARRAY_TYPE", ArrayError),
    "a number": (lambda m, t: f.recall(np.eye(3), "a2i", sounds=3), "E_ARRAY_TYPE", ArrayError),
    "types": (lambda m, t: f.type_gap(m, t, list("ABCABC")), "E_ARRAY_VALUES", ArrayError),
    "flags": (lambda m, t: f.AP(m, t, range(6)), "E_ARRAY_VALUES", ArrayError),
    "roles": (lambda m, t: f.pIA(m, 0.5, role="noise"), "E_ARGUMENT_MISSING", ArrayError),
    "places": (
        lambda m, t: f.side_accuracy(m, np.zeros((6, 2))),
        "E_ARRAY_SHAPE",
        ArrayError,
    ),
    "tiles": (lambda m, t: f.tile_NSA(m, t, t[:, 1:]), "E_ARRAY_SHAPE", ArrayError),
    "confidence": (
        lambda m, t: f.AP(m, t, [True] * 6, confidence=[math.nan] * 6),
        "E_ARRAY_VALUES",
        ArrayError,
    ),
    "no category": (
        lambda m, t: f.AP(m, t, [True] * 6, variant="clean"),
        "E_ARGUMENT_MISSING",
        ArrayError,
    ),
    "no pool": (lambda m, t: f.pooled_AUC(m, t), "E_THRESHOLDS_POOLED", MeasureError),
    "similarity": (lambda m, t: f.recall(m, "a2i"), "E_ARRAY_SHAPE", ArrayError),
    "direction": (lambda m, t: f.recall(np.eye(3), "a"), "E_MEASURE_VARIANT", MeasureError),
    "count": (
        lambda m, t: f.recall(np.eye(3), "a2i", 0),
        "E_MEASURE_THRESHOLD",
        MeasureError,
    ),
    "not a number": (
        lambda m, t: f.recall(np.full((3, 3), np.nan), "a2i"),
        "E_ARRAY_VALUES",
        ArrayError,
    ),
    "boxes": (lambda m, t: f.truths_from_boxes([[1, 2, 3]]), "E_ARRAY_SHAPE", ArrayError),
    "masks": (lambda m, t: f.truths_from_masks([[1, 2]]), "E_ARRAY_SHAPE", ArrayError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case: str, batch: Any) -> None:
    call, code, kind = REFUSED[case]
    with refused(code, kind=kind):
        call(*batch)


def test_an_undefined_value_is_nan(batch: Any) -> None:
    assert math.isnan(measures.type_gap(*batch, types=["A"] * 6))
    assert math.isnan(measures.swap_sensitivity(batch[0], list("abcdef")))
    empty = measures.mean_cIoU(np.zeros((1, 2, 2)), np.zeros((1, 224, 224)), dialect="sslalign")
    assert math.isnan(empty)


def test_importing_is_fast_and_starts_no_compiler() -> None:
    code = (
        "import sys, ssl_bench, ssl_bench.measures; dir(ssl_bench.measures);"
        "print(sorted({'numba', 'numpy', 'torch', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
