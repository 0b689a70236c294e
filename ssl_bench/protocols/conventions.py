"""How a map becomes a number: truth, grid, interpolation, normalisation, threshold."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from ssl_bench.errors import ProtocolError
from ssl_bench.schemas import Strict

Interpolation = Literal[
    "bilinear-corners",
    "bilinear-half-pixel",
    "bicubic-corners",
    "bicubic-half-pixel",
    "opencv-linear",
]
Normalisation = Literal["none", "minmax", "inverted-minmax", "maximum"]
TruthConvention = Literal["union", "consensus", "consensus-one-based", "annotator-mean", "mask"]
Rule = Literal["half", "adaptive", "absolute", "fraction"]
DatasetRule = Literal["universal", "first-of-batch"]
DATASET_RULES: tuple[str, ...] = get_args(DatasetRule)
"""Rules whose thresholds depend on other maps of the data set."""


def _is_none(value: object) -> bool:
    return value is None


# A choice that few dialects make; elsewhere it is left out, also of digests.
_RARE: Any = Field(default=None, exclude_if=_is_none)


class TruthTable(Strict):
    """Which truth: a named convention, or ``test-set`` for the one that the test set declares."""

    convention: TruthConvention | Literal["test-set"] = "test-set"


class MapTable(Strict):
    """How a submitted map of any size becomes a map on the grid.

    `interpolation_on` names test sets on which an evaluator interpolates otherwise, and
    `silent_interpolation` is how it interpolates maps of trials in which nothing sounds, where that
    differs. `crop` is the share of each side of a picture that counts, in its centre: of truth and
    map alike, before the map is normalised; of a composed picture, in each of its parts.
    """

    size: int = Field(default=224, ge=1, le=2048)
    interpolation: Interpolation = "bilinear-corners"
    interpolation_on: dict[str, Interpolation] = Field(default_factory=dict)
    silent_interpolation: Interpolation | None = _RARE
    normalisation: Normalisation = "minmax"
    crop: Annotated[float, Field(gt=0, lt=1)] | None = _RARE

    @property
    def whole_size(self) -> int:
        """Side of the grid of the whole picture, whose centre is the grid that is scored."""
        return self.size if self.crop is None else round(self.size / self.crop)


class ThresholdTable(Strict):
    """How a map on the grid becomes a binary prediction."""

    # ``half``: the order statistic s[N // 2] of the N ascending values. ``adaptive``: s[N - k], k
    # the number of truth pixels (it sees the truth). ``absolute``: `value` itself. ``fraction``:
    # `value` times the maximum. ``universal``: one threshold for all maps of a model, the quantile
    # `value` of the maxima of its maps where nothing sounds, over the trials that are set apart
    # for it. ``first-of-batch``: the threshold that ``half`` puts on the first of each `batch` of
    # trials, in the protocol's order, for all of them (`acl`).
    rule: Rule | DatasetRule = "half"
    value: float = 0.5  # For ``absolute``, ``fraction`` and ``universal``
    # Trials that share a threshold, for ``first-of-batch``.
    batch: Annotated[int, Field(ge=1, le=999_999_999)] | None = _RARE
    # Further absolute thresholds, under which a map counts once more each in the measures that
    # pool them (`vssl`).
    pooled: tuple[float, ...] | None = _RARE
    # A pixel is predicted if its value is ``>=`` or ``>`` the threshold.
    comparison: Literal[">=", ">"] = ">="
    # Pixels at the normalised maximum 1 are predicted even when the threshold is 1 (`lvs`).
    keep_maximum: bool = False
    # What an undefined cIoU (empty truth and empty prediction) counts as: ``zero``, or ``nan``: it
    # fails every success test and makes a mean undefined, as in the public evaluators.
    undefined: Literal["zero", "nan"] = "zero"

    @property
    def rule_of_map(self) -> Rule:
        """The rule, where it needs no more than the map and its truth; ProtocolError otherwise."""
        if self.rule == "universal" or self.rule == "first-of-batch":
            raise ProtocolError(
                f"the {self.rule} threshold depends on maps that were not given",
                code="E_THRESHOLD_RULE",
            )
        return self.rule


class ModelConstants(Strict):
    """What an evaluator sets for one model: fields of its threshold and map tables.

    `value` and `pooled` are on the scale of the evaluator, which is `scale` times the map as the
    model gives it, plus `offset`. The dialect's own interpolation holds where none is given.
    """

    value: float
    pooled: tuple[float, ...]
    scale: float = Field(default=1.0, gt=0)
    offset: float = 0.0
    interpolation: Interpolation | None = None
    interpolation_on: dict[str, Interpolation] = Field(default_factory=dict)

    def on_own_scale(self, threshold: float) -> float:
        """What a threshold of the evaluator is on the model's own scale."""
        return (threshold - self.offset) / self.scale
