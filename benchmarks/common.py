"""What the benchmarks share: invented annotations, timing, and tables in plain text."""

from __future__ import annotations

import io
import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.environment import environment
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.results import MeasuredValue, Result
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

VGGSS_ENTRIES = 5158
# Few clips of VGG-SS have more than two boxes.
_BOX_COUNTS = (0.70, 0.20, 0.07, 0.03)


def invent_vggss(folder: Path, entries: int, seed: int = 0) -> Path:
    """Write an annotation like that of VGG-SS into ``folder/vggss``; return the data folder.

    The truth covers about 31 % of a picture on average, as in the published annotation.
    """
    generator = np.random.default_rng(seed)
    content = []
    for number in range(entries):
        boxes = []
        for _ in range(1 + int(generator.choice(len(_BOX_COUNTS), p=_BOX_COUNTS))):
            width, height = generator.beta(2.0, 2.2, 2)
            left, top = generator.random(2) * (1 - np.array([width, height]))
            boxes.append([float(value) for value in (left, top, left + width, top + height)])
        name = f"video{number:06d}_{number % 300:06d}"
        content.append({"file": name, "class": f"class {number % 220}", "bbox": boxes})
    (folder / "vggss").mkdir(parents=True, exist_ok=True)
    (folder / "vggss" / "vggss.json").write_text(json.dumps(content))
    return folder


def invent_clips(data: Path, size: tuple[int, int], seed: int = 0) -> None:
    """Write a JPEG frame of that width and height, and a WAV of 10 s, for each entry of ``vggss``.

    Frames are coloured clouds with some grain, of which there are eight; sounds are tones in noise
    at 16 kHz, and all differ, since a sound that is known is not encoded again.
    """
    generator = np.random.default_rng(seed)
    frames, sounds = [], []
    for _ in range(8):
        clouds = generator.integers(0, 256, (9, 16, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(clouds).resize(size, Image.Resampling.BICUBIC))
        pixels = np.clip(smooth + generator.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=90)
        frames.append(stream.getvalue())
        moments = np.arange(160000) / 16000
        tones = sum(np.sin(2 * np.pi * pitch * moments) for pitch in generator.uniform(80, 6000, 8))
        loud = tones / 16 + generator.normal(0, 0.05, 160000)
        sounds.append((np.clip(loud, -1, 1) * 32767).astype(np.int16))
    folder = data / "vggss"
    for place in ("frames", "audio"):
        (folder / place).mkdir()
    for clip, entry in enumerate(json.loads((folder / "vggss.json").read_text())):
        (folder / "frames" / f"{entry['file']}.jpg").write_bytes(frames[clip % 8])
        samples = np.roll(sounds[clip % 8], 97 * clip)
        soundfile.write(folder / "audio" / f"{entry['file']}.wav", samples, 16000)


def invent_weights(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Write weights of the published EZ-VSL and of its object classifier, as they are initialised.

    Weights do not change what a pass costs.
    """
    import torch

    from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
    from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork

    torch.manual_seed(seed)
    files = folder / "ezvsl.pth", folder / "resnet18.pth"
    torch.save({"model": EZVSLNetwork(EZVSLArchitecture()).state_dict()}, files[0])
    torch.save(ClassifierNetwork(ClassifierArchitecture()).state_dict(), files[1])
    return files


def machine() -> str:
    """Processor and its number of cores, and versions of what computes."""
    facts = environment()
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    processor = names[0].partition(":")[2].strip() if names else facts["machine"]
    libraries = ", ".join(
        f"{name} {facts['libraries'][name]}" for name in ("torch", "numpy", "scipy", "pillow")
    )
    return f"{processor}, {os.cpu_count()} cores; Python {facts['python']}, {libraries}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def vggss_trials(data: Path) -> TrialSet:
    """Trials of the protocol ``vggss`` on an invented annotation."""
    return open_trials(load_protocol("vggss"), data)


def invent_maps(count: int, side: int, seed: int = 1) -> NDArray[np.float32]:
    """Maps ``(count, side, side)`` float32 of smooth noise, as networks give."""
    generator = np.random.default_rng([seed, side])
    return generator.normal(size=(count, side, side)).astype(np.float32)


def write_predictions(path: Path, trials: TrialSet, maps: NDArray[np.float32]) -> None:
    """Write maps as a complete predictions file for these trials."""
    trials.save(path, maps, model="invented")


def seconds_of(work: Callable[[], object], clock: Callable[[], float] = perf_counter) -> float:
    """Seconds of one call by a clock; by default those that a user waits."""
    started = clock()
    work()
    return clock() - started


def spread(values: Sequence[float], unit: str = "") -> str:
    """Median and range, such as ``0.31 s (0.30 to 0.35)``."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.3g}{unit} ({low:.3g} to {high:.3g})"


def print_rows(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a title and aligned rows of name and value."""
    print(f"\n{title}")
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")


def named_measures(result: Result) -> Iterator[tuple[str, MeasuredValue]]:
    """The measures of a result, and those of each type of trial, under ``type-ab B`` and so on."""
    protocol = result.protocol.name
    for value in result.measures:
        yield protocol, value
    for level, values in result.breakdown.get("type", {}).items():
        for value in values:
            yield f"{protocol} {level}", value


def encode_sound(
    path: Path, channels: NDArray[np.float32], codec: str, rate: int, **options: str
) -> None:
    """Write a sound ``(channels, n)`` of one or two channels in a compressed form."""
    import av

    layout = "mono" if len(channels) == 1 else "stereo"
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
        frame.sample_rate = rate
        queue = av.AudioFifo()
        queue.write(frame)
        stream.codec_context.open()
        size = stream.codec_context.frame_size or 1024
        while (piece := queue.read(size, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
