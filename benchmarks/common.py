"""What the benchmarks share: invented annotations, timing, and tables in plain text."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial import TrialSet

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
