"""A model's scores where its sounds, frames or maps are changed, beside those without a change.

Run ``python benchmarks/perturbed.py avobject --protocol concat --limit 100 --change frames-still``;
README.md beside it tells more. Nothing is trained.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from alone import alone
from common import machine, named_measures
from numpy.typing import NDArray
from scipy.stats import rankdata

from ssl_bench.analysis.evaluation import evaluate
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import AnnotationLocalizer, Features, Localizer
from ssl_bench.models.registry import load_localizer
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.conventions import Normalisation
from ssl_bench.scoring.results import Result
from ssl_bench.scoring.run import ScoringOptions, score
from ssl_bench.testsets.collage.testset import CollageTestSet
from ssl_bench.testsets.synth.testset import SynthTestSet
from ssl_bench.trials.trial_set import TrialSet

Map = NDArray[np.floating[Any]]

MADE = (SynthTestSet, CollageTestSet)
"""Test sets that are made by code, so that it is known how far things move."""

SMALLEST = 1e-12
"""What the logarithm takes smaller values for."""


def rolled(sound: Waveform) -> Waveform:
    """The sound half a second later, its end at its beginning."""
    return replace(sound, samples=np.roll(sound.samples, sound.rate // 2, axis=0))


def backwards(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frames ``(n, height, width, 3)`` from the last to the first."""
    return frames[::-1]


def still(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture in the middle, as often as there are frames."""
    return np.repeat(frames[len(frames) // 2][None], len(frames), axis=0)


def positive(heat: Map) -> Map:
    """The map itself; SystemExit where it has negative values."""
    if heat.min() < 0:
        raise SystemExit("a map has negative values, which have neither root nor logarithm")
    return heat


def ranks(heat: Map) -> Map:
    """Rank of each value among those of its map; equal values share the mean of theirs."""
    return np.asarray(rankdata(heat)).reshape(heat.shape)


SOUNDS: dict[str, Callable[[Waveform], Waveform]] = {"sounds-rolled": rolled}
FRAMES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "frames-reversed": backwards,
    "frames-still": still,
}
MAPS: dict[str, Callable[[Map], Map]] = {
    "maps-root": lambda heat: np.sqrt(positive(heat)),
    "maps-fourth-root": lambda heat: np.sqrt(np.sqrt(positive(heat))),
    "maps-log": lambda heat: np.log(np.maximum(positive(heat), SMALLEST)),
    "maps-ranks": ranks,
}
CHANGES = (*SOUNDS, *FRAMES, *MAPS)


class Perturbed(Localizer):
    """A localizer that is given other sounds or frames than those of the trials."""

    def __init__(self, model: Localizer, change: str) -> None:
        self.name = f"{model.name}-{change}"
        self.audio_blind = model.audio_blind
        self.video_input = model.video_input
        self._model = model
        self._sound = SOUNDS.get(change)
        self._frames = FRAMES.get(change)

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Encode images, or frames that are changed."""
        if self._frames is not None:
            images = [self._frames(frames) for frames in images]
        return self._model.encode_image(images)

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Encode sounds that are changed."""
        if self._sound is not None:
            sounds = [self._sound(sound) for sound in sounds]
        return self._model.encode_audio(sounds)

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps of the model."""
        return self._model.localize(image_features, audio_features)


def rescored(maps: Mapping[str, Map], trials: TrialSet, normalisation: str | None = None) -> Result:
    """The result of some maps by trial id, with another normalisation where one is named."""
    protocol = trials.protocol
    if normalisation is not None:
        table = protocol.map.model_copy(update={"normalisation": normalisation})
        protocol = protocol.model_copy(update={"map": table})
    options = ScoringOptions(partial=True)
    return score(dict(maps), trials, conventions=protocol, options=options).result


def in_words(result: Result) -> str:
    """Every measure in percent, also of each type of trial."""
    found = [(name, value) for name, value in named_measures(result) if value.value is not None]
    parts: dict[str, list[str]] = {name: [] for name, _ in found}
    for name, value in found:
        parts[name].append(f"{value.measure} {100 * (value.value or 0.0):.1f}")
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in parts.items())


def moved(trials: TrialSet, seconds: float = 0.1) -> tuple[float, float]:
    """Pixels by which silent and sounding things of a made world are elsewhere by then."""
    test_set = trials.test_set
    assert isinstance(test_set, MADE)
    world: Any = test_set.world
    far: dict[bool, list[float]] = {False: [], True: []}
    for index in range(test_set.count):
        scene = world.scene(test_set.split, index)
        ways = world.paths(scene, VideoInput(frames=3, rate=1 / seconds))[:, 2]
        for number, way in enumerate(ways):
            far[number in scene.sounding].append(float(np.hypot(*way)))
    return float(np.mean(far[False])), float(np.mean(far[True]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a baseline")
    parser.add_argument(
        "--change",
        nargs="+",
        required=True,
        choices=CHANGES,
        metavar="CHANGE",
        help=f"one or more of: {', '.join(CHANGES)}",
    )
    parser.add_argument("--protocol", default="synth", help="one or more, with commas between")
    parser.add_argument("--dialect", help="default: the project's own rules")
    parser.add_argument("--normalisation", choices=get_args(Normalisation), help="of all maps")
    parser.add_argument("--limit", type=int, help="answer the first so many images only")
    parser.add_argument("--variant", help="of the baseline")
    parser.add_argument("--weights", help="a weights file, in place of what ships")
    given = parser.parse_args()
    print(machine())
    model = load_localizer(given.model, variant=given.variant, weights=given.weights)
    inputs = [change for change in given.change if change not in MAPS]
    if inputs and isinstance(model, AnnotationLocalizer):
        parser.error(f"{given.model} is given neither sounds nor frames")
    if set(inputs) & set(FRAMES) and getattr(model, "video_input", None) is None:
        parser.error(f"{given.model} is given no frames")
    models: dict[str, Localizer | AnnotationLocalizer] = {"unchanged": model}
    if isinstance(model, Localizer):
        models |= {change: Perturbed(model, change) for change in inputs}
    for protocol in alone(given.protocol.split(",")):
        print(f"\n{given.model} on {protocol.label}")
        for name, each in models.items():
            with tempfile.TemporaryDirectory() as folder:
                done = evaluate(
                    each,
                    protocol,
                    dialect=given.dialect,
                    limit=given.limit,
                    folder=Path(folder) / "run",
                )
                stored = open_predictions(Path(folder) / "run" / "predictions.npz")
                maps = stored.maps_of(stored.trial_ids)
            shown = {name: maps}
            if name == "unchanged":
                changes = {change: MAPS[change] for change in given.change if change in MAPS}
                for change, of in changes.items():
                    shown[change] = {key: of(heat.astype(float)) for key, heat in maps.items()}
            for change, answers in shown.items():
                result = rescored(answers, done.trials, given.normalisation)
                print(f"  {change} ({len(answers)} trials): {in_words(result)}", flush=True)
        if set(inputs) & set(FRAMES) and isinstance(done.trials.test_set, MADE):
            silent, sounding = moved(done.trials)
            print(
                f"  0.1 s after the picture silent things are {silent:.1f} pixels away, "
                f"sounding ones {sounding:.1f}"
            )


if __name__ == "__main__":
    main()
