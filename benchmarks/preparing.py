"""How fast ``ssl-bench data prepare`` is against FFmpeg's own command on the same clips and cores.

Run ``python benchmarks/preparing.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import av
import numpy as np
from common import print_rows, spread
from PIL import Image

_DIFFERENT = 4
_COMMAND = [sys.executable, "-c", "from ssl_bench.cli import main; main()"]


def invent_video(path: Path, seconds: int, seed: int) -> None:
    """Moving clouds of 640 x 360 pixels, 25 a second, in H.264, with stereo AAC of 44.1 kHz."""
    generator = np.random.default_rng(seed)
    clouds = generator.integers(0, 256, (9, 16, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(clouds).resize((960, 360), Image.Resampling.BICUBIC))
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        pictures.width, pictures.height, pictures.pix_fmt = 640, 360, "yuv420p"
        sounds = container.add_stream("aac", rate=44_100, layout="stereo")
        for number in range(25 * seconds):
            moved = wide[:, number : number + 640].astype(np.int16)
            grain = generator.integers(-6, 7, (360, 640, 1), dtype=np.int16)
            pixels = np.clip(moved + grain, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(pictures.encode(frame))
        samples = generator.normal(0, 0.1, (2, 44_100 * seconds)).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        sound.sample_rate, sound.time_base = 44_100, Fraction(1, 44_100)
        container.mux(sounds.encode(sound))
        for each in (pictures, sounds):
            container.mux(each.encode(None))


def ours(clips: Path, target: Path, workers: int) -> None:
    """The command, as a process of its own."""
    words = ["data", "prepare", target, "--clips", clips, "--convention", "vggss"]
    command = [*_COMMAND, *map(str, words), "--jobs", str(workers)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def theirs(clips: Path, target: Path, workers: int, *, seek: bool) -> None:
    """FFmpeg once for each clip, one thread each, so many at a time; `seek`: to the key picture."""
    for place in ("frames", "audio"):
        (target / place).mkdir(parents=True)

    def cut(clip: Path) -> None:
        image = str(target / "frames" / f"{clip.stem}.jpg")
        sound = str(target / "audio" / f"{clip.stem}.wav")
        of_image = ["-vf", r"fps=25,select=eq(n\,125)", "-frames:v", "1", "-q:v", "2", image]
        of_sound = ["-vn", "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", sound]
        given = ["-threads", "1", "-i", str(clip)]
        if seek:
            of_image = ["-map", "1:v", "-frames:v", "1", "-q:v", "2", image]
            given += ["-threads", "1", "-ss", "5", "-i", str(clip)]
            of_sound = ["-map", "0:a", *of_sound]
        command = ["ffmpeg", "-v", "error", "-y", *given, *of_image, *of_sound]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(cut, sorted(clips.glob("*.mp4"))))


def measured(work: object, target: Path) -> tuple[float, float]:
    """Processor seconds of the processes that were started, and seconds by the clock."""
    shutil.rmtree(target, ignore_errors=True)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    work()  # type: ignore[operator]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, perf_counter() - started


def check(one: Path, other: Path, count: int) -> None:
    """Stop where the two ways did not make the same pictures and sounds."""
    for place in ("frames", "audio"):
        names = sorted(path.name for path in (one / place).iterdir())
        assert len(names) == count
        assert names == sorted(path.name for path in (other / place).iterdir())
    name = next((one / "frames").iterdir()).name
    pictures = [np.asarray(Image.open(each / "frames" / name), float) for each in (one, other)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 5


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        clips = root / "clips"
        clips.mkdir()
        for number in range(given.clips):
            path = clips / f"clip{number:06d}.mp4"
            if number < _DIFFERENT:
                invent_video(path, given.seconds, number)
            else:
                shutil.copy(clips / f"clip{number % _DIFFERENT:06d}.mp4", path)
        ways = {
            "ssl-bench": lambda: ours(clips, root / "ssl-bench", given.workers),
            "ffmpeg": lambda: theirs(clips, root / "ffmpeg", given.workers, seek=False),
            "ffmpeg -ss": lambda: theirs(clips, root / "ffmpeg -ss", given.workers, seek=True),
        }
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(given.repeats):
            for way, work in ways.items():
                found[way].append(measured(work, root / way))
        check(root / "ssl-bench", root / "ffmpeg", given.clips)
    rows = []
    for place, clock in enumerate(("processor", "clock")):
        for way, times in found.items():
            values = [given.clips / each[place] for each in times]
            rows.append((f"{way}, clips a second of the {clock}", spread(values)))
        for way in list(found)[1:]:
            pairs = zip(found[way], found["ssl-bench"], strict=True)
            ratios = [theirs[place] / own[place] for theirs, own in pairs]
            rows.append((f"throughput against {way}, by the {clock}", spread(ratios, " x")))
    print_rows(f"{given.clips} clips of {given.seconds} s, {given.workers} at a time", rows)


if __name__ == "__main__":
    main()
