"""How long ``ssl-bench data verify`` takes to decode what there is, by one process and by two.

Run ``python benchmarks/verify.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import soundfile
from common import VGGSS_ENTRIES, invent_vggss, print_rows
from numpy.typing import NDArray
from PIL import Image
from startup import COMMAND, Runs

# A sound in four is MP3 and one AAC, as films have it; the others are what training code reads.
_SOUNDS = ("wav", "mp3", "wav", "m4a")
_DIFFERENT = 8


def invent_frame(generator: np.random.Generator) -> bytes:
    """A JPEG frame of 640 x 360 pixels: coloured clouds with some grain."""
    clouds = generator.integers(0, 256, (9, 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(clouds).resize((640, 360), Image.Resampling.BICUBIC))
    pixels = np.clip(smooth + generator.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def invent_sound(kind: str, generator: np.random.Generator) -> bytes:
    """Ten seconds of tones in noise: 16 kHz mono as WAV, 44.1 kHz stereo as MP3 or AAC."""
    rate, channels = (16000, 1) if kind == "wav" else (44100, 2)
    moments = np.arange(10 * rate) / rate
    tones = sum(np.sin(2 * np.pi * pitch * moments) for pitch in generator.uniform(80, 6000, 8))
    noise = generator.normal(size=(len(moments), channels))
    samples = (np.clip(tones[:, None] / 16 + noise / 20, -1, 1) * 32767).astype(np.int16)
    stream = io.BytesIO()
    if kind != "m4a":
        soundfile.write(stream, samples, rate, format=kind)
        return stream.getvalue()
    with av.open(stream, "w", format="mp4") as container:
        track = container.add_stream("aac", rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "stereo")
        frame.sample_rate = rate
        for each in (frame, None):
            container.mux(track.encode(each))
    return stream.getvalue()


def invent_media(folder: Path, seed: int = 0) -> None:
    """Write a frame and a sound for each entry of an annotation, of a few different ones."""
    generator = np.random.default_rng(seed)
    frames = [invent_frame(generator) for _ in range(_DIFFERENT)]
    kinds = [_SOUNDS[number % len(_SOUNDS)] for number in range(_DIFFERENT)]
    sounds = [invent_sound(kind, generator) for kind in kinds]
    for place in ("frames", "audio"):
        (folder / place).mkdir()
    for clip, entry in enumerate(json.loads((folder / "vggss.json").read_text())):
        number = clip % _DIFFERENT
        (folder / "frames" / f"{entry['file']}.jpg").write_bytes(frames[number])
        (folder / "audio" / f"{entry['file']}.{kinds[number]}").write_bytes(sounds[number])


def decode_plainly(path: Path) -> NDArray[np.generic]:
    """Decode one file as a script would: Pillow, soundfile, PyAV."""
    if path.suffix == ".jpg":
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    if path.suffix == ".wav":
        samples: NDArray[np.generic] = soundfile.read(path, dtype="int16", always_2d=True)[0]
        return samples
    with av.open(path) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=VGGSS_ENTRIES // 5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--decode", type=Path, help="only decode the files of this folder")
    given = parser.parse_args()
    if given.decode is not None:
        for path in sorted(given.decode.glob("*/*.*")):
            decode_plainly(path)
        return
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name) / "cache"
        data = invent_vggss(folder, given.clips)
        invent_media(data / "vggss")
        plain = Runs(sys.executable, __file__, "--decode", data / "vggss")
        verify = [COMMAND, "data", "verify", "vggss", "--data", data, "--jobs"]
        one, two = (
            Runs(*verify, jobs, environment={"SSL_BENCH_CACHE": str(cache)}) for jobs in ("1", "2")
        )
        for _ in range(given.repeats):
            for runs in (plain, one, two):
                shutil.rmtree(cache, ignore_errors=True)  # else nothing is decoded again
                runs.run()

    def ratio(above: list[float], below: list[float]) -> str:
        return f"{statistics.median(a / b for a, b in zip(above, below, strict=True)):.3g} x"

    print_rows(
        f"A frame and a sound of {given.clips:,} clips, {given.repeats} repetitions",
        [
            plain.row("decoding in a plain loop"),
            one.row("data verify --jobs 1"),
            two.row("data verify --jobs 2"),
            ("--jobs 1 against the loop, processor", ratio(one.processor, plain.processor)),
            ("--jobs 2 against --jobs 1, processor", ratio(two.processor, one.processor)),
            ("--jobs 1 against --jobs 2, by the clock", ratio(one.wall, two.wall)),
        ],
    )


if __name__ == "__main__":
    main()
