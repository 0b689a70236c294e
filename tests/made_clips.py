"""Small folders of VGG-SS and Flickr-SoundNet in the published formats, with figures known by hand.

Every clip has a picture of one grey level and a sound of that level, so that a model can tell by
arithmetic which picture a sound belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer

LOUDNESS = 100


def make_vggss(root: Path, count: int = 40) -> None:
    """Clips of half as many videos and of eight categories; each box is the middle quarter."""
    folder = root / "vggss"
    names = [
        f"clip{number % (count // 2):07d}_{number // (count // 2):06d}" for number in range(count)
    ]
    entries = [
        {"file": name, "class": f"category {number % 8}", "bbox": [[0.25, 0.25, 0.75, 0.75]]}
        for number, name in enumerate(names)
    ]
    _write_media(folder, names)
    (folder / "vggss.json").write_text(json.dumps(entries))


def make_flickr(root: Path, count: int = 12) -> None:
    """Clips with three boxes: two people drew the middle quarter, one its left half."""
    folder = root / "flickr"
    names = [f"99000000{number:02d}" for number in range(count)]
    _write_media(folder, names)
    (folder / "flickr_test.txt").write_text("\n".join(names) + "\n")
    (folder / "annotations").mkdir()
    tags = ("xmin", "ymin", "xmax", "ymax")
    drawn = "".join(
        "<bbox><ignored>1</ignored>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
        + "</bbox>"
        for box in [(64, 64, 192, 192), (64, 64, 192, 192), (64, 64, 128, 192)]
    )
    for name in names:
        path = folder / "annotations" / f"{name}.xml"
        path.write_text(f"<annotation><object>{drawn}</object></annotation>")


def _write_media(folder: Path, names: Sequence[str]) -> None:
    for part in ("frames", "audio"):
        (folder / part).mkdir(parents=True)
    for number, name in enumerate(names):
        level = 10 + 5 * number
        Image.new("RGB", (40, 30), (level,) * 3).save(folder / "frames" / f"{name}.png")
        samples = np.full((160, 1), LOUDNESS * level, np.int16)
        soundfile.write(folder / "audio" / f"{name}.wav", samples, 16000)


class LevelMatcher(Localizer):
    """Finds the half, or halves, of a picture whose grey level is that of the sound."""

    name = "level-matcher"

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        return {"sides": np.array([[_left(each), _left(each[:, ::-1])] for each in images])}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        # Noise has no level.
        levels = [
            each.samples.mean() / LOUDNESS if np.ptp(each.samples) == 0 else -1 for each in sounds
        ]
        return {"level": np.array(levels)[:, None]}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        apart = np.abs(image_features["sides"] - audio_features["level"])
        return (apart < 1).astype(np.float32)[:, None, :]


def _left(image: NDArray[np.uint8]) -> float:
    return float(image[:, : image.shape[1] // 2].mean())
