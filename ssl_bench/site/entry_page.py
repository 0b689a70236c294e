"""The page of one entry: where each number comes from, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ssl_bench.leaderboard.entry import Entry
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.formatting import position, value_of
from ssl_bench.scoring.results import MeasuredValue, ModelIdentity
from ssl_bench.site.board import Competition
from ssl_bench.site.commands import (
    contribution_command,
    evaluate_command,
    score_command,
    storage_note,
)
from ssl_bench.site.drawing import Scale, Strip, success_curve
from ssl_bench.site.gallery import gallery_pages
from ssl_bench.site.numbers import interval, percent, shown, signed
from ssl_bench.site.rows import is_pretrained, ranks_text

_GROUPINGS = {
    "n_boxes": "how many boxes",
    "n_objects": "how many objects",
    "n_sounding": "how many sound",
    "n_silent": "how many are silent",
    "n_capable": "how many could sound",
}
_LARGE_BREAKDOWN = 12


@dataclass(frozen=True)
class Line:
    """One line of a figure whose values share a scale.

    Attributes
    ----------
    kind
        What it stands for, which decides its colour.
    href
        Where its name leads, within the site; empty for nowhere.
    """

    kind: str
    name: str
    text: str
    interval: str
    strip: Strip
    href: str = ""
    note: str = ""


@dataclass(frozen=True)
class MeasureLine:
    """One measure of the result, with what it stands between."""

    measure: str
    title: str
    anchor: str
    better: str
    text: str
    interval: str
    floor: str
    ceiling: str
    share: str
    blind: str
    gap: str
    gap_interval: str


@dataclass(frozen=True)
class DialectLine:
    """The entry under one public evaluator."""

    name: str
    title: str
    measure: str
    text: str
    interval: str
    rank: int | None
    winners: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Breakdown:
    """The first measure by one grouping."""

    name: str
    lines: tuple[Line, ...]
    trials: tuple[int, ...]
    large: bool


def entry_content(competition: Competition, entry: Entry) -> dict[str, Any]:
    """What the template of an entry's page shows."""
    standing = competition.standings.get(entry.slug)
    group = () if standing is None else competition.ties.group_of(entry.slug)
    return {
        "entry": entry,
        "competition": competition,
        "standing": standing,
        "ranks": "" if standing is None else ranks_text(standing),
        "tied": [competition.entries[slug] for slug in group if slug != entry.slug],
        "pretrained": is_pretrained(entry.card),
        "measures": [_measure_line(entry, value) for value in entry.result.measures],
        "contribution": contribution_lines(competition, entry),
        "contribution_sentence": contribution_sentence(competition, entry),
        "curve": success_curve(entry.evidence.success_curve),
        "dialects": dialect_lines(competition, entry),
        "own_rank": None if standing is None else 1 + list(competition.entries).index(entry.slug),
        "best": competition.ranked[0] if competition.ranked else None,
        "breakdowns": [_breakdown(entry, name) for name in entry.result.breakdown],
        "gallery": gallery_pages(entry),
        "score_command": score_command(entry),
        "evaluate_command": evaluate_command(entry),
        "contribution_command": contribution_command(entry),
        "storage_note": storage_note(entry),
        "apart": competition.why_apart(entry),
        "provenance": provenance(entry),
        "stated": stated(entry),
        "parts": _parts(entry.result.model),
    }


def contribution_lines(competition: Competition, entry: Entry) -> list[Line]:
    """The first measure of the floor, of audio-blind maps, of the entry and of the ceiling.

    Priors stand best first.
    """
    measure = entry.headline.measure
    ends = position(entry.result, measure)
    found: list[tuple[str, str, MeasuredValue | None, str]] = [
        ("floor", "best trivial map", ends.floor, "")
    ]
    found += [
        ("blind", f"prior {prior.name}", prior.value, prior.href)
        for prior in _priors(competition, entry)
    ]
    found += [
        ("blind", "its own audio-blind map", ends.audio_blind, ""),
        ("entry", entry.card.name, entry.headline, ""),
        ("ceiling", "ceiling of the rule", ends.ceiling, ""),
    ]
    known = [(kind, name, value, href) for kind, name, value, href in found if value is not None]
    scale = Scale.of(value for _, _, value, _ in known)
    return [
        Line(
            kind,
            name,
            shown(value.value, measure),
            interval(value),
            scale.strip(value),
            href,
        )
        for kind, name, value, href in known
    ]


@dataclass(frozen=True)
class _Prior:
    name: str
    value: MeasuredValue
    reached: float
    href: str


def _priors(competition: Competition, entry: Entry) -> list[_Prior]:
    """What priors reach by the first measure, best first.

    They are those of the result, else entries of the priors that the protocol names.
    """
    measure = entry.headline.measure
    values = {prior.name: (value_of(prior.measures, measure), "") for prior in entry.result.priors}
    for name in competition.protocol.controls.priors:
        other = competition.entries.get(name)
        if other is not None and other.card.baseline == name and name != entry.slug:
            values.setdefault(name, (value_of(other.result.measures, measure), f"{name}.html"))
    found = [
        _Prior(name, value, value.value, href)
        for name, (value, href) in values.items()
        if value is not None and value.value is not None
    ]
    falls = parse_measure(measure).definition.better == "lower"
    return sorted(found, key=lambda prior: prior.reached if falls else -prior.reached)


def contribution_sentence(competition: Competition, entry: Entry) -> str:
    """What the sound adds to the first measure, and what the best prior reaches, in words."""
    if entry.result.vision_only is None and entry.card.modality != "audio-visual":
        return "This model does not listen, so nothing of its score needs the sound."
    text = _against_itself(entry)
    priors = _priors(competition, entry)
    if not priors or entry.headline.value is None:
        return text
    best, measure = priors[0], entry.headline.measure
    ahead = signed(entry.headline.value - best.reached, measure)
    return (
        f"{text} The best prior, {best.name}, reaches {shown(best.reached, measure)} by looking "
        f"alone; the difference to it is {ahead}."
    )


def _against_itself(entry: Entry) -> str:
    """How far the model's own audio-blind map falls behind, in words."""
    result = entry.result
    measure = entry.headline.measure
    if result.vision_only is None:
        note = result.vision_only_note
        return "No audio-blind map of this model was given" + (f": {note}." if note else ".")
    found = position(result, measure)
    gap, blind = found.gap, found.audio_blind
    if gap is None or gap.value is None or blind is None:
        return "The gap to the model's own audio-blind map is undefined."
    own, other = shown(entry.headline.value, measure), shown(blind.value, measure)
    between = f" (95 % interval {interval(gap)})" if interval(gap) else ""
    if gap.low is None or gap.high is None or gap.low <= 0 <= gap.high:
        return (
            f"The sound adds nothing to {measure} that can be told from zero: {own} with it, "
            f"{other} from the model's own audio-blind map on the same trials, a difference of "
            f"{signed(gap.value, measure)}{between}."
        )
    need = (
        f"Without the sound, {shown(gap.value, measure)} of {own} points of {measure} are lost"
        if gap.value > 0
        else f"With the sound, {measure} is {shown(-gap.value, measure)} lower than without"
    )
    return f"{need}{between}: its own audio-blind map reaches {other} on the same trials."


def dialect_lines(competition: Competition, entry: Entry) -> list[DialectLine]:
    """The entry under every public evaluator, its rank there, and who comes first."""
    held = {each.dialect: each for each in entry.evidence.dialects}
    found = []
    for name, (title, ranks) in competition.under_dialects.items():
        if name not in held:
            continue
        first = held[name].measures[0]
        found.append(
            DialectLine(
                name,
                title,
                first.measure,
                shown(first.value, first.measure),
                interval(first),
                ranks.get(entry.slug),
                tuple(slug for slug, rank in ranks.items() if rank == 1),
                held[name].digest,
            )
        )
    return found


def provenance(entry: Entry) -> list[tuple[str, str]]:
    """Digests and settings behind an entry's numbers, by name."""
    result = entry.result
    found = [
        ("protocol", f"{result.protocol.label}, version {result.protocol.version}"),
        ("protocol digest", entry.protocol_digest),
        ("dialect", result.protocol.dialect),
        ("composition seed", str(result.protocol.composition_seed)),
        ("test set", f"{result.test_set.name}, split {result.test_set.split}"),
        ("test set revision", result.test_set.revision or "no published one that is known here"),
        ("test set digest", result.test_set.digest),
        ("truth convention", result.test_set.truth_convention),
        ("predictions", _about(entry)),
        ("predictions digest", entry.predictions.sha256),
    ]
    if entry.vision_only is not None:
        found.append(("audio-blind maps digest", entry.vision_only.sha256))
    found.append(
        ("statistics", ", ".join(f"{name} {value}" for name, value in result.statistics.items()))
    )
    return found


def stated(entry: Entry) -> list[tuple[str, str]]:
    """What an entry says of the machine that scored it, which nobody can check, by name."""
    environment: Mapping[str, Any] = entry.result.environment
    libraries = environment.get("libraries")
    found = [
        (name.replace("_", "-"), "unknown" if value is None else str(value))
        for name, value in environment.items()
        if not isinstance(value, dict)
    ]
    if isinstance(libraries, dict):
        versions = ", ".join(f"{name} {version}" for name, version in libraries.items())
        found.append(("libraries", versions))
    return found


def _about(entry: Entry) -> str:
    reference = entry.predictions
    size = f"{reference.bytes:,} bytes"
    if reference.kind == "stored":
        return f"leaderboard/{reference.path}, {size}"
    if reference.kind == "address":
        return f"kept at {reference.address}, {size}"
    return f"made again by {reference.model} with seed {reference.seed}, {size}"


def _parts(model: ModelIdentity) -> list[tuple[str, list[tuple[str, str]]]]:
    """The models behind the maps, with what is known of each."""
    found = []
    for each in (model, *model.parts):
        facts = [
            (name, str(value))
            for name, value in (
                ("variant", each.variant),
                ("preset", each.preset),
                ("weights digest", each.weights_sha256),
                ("alpha", None if each.alpha is None else f"{each.alpha:g}"),
                ("seed", each.seed),
                *each.options.items(),
            )
            if value is not None
        ]
        found.append((each.name, facts))
    return found


def _measure_line(entry: Entry, value: MeasuredValue) -> MeasureLine:
    definition = parse_measure(value.measure).definition
    found = position(entry.result, value.measure)

    def written(other: MeasuredValue | None) -> str:
        return "" if other is None else shown(other.value, other.measure)

    return MeasureLine(
        measure=value.measure,
        title=definition.title,
        anchor=definition.name,
        better=definition.better,
        text=shown(value.value, value.measure),
        interval=interval(value),
        floor=written(found.floor),
        ceiling=written(found.ceiling),
        share=percent(found.share),
        blind=written(found.audio_blind),
        gap="" if found.gap is None else signed(found.gap.value, value.measure),
        gap_interval="" if found.gap is None else interval(found.gap),
    )


def _breakdown(entry: Entry, name: str) -> Breakdown:
    levels = entry.result.breakdown[name]
    measure = entry.headline.measure
    found = {
        level: value
        for level, values in levels.items()
        if (value := value_of(values, measure)) is not None
    }
    scale = Scale.of(found.values())
    lines = tuple(
        Line(
            "entry",
            level,
            shown(value.value, measure),
            interval(value),
            scale.strip(value),
        )
        for level, value in found.items()
    )
    counts = tuple(value.n_trials for value in found.values())
    title = _GROUPINGS.get(name, name.replace("_", " "))
    return Breakdown(title, lines, counts, len(lines) > _LARGE_BREAKDOWN)
