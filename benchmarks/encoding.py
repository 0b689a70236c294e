"""What is saved by encoding each distinct picture and sound once, on the protocol ``concat``.

Run ``python benchmarks/encoding.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from time import process_time

import numpy as np
import torch
from common import print_rows, seconds_of, spread
from numpy.typing import NDArray

from ssl_bench.engine.encode import EngineOptions, localize
from ssl_bench.engine.plan import Plan
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.ezvsl import EZVSL, EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.registry import load_baseline
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

Maps = dict[str, NDArray[np.float32]]


class Counting(Localizer):
    """Another localizer, and how many pictures and sounds it was given."""

    def __init__(self, inner: Localizer) -> None:
        self.name = inner.name
        self.passes: Counter[str] = Counter()
        self._inner = inner

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features of the other one; counts the pictures."""
        self.passes["pictures"] += len(images)
        return self._inner.encode_image(images)

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Features of the other one; counts the sounds."""
        self.passes["sounds"] += len(sounds)
        return self._inner.encode_audio(sounds)

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps of the other one."""
        return self._inner.localize(image_features, audio_features)


def small_ezvsl() -> EZVSL:
    """The small EZ-VSL of the embedded world, with random weights: they do not change its cost."""
    torch.manual_seed(0)
    variant = load_baseline("ezvsl").variant("synth")
    network = EZVSLNetwork(EZVSLArchitecture.model_validate(variant.architecture))
    return EZVSL(network, EmbeddingPreprocessing.model_validate(variant.preprocessing))


def encode_once(model: Localizer, trials: TrialSet, batch_size: int) -> Maps:
    """Maps by the engine."""
    maps: Maps = {}
    options = EngineOptions(batch_size=batch_size)
    for _, batch in localize(model, Plan([trials], [False], listens=True), options):
        maps.update(zip(batch.trial_ids, batch.maps, strict=True))
    return maps


def encode_each(model: Localizer, trials: TrialSet, batch_size: int) -> Maps:
    """Maps by a loop that takes trials as they come."""
    maps: Maps = {}
    for start in range(0, len(trials), batch_size):
        members = trials.trials[start : start + batch_size]
        pictures = model.encode_image([trials.image(trial.image) for trial in members])
        sounds = model.encode_audio([trials.waveform(trial.audio) for trial in members])
        found = model.localize(pictures, sounds)
        maps.update(zip([trial.id for trial in members], found, strict=True))
    return maps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = Counting(small_ezvsl())
    trials = open_trials(load_protocol("concat"))
    passes, maps = [], []
    for way in (encode_once, encode_each):  # also renders the embedded world into its cache
        model.passes.clear()
        maps.append(way(model, trials, given.batch_size))
        passes.append(dict(model.passes))
    worst = max(float(np.abs(maps[0][name] - maps[1][name]).max()) for name in trials.ids)
    if worst > 1e-3:
        sys.exit(f"the maps differ by {worst}")
    seconds = [
        [
            seconds_of(lambda way=way: way(model, trials, given.batch_size), process_time)
            for way in ways
        ]
        for ways in [(encode_once, encode_each)] * given.repeats
    ]
    once, each = zip(*seconds, strict=True)
    print_rows(
        f"{trials.protocol.label}: {len(trials)} trials, small EZ-VSL, {given.repeats} repetitions",
        [
            ("passes, encoding once", ", ".join(f"{n} {what}" for what, n in passes[0].items())),
            ("passes, trial by trial", ", ".join(f"{n} {what}" for what, n in passes[1].items())),
            ("processor seconds, encoding once", spread(once)),
            ("processor seconds, trial by trial", spread(each)),
            (
                "trial by trial against once",
                f"{statistics.median(b / a for a, b in seconds):.3g} x",
            ),
            ("largest difference between the maps", f"{worst:.1e}"),
        ],
    )


if __name__ == "__main__":
    main()
