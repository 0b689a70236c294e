"""The page of one entry: where each number comes from, and what it is worth."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ssl_bench.leaderboard.assessment import TrialScores
from ssl_bench.leaderboard.board import Competition, Entry
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.scoring.explain import threshold_words
from ssl_bench.scoring.formatting import grouping_title, position, value_of
from ssl_bench.scoring.hearing import hearing_sentence
from ssl_bench.scoring.results import MeasuredValue, ModelIdentity, Result
from ssl_bench.site.drawing import Scale, Strip, success_curve
from ssl_bench.site.gallery import KINDS, gallery_pages
from ssl_bench.site.rendering import interval, percent, shown
from ssl_bench.site.tables import is_pretrained, ranks_text

_LARGE_BREAKDOWN = 12

Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Line:
    """One line of a figure whose values share a scale.

    Attributes
    ----------
    kind
        What it stands for, which decides its colour.
    href
        Where its name leads, beside the entry's page; empty for nowhere.
    hearing
        What hearing adds to the value, where that is known.
    """

    kind: str
    name: str
    value: MeasuredValue
    strip: Strip
    href: str = ""
    hearing: MeasuredValue | None = None

    @property
    def text(self) -> str:
        """The value."""
        return shown(self.value.value, self.value.measure)

    @property
    def interval(self) -> str:
        """Its interval."""
        return interval(self.value)


def entry_content(competition: Competition, entry: Entry) -> dict[str, Any]:
    """What the template of an entry's page shows."""
    standing = competition.standings.get(entry.slug)
    group = () if standing is None else competition.ties.group_of(entry.slug)
    result = entry.result
    dialects = _dialects(competition, entry)
    best = competition.ranked[0] if competition.ranked else None
    return {
        "folder": competition.folder,
        "entry": entry,
        "competition": competition,
        "standing": standing,
        "ranks": "" if standing is None else ranks_text(standing),
        "tied": [competition.entries[slug] for slug in group if slug != entry.slug],
        "pretrained": is_pretrained(entry.card),
        "measures": [_measure_line(entry, value.measure) for value in result.measures],
        "contribution": contribution_lines(competition, entry),
        "hearing_sentence": hearing_sentence(result.hearing[0]) if result.hearing else "",
        "curve": success_curve(entry.evidence.success_curve, entry.evidence.reference_curves),
        "kinds": KINDS,
        "dialects": dialects,
        "others_first": sum(
            best is not None and best.slug not in each["winners"] for each in dialects
        ),
        "rule": threshold_words(competition.protocol.threshold),
        "listed": listed_trials(competition) is not None and entry.evidence.trials is not None,
        "own_rank": None if standing is None else 1 + list(competition.entries).index(entry.slug),
        "best": best,
        "breakdowns": [_breakdown(entry, name) for name in result.breakdown],
        "gallery": list(gallery_pages(competition, entry)),
        **_commands(entry),
        "storage_note": _storage_note(entry),
        "provenance": _provenance(entry),
        "environment": _environment(result.environment),
        "parts": [(each.name, _model_facts(each)) for each in (result.model, *result.model.parts)],
    }


def _lines(found: Iterable[tuple[str, str, MeasuredValue | None, str]]) -> list[Line]:
    known = [(kind, name, value, href) for kind, name, value, href in found if value is not None]
    scale = Scale.of(value for _, _, value, _ in known)
    return [Line(kind, name, value, scale.strip(value), href) for kind, name, value, href in known]


def contribution_lines(competition: Competition, entry: Entry) -> list[Line]:
    """The first measure of floor, priors (best first), audio-blind map, entry and ceiling."""
    found = position(entry.result, entry.headline.measure)
    return _lines(
        [
            ("floor", "best trivial map", found.floor, ""),
            *(("blind", f"prior {name}", *prior) for name, prior in _priors(competition, entry)),
            ("blind", "its own audio-blind map", found.audio_blind, ""),
            ("entry", entry.card.name, entry.headline, ""),
            ("ceiling", "ceiling of the rule", found.ceiling, ""),
        ]
    )


def _priors(competition: Competition, entry: Entry) -> list[tuple[str, tuple[MeasuredValue, str]]]:
    """What priors reach by the first measure and where their pages are, best first.

    They are those of the result, else entries of the priors that the protocol names.
    """
    measure = entry.headline.measure
    values = {prior.name: (value_of(prior.measures, measure), "") for prior in entry.result.priors}
    for name in competition.protocol.controls.priors:
        other = competition.entries.get(name)
        if other is not None and other.card.baseline == name and name != entry.slug:
            values.setdefault(name, (value_of(other.result.measures, measure), f"{name}.html"))
    known = [
        (name, (value, href))
        for name, (value, href) in values.items()
        if value is not None and value.value is not None
    ]
    sign = parse_measure(measure).sign
    return sorted(known, key=lambda prior: -sign * (prior[1][0].value or 0.0))


def _dialects(competition: Competition, entry: Entry) -> list[dict[str, Any]]:
    """The entry under every public evaluator, its rank there, and who comes first."""
    by_name = {each.dialect: each for each in entry.evidence.dialects}
    return [
        {
            "name": name,
            "title": title,
            "rule": threshold_words(load_dialect(name).threshold),
            "value": by_name[name].measures[0],
            "text": shown(by_name[name].measures[0].value, by_name[name].measures[0].measure),
            "interval": interval(by_name[name].measures[0]),
            "rank": ranks.get(entry.slug),
            "winners": [slug for slug, rank in ranks.items() if rank == 1],
            "digest": by_name[name].digest,
        }
        for name, (title, ranks) in competition.under_dialects.items()
        if name in by_name
    ]


def _measure_line(entry: Entry, measure: str) -> dict[str, str]:
    """One measure of the result, with what it stands between."""
    found = position(entry.result, measure)
    definition = parse_measure(measure).definition
    lacking = "\N{EN DASH}" if definition.won_by_failing else ""
    texts = {
        name: shown(value.value, measure, signed=name == "hearing")
        if value is not None
        else (lacking if name in ("without", "hearing") else "")
        for name, value in (
            ("text", found.value),
            ("floor", found.floor),
            ("ceiling", found.ceiling),
            ("blind", found.audio_blind),
            ("without", found.without_sound),
            ("hearing", found.adds),
        )
    }
    return {
        **texts,
        "measure": measure,
        "title": definition.title,
        "anchor": definition.name,
        "better": definition.better,
        "interval": interval(found.value),
        "share": percent(found.share),
        "best_without": found.best_without or "",
        "hearing_interval": interval(found.adds),
    }


def breakdown_lines(result: Result, name: str, measure: str) -> dict[str, Any]:
    """A measure by one grouping; `large` where it has many levels."""
    lines = _lines(
        ("entry", level, value_of(values, measure), "")
        for level, values in result.breakdown[name].items()
    )
    return {
        "name": grouping_title(name),
        "lines": lines,
        "large": len(lines) > _LARGE_BREAKDOWN,
    }


def _breakdown(entry: Entry, name: str) -> dict[str, Any]:
    """The first measure by one grouping, and what hearing adds."""
    found = breakdown_lines(entry.result, name, entry.headline.measure)
    hearing = entry.evidence.hearing_by.get(name, {})
    lines = [replace(line, hearing=hearing.get(line.name)) for line in found["lines"]]
    return {**found, "lines": lines}


def listed_trials(competition: Competition) -> TrialScores | None:
    """Names and categories of the trials that the pages of a protocol list; None for none."""
    found = (each.evidence.trials for each in competition.entries.values())
    return next((each for each in found if each is not None), None)


def trial_scripts(competition: Competition) -> Iterator[tuple[str, str]]:
    """Scripts that hold the scores of every trial, by path within the site.

    A page that is opened as a file can load a script, and nothing else.
    """
    shared = listed_trials(competition)
    if shared is None:
        return
    folder = f"entries/{competition.folder}"
    names = sorted(set(shared.categories))
    numbers = [names.index(category) for category in shared.categories]
    yield (
        f"{folder}/_trials.js",
        _script("Trials", {"trials": shared.trials, "names": names, "categories": numbers}),
    )
    for slug, entry in competition.entries.items():
        held = entry.evidence.trials
        if held is not None:
            without = [round(100 * value, 1) for value in held.without_sound]
            scores = {"scores": [round(100 * value, 1) for value in held.scores]}
            yield f"{folder}/{slug}.js", _script("Scores", {**scores, "without": without})


def _script(name: str, content: dict[str, Any]) -> str:
    return f"window.sslBench{name} = {json.dumps(content, separators=(',', ':'))};\n"


def _commands(entry: Entry) -> dict[str, str | None]:
    """Commands that compute an entry's numbers again; None where one cannot."""
    submission, protocol = entry.submission, entry.result.protocol.label
    listens = entry.card.modality == "audio-visual" and bool(entry.evidence.gallery)
    maps = f"leaderboard/{submission.path}/maps.npz" if submission.maps is not None else None
    if entry.url:
        maps = entry.url.rpartition("/")[2] or "predictions.npz"
    score = contribution = evaluate = None
    if maps is not None:
        score = ["score", maps, "--protocol", protocol]
        if submission.audio_blind is not None:
            score += ["--vision-only", f"leaderboard/{submission.path}/vision-only.npz"]
        contribution = ["contribution", "--predictions", maps, "--without"]
        contribution += ["silence=silence.npz", "--protocol", protocol]
    if entry.card.baseline is not None:
        model = entry.result.model
        options = ["--model", entry.card.baseline, "--protocol", protocol]
        for name, value in (
            ("--variant", model.variant),
            ("--alpha", None if model.alpha is None else f"{model.alpha:g}"),
            ("--seed", model.seed),
        ):
            options += [] if value is None else [name, str(value)]
        evaluate, contribution = ["evaluate", *options], ["contribution", *options]
    return {
        f"{name}_command": None if words is None else shlex.join(["ssl-bench", *words])
        for name, words in (
            ("score", score),
            ("evaluate", evaluate),
            ("contribution", contribution if listens else None),
        )
    }


def _storage_note(entry: Entry) -> str:
    """Which file the numbers are of, where the board keeps a reduced one; else nothing."""
    if entry.submission.maps is None:
        return ""
    stored = next((each.map for each in entry.evidence.gallery if each.map is not None), None)
    size = "Predictions" if stored is None else f"Maps of {stored.height}x{stored.width}"
    return (
        f"{size} are stored, and the numbers above are those of the stored file. Where a model "
        "makes larger ones, they score differently, small objects most."
    )


def _provenance(entry: Entry) -> Facts:
    """Digests and settings behind an entry's numbers, by name."""
    result, submission = entry.result, entry.submission
    protocol, test_set = result.protocol, result.test_set
    made = f"made again by {entry.card.baseline} with seed {getattr(submission.card, 'seed', 0)}"
    kept = f"kept at {entry.url}" if entry.url else made
    return [
        ("protocol", f"{protocol.label}, version {protocol.version}"),
        ("protocol digest", protocol.digest),
        ("dialect", protocol.dialect),
        ("composition seed", str(protocol.composition_seed)),
        ("test set", f"{test_set.name}, split {test_set.split}"),
        ("test set revision", test_set.revision or "no published one that is known here"),
        ("test set digest", test_set.digest),
        ("truth convention", test_set.truth_convention),
        ("predictions", kept if submission.maps is None else f"{submission.path}/maps.npz"),
        ("predictions digest", result.predictions_sha256 or ""),
        *(
            [("audio-blind maps digest", result.vision_only.predictions_sha256 or "")]
            if result.vision_only is not None
            else []
        ),
        ("statistics", ", ".join(f"{name} {value}" for name, value in result.statistics.items())),
    ]


def _environment(stated: dict[str, Any]) -> Facts:
    """Versions that an entry was scored with, by name."""
    return [
        (
            name.replace("_", "-"),
            ", ".join(f"{key} {version}" for key, version in value.items())
            if isinstance(value, dict)
            else str(value or "unknown"),
        )
        for name, value in stated.items()
    ]


def _model_facts(model: ModelIdentity) -> Facts:
    facts = (
        ("variant", model.variant),
        ("preset", model.preset),
        ("weights digest", model.weights_sha256),
        ("alpha", None if model.alpha is None else f"{model.alpha:g}"),
        ("seed", model.seed),
        *model.options.items(),
    )
    return [(name, str(value)) for name, value in facts if value is not None]
