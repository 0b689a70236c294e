"""Why two results differ: every fact that can change a number, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from ssl_bench.schemas import Document
from ssl_bench.scoring.results import ModelIdentity, Result, differing_fields

Weight = Literal["decides", "may matter", "rounding only"]
"""How much a difference can do to a score."""


class Cause(Document):
    """One fact in which two results differ.

    Attributes
    ----------
    field
        Which fact.
    before, after
        Its values, as text.
    weight
        How much it can do.
    meaning
        What follows from it, in one sentence.
    """

    field: str
    before: str
    after: str
    weight: Weight
    meaning: str


class MeasureChange(Document):
    """A measure that both results have."""

    measure: str
    before: float | None
    after: float | None


class Explanation(Document):
    """Why a score changed.

    Attributes
    ----------
    verdict
        One sentence.
    causes
        What differs, the weightiest first.
    measures
        Common measures, before and after.
    """

    verdict: str
    causes: tuple[Cause, ...]
    measures: tuple[MeasureChange, ...]


MEANINGS = {
    "protocol name": "another question is asked",
    "protocol version": "the protocol itself was changed",
    "protocol composition_seed": "other samples were put together",
    "protocol dialect": "another evaluator's conventions give another number for the same maps",
    "protocol digest": "something in the protocol file differs: measures, threshold, map handling "
    "or controls; the results do not record which",
    "test set name": "other images and sounds are asked about",
    "test set split": "other images and sounds are asked about",
    "test set revision": "the annotation was corrected",
    "test set options": "another part of it is used",
    "test set truth_convention": "annotations are turned into pixels in another way",
    "test set n_samples": "there are more or fewer samples",
    "test set digest": "ids or truth differ under the same name",
}
"""What follows from each field in which two questions differ."""

SETTINGS_MEANINGS: dict[str, tuple[Weight, str]] = {
    "composition": ("decides", "trials are put together in another way"),
    "truth": ("decides", "annotations are turned into pixels in another way"),
    "map": ("decides", "maps are resized or normalised in another way"),
    "threshold": ("decides", "other pixels count as predicted"),
    "measures": ("may matter", "other measures are reported; those in common are defined alike"),
    "controls": ("may matter", "other floors and priors are set beside it, its own score stays"),
}
"""How much each part of a protocol file can do, and what follows where it differs."""

_ORDER: tuple[Weight, ...] = ("decides", "may matter", "rounding only")


def explain(before: Result, after: Result) -> Explanation:
    """Say why two results differ, from what they record about themselves.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from ssl_bench.analysis.evaluation import evaluate
    >>> result = evaluate("center", "synth", folder=Path(mkdtemp())).result
    >>> explain(result, result).verdict
    'Nothing that is recorded differs, and no number does.'
    """
    causes = sorted(_causes(before, after), key=lambda cause: _ORDER.index(cause.weight))
    earlier = {value.measure: value.value for value in before.measures}
    measures = tuple(
        MeasureChange(measure=value.measure, before=earlier[value.measure], after=value.value)
        for value in after.measures
        if value.measure in earlier
    )
    changed = any(each.before != each.after for each in measures)
    return Explanation(
        verdict=_verdict(before, after, causes, changed),
        causes=tuple(causes),
        measures=measures,
    )


def _verdict(before: Result, after: Result, causes: list[Cause], changed: bool) -> str:
    deciding = [cause.field for cause in causes if cause.weight == "decides"]
    if not causes:
        return (
            "Nothing that is recorded differs, but numbers do: one of the files was altered."
            if changed
            else "Nothing that is recorded differs, and no number does."
        )
    if not changed:
        return "The common measures are equal, although some facts differ."
    same_maps = (
        before.predictions_sha256 is not None
        and before.predictions_sha256 == after.predictions_sha256
    )
    asked = [name for name in deciding if name in MEANINGS or _table_of(name)]
    if same_maps:
        reason = ", ".join(asked) or "the libraries that score"
        return f"The maps are the same, byte for byte; the scores differ because of {reason}."
    if asked:
        return (
            f"The two answer different questions ({', '.join(asked)}), so the change of score says "
            "nothing about the model."
        )
    if deciding:
        return f"The question is the same; the maps differ because of {', '.join(deciding)}."
    return (
        "Question, model, weights and preprocessing are the same; what is left is "
        f"{', '.join(cause.field for cause in causes)}."
    )


def _causes(before: Result, after: Result) -> Iterator[Cause]:
    yield from _of_question(before, after)
    yield from _of_model(before.model, after.model, "model")
    yield from _of_coverage(before, after)
    yield from _of_environment(before.environment, after.environment)


def _cause(field: str, before: Any, after: Any, weight: Weight, meaning: str) -> Iterator[Cause]:
    if before != after:
        yield Cause(
            field=field, before=_text(before), after=_text(after), weight=weight, meaning=meaning
        )


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _of_question(before: Result, after: Result) -> Iterator[Cause]:
    for field, later, earlier in differing_fields(before, after):
        weight, meaning = (
            SETTINGS_MEANINGS[table]
            if (table := _table_of(field))
            else ("decides", MEANINGS[field])
        )
        yield from _cause(field, earlier, later, weight, meaning)


def _table_of(field: str) -> str:
    """The part of a protocol file that a setting belongs to; empty for other fields."""
    part, _, place = field.partition(" ")
    table = place.partition(".")[0]
    return table if part == "protocol" and table in SETTINGS_MEANINGS else ""


def _of_model(before: ModelIdentity, after: ModelIdentity, place: str) -> Iterator[Cause]:
    rows: tuple[tuple[str, Any, Any, str], ...] = (
        (place, before.name, after.name, "another model made the maps"),
        (f"{place} variant", before.variant, after.variant, "another form of the model"),
        (
            f"{place} preprocessing",
            before.preset,
            after.preset,
            "images and sounds are prepared in another way",
        ),
        (
            f"{place} weights",
            _short(before.weights_sha256),
            _short(after.weights_sha256),
            "other weights: another training run, epoch or file",
        ),
        (f"{place} alpha", before.alpha, after.alpha, "the object prior has another share"),
        (f"{place} seed", before.seed, after.seed, "other random numbers"),
        (f"{place} options", before.options, after.options, "another setting of the model"),
    )
    for field, one, other, meaning in rows:
        yield from _cause(field, one, other, "decides", meaning)
    if len(before.parts) == len(after.parts):
        for number, (one, other) in enumerate(zip(before.parts, after.parts, strict=True), 1):
            yield from _of_model(one, other, f"{place} part {number}")
    else:
        yield from _cause(
            f"{place} parts",
            [part.name for part in before.parts],
            [part.name for part in after.parts],
            "decides",
            "it is made of other models",
        )


def _of_coverage(before: Result, after: Result) -> Iterator[Cause]:
    one, other = before.coverage, after.coverage
    yield from _cause(
        "partial scoring",
        one.partial,
        other.partial,
        "decides",
        "a partial result leaves trials out",
    )
    yield from _cause(
        "missing trials",
        len(one.missing),
        len(other.missing),
        "decides",
        "each missing trial counts as a failure",
    )


def _of_environment(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Cause]:
    for name in ("ssl_bench", "commit"):
        yield from _cause(
            f"{name.replace('_', '-')} {'version' if name == 'ssl_bench' else ''}".strip(),
            before.get(name),
            after.get(name),
            "may matter",
            "the code that localizes and scores differs; its change log says in what",
        )
    one, other = before.get("libraries", {}), after.get("libraries", {})
    for name in sorted({*one, *other}):
        yield from _cause(
            f"library {name}",
            one.get(name),
            other.get(name),
            "may matter",
            "libraries resize, decode and compute slightly differently from version to version",
        )
    for name in ("python", "machine", "system"):
        yield from _cause(
            name,
            before.get(name),
            after.get(name),
            "rounding only",
            "floating-point sums may be added in another order",
        )


def _short(digest: str | None) -> str | None:
    return None if digest is None else digest[:12]
