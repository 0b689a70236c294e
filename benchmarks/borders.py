"""Whether the borders of things in `collage` tell which of them sounds.

A classifier is trained on the borders of things in scenes of ``train``, and asked in scenes of
``standard`` which thing sounds, where one sounds and others never do, and in ``two-source``, where
all candidates can sound. It is given the pixels up to three from the edge of each mask, in three
forms: as they are, which shows what colours a thing has; without colour, as sharpness, overshoot
and the course from inside to outside, which is what cutting out and pasting in can leave; and as
noise, in which compression and enlarging can be seen. Either it knows the things, as they are in
``train`` too, or it is asked about scenes of which it has never seen a thing, neither one that
sounds nor one that does not.

With ``--salient FILE`` it says instead how much the borders of salient things look like those of
what can sound, to a forest that has never seen them, and writes it into a table of them. Those
of at most 0.40 are not in the test set's own table.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.collage import sources
from ssl_bench.testsets.collage.testset import CollageTestSet
from ssl_bench.testsets.collage.world import RECIPE

REACH = 3
RINGS = 2 * REACH * 6
"""Numbers that describe the rings of a thing; those of noise follow."""


def rings(labels: NDArray[np.uint8], number: int) -> list[NDArray[np.bool_]]:
    """Pixels at each distance from the edge of one thing, the innermost first; no other thing's."""
    mask = labels == number
    inner, outer = [], []
    grown = shrunk = mask
    for _ in range(REACH):
        smaller, larger = _moved(shrunk, np.logical_and), _moved(grown, np.logical_or)
        inner.append(shrunk & ~smaller)
        outer.append(larger & ~grown & (labels == 0))
        shrunk, grown = smaller, larger
    return [*inner[::-1], *outer]


def _moved(mask: NDArray[np.bool_], join: np.ufunc) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    parts = [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2]]
    whole: NDArray[np.bool_] = join.reduce([*parts, padded[1:-1, 2:]])
    return whole


def features(image: NDArray[np.uint8], labels: NDArray[np.uint8], number: int) -> list[float]:
    """Mean and deviation of each ring, by channel."""
    facts: list[float] = []
    near = _around(labels == number)
    for ring in rings(labels[near], number):
        pixels = image[near][ring].astype(float)
        if not len(pixels):
            pixels = np.zeros((1, 3))
        facts += [*pixels.mean(axis=0), *pixels.std(axis=0)]
    return facts


def without_colour(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The course from the innermost to the outermost ring, and how much pixels vary."""
    means, deviations = np.split(rows.reshape(len(rows), 2 * REACH, 2, 3), 2, axis=2)
    grey, spread = means.mean(axis=3)[:, :, 0], deviations.mean(axis=3)[:, :, 0]
    contrast = grey[:, :1] - grey[:, -1:]
    course = (grey - grey[:, -1:]) / np.where(np.abs(contrast) < 8, np.inf, contrast)
    ratios = spread[:, 1:] / (spread[:, :-1] + 1)
    return np.concatenate([course[:, 1:-1], ratios], axis=1)


def noise(image: NDArray[np.uint8], labels: NDArray[np.uint8], number: int) -> list[float]:
    """How pixels differ from the mean of their neighbours, on both sides of the edge.

    Deviation, weight of the tails, likeness of neighbours and of channels; the last number
    compares the deviations of both sides.
    """
    near = _around(labels == number)
    bands = rings(labels[near], number)
    pixels = image[near].astype(float)
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    rest = pixels - windows.mean(axis=(3, 4))
    green = rest[..., 1]
    facts, deviations = [], []
    for band in (bands[:REACH], bands[REACH:]):
        inside = np.logical_or.reduce(band)
        values = green[inside]
        deviation = float(values.std()) + 1e-6 if len(values) else 1e-6
        pairs = [
            (green[:, :-1][both], green[:, 1:][both]) for both in [inside[:, :-1] & inside[:, 1:]]
        ]
        pairs += [(green[:-1][both], green[1:][both]) for both in [inside[:-1] & inside[1:]]]
        pairs += [(values, rest[..., channel][inside]) for channel in (0, 2)]
        tails = float(np.abs(values).mean()) / deviation if len(values) else 0.0
        facts += [deviation, tails, *(_likeness(one, other) for one, other in pairs)]
        deviations.append(deviation)
    return [*facts, float(np.log(deviations[0] / deviations[1]))]


def _likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale else 0.0


def _around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(rows[0] - REACH - 1, 0), rows[-1] + REACH + 2),
        slice(max(columns[0] - REACH - 1, 0), columns[-1] + REACH + 2),
    )


FORMS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "course and sharpness": lambda rows: without_colour(rows[:, :RINGS]),
    "noise": lambda rows: rows[:, RINGS:],
    "colours": lambda rows: rows[:, :RINGS],
}


class Borders(NamedTuple):
    """Borders of all candidates of some scenes.

    Attributes
    ----------
    rows
        Features of each candidate.
    things, roles
        What each candidate is, and whether it can sound, is a look-alike, or salient.
    scenes
        For each scene the rows of its candidates.
    heard
        For each scene the row of what sounds.
    """

    rows: NDArray[np.float64]
    things: NDArray[np.str_]
    roles: NDArray[np.str_]
    scenes: list[list[int]]
    heard: list[int]


def collect(test_set: CollageTestSet) -> Borders:
    """Borders in scenes in which one of several candidates sounds."""
    role_of = {each.category: each.role for each in test_set.world.sources.cutouts}
    rows: list[list[float]] = []
    things, scenes, heard = [], [], []
    for index, sample in enumerate(test_set.samples):
        objects = sample.attributes["objects"]
        sounding = [number for number, each in enumerate(objects) if each["sounding"]]
        candidates = range(len(objects))
        if test_set.split == "two-source":
            candidates = [n for n, each in enumerate(objects) if each["capable"]]
        if len(sounding) != 1 or len(candidates) < 2:
            continue
        image, labels = test_set.image(sample.id), test_set.labels(index)
        scenes.append([len(rows) + place for place in range(len(candidates))])
        heard.append(len(rows) + list(candidates).index(sounding[0]))
        for number in candidates:
            seen = (image, labels, number + 1)
            rows.append([*features(*seen), *noise(*seen)])
            things.append(objects[number]["category"])
    roles = np.array([role_of[each] for each in things])
    return Borders(np.array(rows), np.array(things), roles, scenes, heard)


class Answer(NamedTuple):
    """Share of questions that are answered rightly, its 95 % interval, and that of guessing."""

    found: float
    low: float
    high: float
    guess: float


def chances(
    known: Borders, asked: Borders, form: str, *, groups: int | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """How likely each candidate sounds, by a forest.

    With `groups`, scenes are asked about in so many groups, each by a forest that has seen none of
    their things.
    """
    change = FORMS[form]
    target = np.isin(np.arange(len(known.rows)), known.heard)
    learned, questions = change(known.rows), change(asked.rows)
    found = np.zeros(len(asked.rows))
    for group in range(groups or 1):
        rows = [row for scene in asked.scenes[group :: groups or 1] for row in scene]
        use = np.ones(len(target), np.bool_)
        if groups:
            use = ~np.isin(known.things, asked.things[rows])
        forest = RandomForestClassifier(60, min_samples_leaf=3, random_state=seed)
        found[rows] = forest.fit(learned[use], target[use]).predict_proba(questions[rows])[:, 1]
    return found


def rightly(asked: Borders, found: NDArray[np.float64]) -> Answer:
    """How often what sounds is taken for it."""
    right = [
        float(scene[int(found[scene].argmax())] == heard)
        for scene, heard in zip(asked.scenes, asked.heard, strict=True)
    ]
    guess = float(np.mean([1 / len(scene) for scene in asked.scenes]))
    return _answer(right, [set(asked.things[scene]) for scene in asked.scenes], guess)


def ahead_of(role: str, asked: Borders, found: NDArray[np.float64]) -> Answer:
    """How often what sounds is more likely than a silent thing of one role beside it."""
    pairs = [
        (heard, row)
        for scene, heard in zip(asked.scenes, asked.heard, strict=True)
        for row in scene
        if row != heard and asked.roles[row] == role
    ]
    right = [float(np.sign(found[one] - found[other]) + 1) / 2 for one, other in pairs]
    return _answer(right, [{asked.things[one], asked.things[other]} for one, other in pairs], 0.5)


def _answer(right: Sequence[float], shown: Sequence[set[str]], guess: float) -> Answer:
    """A mean with an interval that takes questions about one thing for dependent."""
    together = np.array([[bool(one & other) for other in shown] for one in shown], float)
    found = float(np.mean(right))
    apart = np.array(right) - found
    reach = 1.96 * float(np.sqrt(max(apart @ together @ apart, apart @ apart))) / len(right)
    return Answer(found, found - reach, found + reach, guess)


def likeness(table: Path, count: int, groups: int = 12) -> dict[str, float]:
    """How likely the borders of each salient thing of a table are to show what can sound.

    Means over scenes of ``train`` in which all of them stand, by forests that have seen neither
    the thing nor others of its group.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "collage"
        folder.mkdir()
        lines = (Path(sources.__file__).parent / "items.csv").read_text().splitlines()
        lines = [line for line in lines if not line.startswith("salient,")]
        with table.open(newline="") as stream:
            for row in csv.DictReader(stream):
                lines.append(f"salient,{row['category']},{row['path']},{row['sha256']}")
        (folder / "items.csv").write_text("\n".join(lines) + "\n")
        (folder / "collage.toml").write_text('items = "items.csv"\n')
        test_set = open_test_set("collage", "train", data=Path(name), options={"count": count})
        assert isinstance(test_set, CollageTestSet)
        shown = collect(test_set)
    use = shown.roles != "look-alike"
    rows, things, target = shown.rows[use], shown.things[use], shown.roles[use] == "seen"
    rows = np.concatenate([rows, without_colour(rows[:, :RINGS])], axis=1)
    names = np.unique(things)
    group = np.random.default_rng(0).permutation(len(names))[np.searchsorted(names, things)]
    found = np.zeros(len(rows))
    for number in range(groups):
        asked = group % groups == number
        forest = RandomForestClassifier(
            60, min_samples_leaf=5, class_weight="balanced", random_state=0
        )
        forest.fit(rows[~asked], target[~asked])
        found[asked] = forest.predict_proba(rows[asked])[:, 1]
    return {str(each): float(found[things == each].mean()) for each in np.unique(things[~target])}


def write_likeness(table: Path, count: int) -> None:
    """Measure all things of a table again."""
    found = likeness(table, count)
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "likeness": f"{found[row['category']]:.2f}"})


def measure(count: int, seed: int, groups: int = 20) -> dict[str, Answer]:
    """Answers to all questions, from so many scenes of each split of one seed."""
    collected = {}
    for split in ("train", "standard", "two-source"):
        test_set = open_test_set("collage", split, options={"count": count, "seed": seed})
        assert isinstance(test_set, CollageTestSet)
        collected[split] = collect(test_set)
    answers = {}
    for split in ("standard", "two-source"):
        asked = collected[split]
        for form in FORMS:
            for what, apart in (("known", None), ("unseen", groups)):
                found = chances(collected["train"], asked, form, groups=apart)
                answers[f"{split}, {form}, {what} things"] = rightly(asked, found)
                for role in ("look-alike", "salient") if split == "standard" else ():
                    name = f"{split}, {form}, {what} things, ahead of {role}"
                    answers[name] = ahead_of(role, asked, found)
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="scenes of each split")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes")
    parser.add_argument("--table", type=Path, help="write the answers to this CSV file, too")
    parser.add_argument("--salient", type=Path, help="measure the things of this table instead")
    given = parser.parse_args()
    if given.salient is not None:
        write_likeness(given.salient, given.count)
        return
    answers = measure(given.count, given.seed)
    for question, (share, low, high, guess) in answers.items():
        print(f"{question}: {share:.1%} [{low:.1%}, {high:.1%}], guessing {guess:.1%}", flush=True)
    if given.table is not None:
        with given.table.open("w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["recipe", "question", *Answer._fields])
            for question, answer in answers.items():
                writer.writerow([RECIPE, question, *(f"{each:.3f}" for each in answer)])


if __name__ == "__main__":
    main()
