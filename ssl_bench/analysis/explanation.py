"""Why two results differ: every fact that can change a number, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from ssl_bench.schemas import Document
from ssl_bench.scoring.results import ModelIdentity, Result, differing_fields

Weight = Literal["decides", "may matter", "rounding only"]
"""How much a difference can do to a score."""


class Cause(Document):
    """One fact in which two results differ: its values, how much it can do, and what it means."""

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
    """Why a score changed: all that differs, the most important first, and the common measures."""

    format: Literal["ssl-bench-explain/1"] = "ssl-bench-explain/1"
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
    "test set revision": "the truth is that of another annotation",
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
    "controls": (
        "may matter",
        "other trivial maps and priors are set beside it, its own score stays",
    ),
}
"""How much each part of a protocol file can do, and what follows where it differs."""

_ORDER: tuple[Weight, ...] = get_args(Weight)


def explain(before: Result, after: Result) -> Explanation:
    """Say why two results differ, from what they record about themselves."""
    causes = [
        Cause(
            field=field,
            before=_in_words(one),
            after=_in_words(other),
            weight=weight,
            meaning=meaning,
        )
        for field, one, other, weight, meaning in _facts(before, after)
        if one != other
    ]
    causes.sort(key=lambda cause: _ORDER.index(cause.weight))
    earlier = {value.measure: value.value for value in before.measures}
    measures = tuple(
        MeasureChange(measure=value.measure, before=earlier[value.measure], after=value.value)
        for value in after.measures
        if value.measure in earlier
    )
    changed = any(each.before != each.after for each in measures)
    return Explanation(
        verdict=_verdict(before, after, causes, changed), causes=tuple(causes), measures=measures
    )


def _in_words(value: object) -> str:
    """A fact as a table has it: settings as ``name=value``, and a dash for none."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_in_words(each)}" for key, each in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value)) or "-"
    return "-" if value is None else str(value)


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


# A field, its values before and after, how much it can do, and what follows where they differ.
_Fact = tuple[str, Any, Any, Weight, str]


def _facts(before: Result, after: Result) -> Iterator[_Fact]:
    for field, later, earlier in differing_fields(before, after):
        table = _table_of(field)
        weight, meaning = SETTINGS_MEANINGS[table] if table else ("decides", MEANINGS[field])
        yield field, earlier, later, weight, meaning
    yield from _of_model(before.model, after.model, "model")
    one, other = before.coverage, after.coverage
    meanings = ("a partial result leaves trials out", "each missing trial counts as a failure")
    yield "partial scoring", one.partial, other.partial, "decides", meanings[0]
    yield "missing trials", len(one.missing), len(other.missing), "decides", meanings[1]
    yield from _of_environment(before.environment, after.environment)


def _table_of(field: str) -> str:
    """The part of a protocol file that a setting belongs to; empty for other fields."""
    part, _, place = field.partition(" ")
    table = place.partition(".")[0]
    return table if part == "protocol" and table in SETTINGS_MEANINGS else ""


_MODEL_MEANINGS = {
    "variant": "another form of the model",
    "preset": "images and sounds are prepared in another way",
    "weights_sha256": "other weights: another training run, epoch or file",
    "alpha": "the object prior has another share",
    "seed": "other random numbers",
    "options": "another setting of the model",
}
_MODEL_FIELDS = {"preset": "preprocessing", "weights_sha256": "weights"}


def _of_model(before: ModelIdentity, after: ModelIdentity, place: str) -> Iterator[_Fact]:
    yield place, before.name, after.name, "decides", "another model made the maps"
    for name, meaning in _MODEL_MEANINGS.items():
        one, other = getattr(before, name), getattr(after, name)
        if name == "weights_sha256":
            one, other = (None if digest is None else digest[:12] for digest in (one, other))
        yield f"{place} {_MODEL_FIELDS.get(name, name)}", one, other, "decides", meaning
    if len(before.parts) == len(after.parts):
        for number, (part, later) in enumerate(zip(before.parts, after.parts, strict=True), 1):
            yield from _of_model(part, later, f"{place} part {number}")
    else:
        one, other = ([part.name for part in model.parts] for model in (before, after))
        yield f"{place} parts", one, other, "decides", "it is made of other models"


def _of_environment(before: dict[str, Any], after: dict[str, Any]) -> Iterator[_Fact]:
    meaning = "the code that localizes and scores differs; its change log says in what"
    for name, field in (("ssl_bench", "ssl-bench version"), ("commit", "commit")):
        yield field, before.get(name), after.get(name), "may matter", meaning
    one, other = before.get("libraries", {}), after.get("libraries", {})
    meaning = "libraries resize, decode and compute slightly differently from version to version"
    for name in sorted({*one, *other}):
        yield f"library {name}", one.get(name), other.get(name), "may matter", meaning
    meaning = "floating-point sums may be added in another order"
    for name in ("python", "machine", "system"):
        yield name, before.get(name), after.get(name), "rounding only", meaning
