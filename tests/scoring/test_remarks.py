"""What a result says of itself: trials without truth, maps off the scale, changed conventions."""

from __future__ import annotations

import numpy as np
import pytest
from standins import boxes, protocol, sample, trials_of

from ssl_bench.cli.result_tables import coverage_sentence, result_tables
from ssl_bench.protocols.conventions import MapTable, ThresholdTable
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.scoring.run import score
from ssl_bench.trials.trial_set import TrialSet

AS_THEY_ARE = MapTable(size=8, normalisation="none")
ABSOLUTE = ThresholdTable(rule="absolute", value=0.35)
LEFT = np.tile(np.array([1.0, 0.0]), (2, 1))


def trials(**changes: object) -> TrialSet:
    samples = [sample("left"), sample("empty", boxes((0, 0, 0, 0)))]
    return trials_of(samples, **changes)


@pytest.mark.parametrize(
    ("measures", "text"),
    [
        (("cIoU@0.5", "AUC"), "1 without a truth pixel count as failures: empty."),
        (
            ("cIoU@0.5", "mIoU", "max-F"),
            "count as failures in cIoU@0.5; count by the share of pixels that is not predicted in "
            "mIoU; are left out in max-F: empty.",
        ),
    ],
)
def test_each_measure_says_what_it_does_without_a_truth_pixel(
    measures: tuple[str, ...], text: str
) -> None:
    result = score(np.stack([LEFT, LEFT]), trials(measures=measures)).result
    assert coverage_sentence(result).endswith(text)


def remarks(trials: TrialSet, *maps: np.ndarray) -> str:
    shown = result_tables(score(np.stack(maps), trials).result)
    return " ".join(part for part in shown if isinstance(part, str))


def test_maps_off_the_scale_of_an_absolute_threshold_are_counted() -> None:
    probabilities = trials(map=AS_THEY_ARE, threshold=ABSOLUTE)
    assert "2 maps hold values outside 0..1" in remarks(probabilities, 8 * LEFT - 4, LEFT + 1)
    assert "outside 0..1" not in remarks(probabilities, LEFT, LEFT)
    assert "1 maps hold" in remarks(probabilities, LEFT, LEFT - 0.01)


@pytest.mark.parametrize(
    "conventions",
    [
        {"threshold": ABSOLUTE},
        {"map": AS_THEY_ARE},
        {"map": AS_THEY_ARE, "threshold": ThresholdTable(rule="absolute", pooled=(0.1,))},
    ],
    ids=["scaled to 0..1", "another rule", "on the scale of one model"],
)
def test_other_conventions_have_no_scale(conventions: dict[str, object]) -> None:
    assert "outside 0..1" not in remarks(trials(**conventions), 8 * LEFT - 4, LEFT)


def test_a_changed_threshold_is_named_where_the_conventions_are() -> None:
    canonical = load_protocol("vggss")
    changed = canonical.model_copy(update={"threshold": ABSOLUTE})
    assert canonical.conventions == "canonical"
    assert changed.conventions == (
        "canonical but threshold.rule = absolute, threshold.value = 0.35"
    )
    under = canonical.under(load_dialect("acl"))
    assert under.conventions == "acl"
    table = under.threshold.model_copy(update={"value": 0.4})
    assert under.model_copy(update={"threshold": table}).conventions == (
        "acl but threshold.value = 0.4"
    )
    assert protocol(size=224).conventions == "canonical"
    named = load_protocol("multi-source")
    assert named.threshold.rule != "half"
    assert named.conventions == "canonical"


def test_the_heading_of_a_result_names_it() -> None:
    made = trials(threshold=ABSOLUTE)
    [title, *_] = result_tables(score(np.stack([LEFT, LEFT]), made).result)
    assert "threshold.value = 0.35" in str(title)
