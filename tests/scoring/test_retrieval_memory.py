"""Retrieval on as many clips as VGG-SS has stays far within 2 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Half of those of VGG-SS: a quarter of the pairs of a picture and a sound, which memory goes by.
CLIPS = 5158 // 2
MOST_BYTES = 80 * 10**6
"""Four times that, with the libraries, is a third of 2 GB: enough for blocks, too little for a copy
of the square in double precision beside them, which is 53 MB."""

# In a process of its own: the peak of this one would count whatever other tests needed.
SCRIPT = '''
import json
import sys
from pathlib import Path

import numpy as np
from standins import sample, trials_of

from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.predict import predict, predictions_meta
from ssl_bench.models.contract import Localizer
from ssl_bench.predictions import PredictionsWriter, open_predictions
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.run import score_file

kind, folder, clips = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])


class Waves(Localizer):
    """Embeds each input as a wave, shifted by what it sums to."""

    name = "waves"

    def embedded(self, inputs):
        rows = np.array([np.asarray(each).sum(dtype=np.int64) % 1009 for each in inputs])
        return {"embedding": np.sin(rows[:, None] + np.arange(512, dtype=np.float32))}

    def encode_image(self, images):
        return self.embedded(images)

    def encode_audio(self, sounds):
        return self.embedded([sound.samples for sound in sounds])

    def localize(self, image_features, audio_features):
        return np.zeros((len(image_features["embedding"]), 1, 1), np.float32)

    def similarity(self, image_features, audio_features):
        product = image_features["embedding"] @ audio_features["embedding"].T
        return product.astype(np.float32)


def memory(name):
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition(name + ":")[2].split()[0])


def scored(folder, clips):
    samples = [
        sample(f"c{number:04d}", category=f"category {number % 220}", group=f"video {number // 2}")
        for number in range(clips)
    ]
    trials = trials_of(samples, "retrieval", measures=load_protocol("retrieval").measures)
    if kind == "similarity":
        (written,) = predict(Waves(), [(trials, folder)], EngineOptions(batch_size=128))
        path = written.predictions
    else:
        path = folder / "predictions.npz"
        rng = np.random.default_rng(0)
        images, sounds = rng.normal(size=(2, clips, 512)).astype(np.float32)
        with PredictionsWriter(path, predictions_meta(Waves(), trials)) as writer:
            writer.add(trials.ids, image_embedding=images, audio_embedding=sounds)
    return path, score_file(path, trials).result


# What is loaded and compiled once does not count.
(folder / "few").mkdir()
scored(folder / "few", 64)
Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
before = memory("VmRSS")
path, result = scored(folder, clips)
told = {
    "members": sorted(open_predictions(path).members),
    "present": result.coverage.present,
    "gallery": result.statistics["gallery"],
    "measures": [value.value for value in result.measures],
    "grown": memory("VmHWM") - before,
}
print(json.dumps(told))
'''


def run(kind: str, folder: Path, clips: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind, str(folder), str(clips)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["similarity", "embedding"])
def test_all_clips_against_all_sounds_without_copies_of_the_square(
    kind: str, tmp_path: Path
) -> None:
    told = run(kind, tmp_path, CLIPS)
    assert any(kind in name for name in told["members"])
    assert told["present"] == told["gallery"] == CLIPS
    assert None not in told["measures"]
    assert told["grown"] < MOST_BYTES
