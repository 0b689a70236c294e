"""Measures in words: what each asks, its threshold rule, and every sign of its formula.

The command line and the page of measures show the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ssl_bench.measures.definition import RULES, Definition, Measure
from ssl_bench.protocols.conventions import ThresholdTable

USES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Where is the sound?",
        "One sound, one picture, and a box or mask of what makes the sound.",
        ("cIoU", "AUC", "mean-cIoU", "pointing", "mIoU", "max-F", "tau-AUC", "LocAcc"),
    ),
    (
        "Does the map follow the sound?",
        "The same picture with several sounds, or several things that could sound: a map that does "
        "not listen fails.",
        ("side-accuracy", "IIoU", "IAUC", "swap-sensitivity", "type-gap", "tile-NSA"),
    ),
    (
        "Is anything predicted where nothing sounds?",
        "Silence, noise, or the sound of something that is not in the picture.",
        ("pIA", "AUROC", "F-pos-neg", "AOC", "F-AUC-AOC", "NSA"),
    ),
    (
        "Is a sound source detected, and then found?",
        "Trials with and without a visible source, ordered by the model's confidence.",
        ("AP", "maxF1", "F1", "precision-all"),
    ),
    (
        "Several sources at once",
        "Scenes with several sounding objects, and maps for each.",
        ("scene-cIoU", "scene-AUC", "scene-NSA", "CAP", "PIAP", "class-AP", "class-IoU"),
    ),
    (
        "Which sound belongs to which picture?",
        "Retrieval: items are ordered by how well they fit, without any map.",
        ("recall", "category-recall", "median-rank", "mAP"),
    ),
    (
        "Only to compare with a public script",
        "What a script prints by mistake, or under another measure's name.",
        ("pooled-cIoU", "pooled-AUC"),
    ),
)
"""Questions, in the order in which a reader meets them, and the measures that answer each."""

RULE_WORDS = {
    "half": "The half rule: P is the brighter half of the picture, all pixels from the median of "
    "the map upwards. It knows nothing of the object, so a small object can only be found "
    "together with much else, and the ceiling is low.",
    "adaptive": "The adaptive rule: P has as many pixels as the truth, the highest of the map. It "
    "is told the object's size, so that only the place counts, and the ceiling is near 100 %.",
    "absolute": "The absolute rule: P holds the pixels that reach one fixed value, the same for "
    "all maps, after the map was brought to the protocol's scale. How high a map is counts.",
    "fraction": "The fraction rule: P holds the pixels that reach a fixed share of the map's own "
    "maximum.",
    "universal": "The universal rule: one threshold for all maps of a model, taken from its maps "
    "of trials in which nothing sounds.",
    "first-of-batch": "The threshold that the half rule gives the first map of a batch, for all "
    "maps of that batch.",
}
"""Threshold rules by name: how a map becomes the prediction P."""

_OWN_RULE = (
    "The protocol's own threshold rule; a variant in parentheses names another one. In most "
    "protocols it is the half rule: P is the brighter half of the picture."
)
CIOU = "sum(P G) / (sum(G) + #{P = 1, G = 0})"
"""Overlap of a prediction with the truth, by Senocak et al. 2018."""

PREDICTED: Mapping[str, str] = {
    "": "the prediction: 1 at the pixels that the protocol's threshold rule takes, else 0",
    "half": "the prediction: 1 at the half of the pixels where the map is highest, else 0",
    "adaptive": "the prediction: 1 at as many pixels as the truth has, where the map is highest, "
    "else 0",
    "absolute": "the prediction: 1 where the map, normalised as the protocol says, reaches the "
    "protocol's threshold, else 0",
    "fraction": "the prediction: 1 where the map reaches the fraction of its maximum that the "
    "protocol names, else 0",
}
"""What P is in a formula, under the rule of that name, or the protocol's own."""

TRUTH = (
    "the truth: 1 at the pixels of what sounds, 0 elsewhere, and between where annotators differ"
)
"""What G is in a formula."""

_SIGNS = (
    (r"\bhits?\b", "hit", "a detected trial in which something sounds, with enough cIoU"),
    (
        r"\bAUC\b",
        "AUC",
        "the area under the success rate of cIoU, as its threshold runs from 0 to 1",
    ),
    (r"\bAOC\b", "AOC", "the area under the share of silent trials whose pIA is at most t"),
    (r"\bIIoU\b", "IIoU", "the share of pictures in which every sound reaches the cIoU asked for"),
    (r"\bpIA\b", "pIA", "the share of the pixels that is predicted where nothing sounds"),
    (r"cIoU", "cIoU", f"{CIOU}, the consensus intersection over union of one trial"),
    (
        r"\bP\b|predicted",
        "P",
        PREDICTED[""],
    ),
    (
        r"\bG\b",
        "G",
        TRUTH,
    ),
    (r"sum\(", "sum", "over all pixels of the grid, 224 x 224 unless a protocol says otherwise"),
    (r"#", "#{...}", "how many of them there are"),
    (r"1\[", "1[...]", "1 where it holds, else 0"),
    (r"trapezoid", "trapezoid", "area under the straight lines between the points"),
)
SIGNS = {sign: words for _, sign, words in _SIGNS}
"""What signs in formulas stand for."""

# Formulas that say themselves which pixels of a map count.
_OWN_THRESHOLDS = re.compile(r"\{map|thresholds")


@dataclass(frozen=True)
class Explanation:
    """One measure in words.

    Attributes
    ----------
    measure
        Its text form.
    rule
        How its prediction comes about; empty where it has none.
    signs
        Each sign of the formula, with what it stands for.
    """

    measure: str
    title: str
    formula: str
    rule: str
    signs: tuple[tuple[str, str], ...]


def explain(measure: Measure) -> Explanation:
    """A measure in words, its numbers put in.

    Examples
    --------
    >>> from ssl_bench.measures.values import parse_measure
    >>> told = explain(parse_measure("cIoU(adaptive)@0.5"))
    >>> told.formula
    '1 if sum(P G) / (sum(G) + #{P = 1, G = 0}) >= 0.5, else 0'
    >>> told.rule.partition(":")[0]
    'The adaptive rule'
    """
    told = explain_kind(measure.definition)
    title, formula, number = told.title, told.formula, str(measure).rpartition("@")[2]
    if measure.threshold is not None:
        title = title.replace("the threshold", number).replace("the first K", f"the first {number}")
        formula = re.sub(r">= threshold\b", f">= {number}", formula).replace("<= K", f"<= {number}")
        formula = formula.partition("; the threshold is")[0]
    signs, rule = told.signs, told.rule
    if measure.variant in RULES:
        rule = RULE_WORDS[measure.variant]
        words = PREDICTED[measure.variant]
        signs = tuple((sign, words if sign == "P" else text) for sign, text in signs)
    return Explanation(str(measure), title, formula, rule, signs)


def explain_kind(definition: Definition) -> Explanation:
    """A kind of measure in words, whatever its variant and number."""
    signs: dict[str, str] = {}
    text = definition.formula
    for pattern, sign, words in _SIGNS:
        if sign != definition.name and re.search(pattern, text):
            signs[sign] = words
            text += f" {words}"
    is_cut = "P" in signs and not _OWN_THRESHOLDS.search(definition.formula)
    return Explanation(
        str(definition.facts()["form"]),
        definition.title,
        definition.formula,
        _OWN_RULE if is_cut else "",
        tuple(signs.items()),
    )


def threshold_words(table: ThresholdTable) -> str:
    """What a threshold table keeps of a map, short.

    Examples
    --------
    >>> threshold_words(ThresholdTable()), threshold_words(ThresholdTable(rule="fraction"))
    ('the brighter half', 'from 0.5 of the maximum up')
    """
    return {
        "half": "the brighter half",
        "adaptive": "as many pixels as the truth",
        "absolute": f"from the value {table.value:g} up",
        "fraction": f"from {table.value:g} of the maximum up",
        "universal": "from the model's own threshold up",
        "first-of-batch": "from the median of a batch's first map up",
    }[table.rule]


def by_use(names: Iterable[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Measures by what they are for; those of nobody's list come last."""
    left = dict.fromkeys(names)
    for title, about, held in USES:
        found = [name for name in held if name in left]
        for name in found:
            del left[name]
        if found:
            yield title, about, found
    if left:
        yield "Others", "", list(left)
