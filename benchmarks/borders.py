"""Whether the borders of things in `collage` tell which of them sounds.

A classifier is trained on the borders of things in scenes of ``train``, and asked in scenes of
``standard`` which thing sounds, where one sounds and others never do. It is given the pixels up to
three from the edge of each mask, in two forms: as they are, which shows what colour a thing has;
and without colour, as sharpness, overshoot and the course from inside to outside, which is what
cutting out and pasting in can leave. A third question is asked in ``two-source``, where all
candidates can sound.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.collage.testset import CollageTestSet

REACH = 3


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
    rows, columns = (np.flatnonzero((labels == number).any(axis=axis)) for axis in (1, 0))
    near = (
        slice(max(rows[0] - REACH - 1, 0), rows[-1] + REACH + 2),
        slice(max(columns[0] - REACH - 1, 0), columns[-1] + REACH + 2),
    )
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


def collect(test_set: CollageTestSet) -> tuple[NDArray[np.float64], list[list[int]], list[int]]:
    """Features of all candidates, the rows of each scene's, and which of them sounds."""
    rows: list[list[float]] = []
    scenes, heard = [], []
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
        rows += [features(image, labels, number + 1) for number in candidates]
    return np.array(rows), scenes, heard


def measure(count: int, seed: int = 0) -> dict[str, tuple[float, float, float, float]]:
    """Share of scenes that are answered rightly, its 95 % interval, and that of guessing."""
    found, collected = {}, {}
    for split in ("standard", "two-source"):
        parts = []
        for each in ("train", split):
            test_set = open_test_set("collage", each, options={"count": count})
            assert isinstance(test_set, CollageTestSet)
            parts.append(collected[each] if each in collected else collect(test_set))
            collected[each] = parts[-1]
        (known, known_scenes, known_heard), (asked, scenes, heard) = parts
        del known_scenes
        target = np.isin(np.arange(len(known)), known_heard)
        for form in ("colours", "without colours"):
            change = without_colour if form == "without colours" else lambda rows: rows
            forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=seed)
            chances = forest.fit(change(known), target).predict_proba(change(asked))[:, 1]
            right = np.array(
                [
                    rows[int(chances[rows].argmax())] == own
                    for rows, own in zip(scenes, heard, strict=True)
                ]
            )
            guess = float(np.mean([1 / len(rows) for rows in scenes]))
            rng = np.random.default_rng(seed)
            draws = rng.integers(0, len(right), (2000, len(right)))
            low, high = np.percentile(right[draws].mean(axis=1), [2.5, 97.5])
            found[f"{split}, {form}"] = (float(right.mean()), float(low), float(high), guess)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="scenes of each split")
    count = parser.parse_args().count
    for question, (share, low, high, guess) in measure(count).items():
        print(f"{question}: {share:.1%} [{low:.1%}, {high:.1%}], guessing {guess:.1%}")


if __name__ == "__main__":
    main()
