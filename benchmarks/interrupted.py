"""Kill evaluations on three executors at random moments: the next run goes on, to the same bytes.

Usage::

    python benchmarks/interrupted.py [--kills 60] [--seed 0] [--executor processes ...]

Each kill is of a process of its own that evaluates the small EZ-VSL in parts of 16 images: by a
signal (KILL, TERM, INT) after a random share of the time that it takes, or, every second time, once
a random number of parts is there; sent to the process, or, as a scheduler and a terminal do, to its
whole group. The same command runs again, and takes over the
parts that are there. Its predictions and scores must be those of a run that nothing disturbed, byte
for byte; five seconds after the kill no process of the run may be left (a minute after it, of
Ray's own), and in the end no part and no temporary file. A row for each executor says how many
kills hit, in how many the next run took parts over, and how many fell; the exit code is 1 if any
fell.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

EXECUTORS = {
    "local": "",
    "processes": "--workers 2",
    "ray": "--executor ray --workers 2",
}
IMAGES = 200
_FILES = ("predictions.npz", "vision_only.npz", "ogl-l1/predictions.npz", "scores.npz")
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_COMMAND = "evaluate --model ezvsl --protocol kills.toml --out run --parts parts --sheet 0"
_BATCH = 8
_TAKEN = re.compile(r"^([\d,]+) of ([\d,]+) parts are taken", re.MULTILINE)
# What a process inherits that belongs to a run.
_MARK = "SSL_BENCH_KILLED_RUN"
# Seconds; Ray's own agents take their time to notice that they are alone.
_PATIENCE, _PATIENCE_WITH_RAY = 5.0, 60.0

PROTOCOL = """\
name = "kills"
title = "Some trials"
version = 1
source = "none"
measures = ["cIoU@0.5", "AUC"]
[test_set]
name = "synth"
options = {{ count = {images} }}
[composition]
kind = "single"
[controls]
priors = ["ogl-l1"]
"""


def child(words: list[str]) -> None:
    """The command line, with parts of a few images."""
    # Until it heeds an interrupt, as while Python itself starts, that ends it.
    heeds = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ssl_bench.analysis.request import Request
    from ssl_bench.cli.main import main as main_of_cli
    from ssl_bench.engine.encode import EngineOptions

    made = Request.engine_options

    def small(self: Request, progress: Callable[[str, int, int], None]) -> EngineOptions:
        return replace(made(self, progress), part_size=2 * _BATCH)

    Request.engine_options = small  # type: ignore[method-assign]
    signal.signal(signal.SIGINT, heeds)
    main_of_cli(words)


class Started(Protocol):
    """What a process that runs the command can be asked."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def wait(self) -> int:
        """Its exit code, once it has ended."""


class Split:
    """A process that is split off from this one, and has all that this one has loaded."""

    def __init__(self, words: list[str], folder: Path, log: Path, settings: dict[str, str]) -> None:
        start = multiprocessing.get_context("fork").Process
        self._process = start(target=_split, args=(words, folder, log, settings))
        # An interrupt that comes at once waits until the process heeds it as a new one does.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.pid = int(self._process.pid or 0)

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.exitcode

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        self._process.join()
        return int(self._process.exitcode or 0)


def _split(words: list[str], folder: Path, log: Path, settings: dict[str, str]) -> None:
    """Run the command as a process does that is the head of a group of its own."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.setsid()
        os.chdir(folder)
        os.environ.update(settings)
        tempfile.tempdir = settings["TMPDIR"]
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (os.fdopen(each, "w", buffering=1) for each in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        child(words)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        os._exit(code)


@dataclass(frozen=True)
class Place:
    """Where the runs of one executor are: a folder each for the run, its parts and its rest.

    Where all is `loaded`, runs are split off from this process.
    """

    root: Path
    arguments: str
    images: int
    loaded: bool = False

    def start(self, name: str) -> Started:
        """Start the command in a folder, as the head of a group of its own."""
        folder = self.root / name
        for each in (folder, self.temporary):
            each.mkdir(exist_ok=True)
        (folder / "kills.toml").write_text(PROTOCOL.format(images=self.images))
        words = f"{_COMMAND} --batch-size {_BATCH} {self.arguments}".split()
        settings = {_MARK: str(self.root), "TMPDIR": str(self.temporary)}
        if self.loaded:
            return Split(words, folder, self.root / "log", settings)
        with (self.root / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), "--child", *words],
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | settings,
            )

    def run(self, name: str) -> tuple[int, str]:
        """Exit code and words of the command, which nothing disturbs."""
        code = self.start(name).wait()
        return code, (self.root / "log").read_text()

    def fresh(self, name: str) -> None:
        """Start without a run and without parts."""
        shutil.rmtree(self.root / name, ignore_errors=True)

    def made(self, name: str) -> dict[str, bytes]:
        """Files that must be the same after every run."""
        folder = self.root / name / "run"
        return {each: (folder / each).read_bytes() for each in _FILES if (folder / each).exists()}

    def left(self, name: str) -> list[str]:
        """What a finished run should not leave: parts, hidden files, temporary files."""
        folder = self.root / name
        found = [*folder.glob("parts/*"), *folder.rglob(".*"), *self.temporary.iterdir()]
        return [str(path) for path in found]

    def parts(self, name: str) -> int:
        """How many parts are there."""
        return len(list((self.root / name).glob("parts/*/*.npz")))

    @property
    def temporary(self) -> Path:
        """The folder for temporary files, of a name that is short enough for Ray's sockets."""
        return Path(tempfile.gettempdir()) / f"k{os.getpid():x}"


def processes_of(root: Path) -> list[str]:
    """Living processes of the runs below a folder: number and command."""
    mark = f"{_MARK}={root}".encode()
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and mark in (process / "environ").read_bytes().split(b"\0"):
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append(f"{process.name} {words[:80]}")
    return found


class Tried(NamedTuple):
    """One kill: how, whether it hit, how many parts the next run took, what was wrong."""

    how: str
    hit: bool
    taken: int
    wrong: str


class Calm(NamedTuple):
    """What a run makes that nothing disturbs, and how long it takes."""

    made: dict[str, bytes]
    seconds: float


def undisturbed(place: Place, times: int = 2) -> Calm:
    """The last of some runs that nothing disturbs; the first fills the cache."""
    for _ in range(times):
        place.fresh("calm")
        began = time.monotonic()
        code, said = place.run("calm")
        if code != 0:
            raise RuntimeError(said)
        seconds = time.monotonic() - began
    found = Calm(place.made("calm"), seconds)
    if len(found.made) != len(_FILES):
        raise RuntimeError(f"an undisturbed run made {', '.join(found.made)} only")
    return found


def tried(
    executor: str,
    kills: Iterable[int],
    seed: int,
    root: Path,
    *,
    images: int = IMAGES,
    calm: Calm | None = None,
    loaded: bool = False,
    patience: float = _PATIENCE,
) -> Iterator[Tried]:
    """Kill evaluations on one executor: after some time for even numbers, at some part for odd.

    Unless it is known what an undisturbed run makes, two show it, of which the first fills the
    cache. Where all is `loaded`, runs are split off from this process. After `patience` seconds no
    process may be left, or after a minute with Ray.
    """
    generator = random.Random(f"{seed} {executor}")
    place = Place(root.resolve(), EXECUTORS[executor], images, loaded)
    wanted, seconds = calm or undisturbed(place)
    for number in kills:
        place.fresh("killed")
        sent = generator.choice(_SIGNALS)
        share, group = generator.random(), generator.random() < 0.5
        parts = int(share * 2 * -(-images // (2 * _BATCH)))
        when = f"with {parts} parts" if number % 2 else f"after {share:.0%} of {seconds:.1f} s"
        how = f"{sent.name} to {'its group' if group else 'it'} {when}"
        process = place.start("killed")
        if number % 2:
            while process.poll() is None and place.parts("killed") < parts:
                time.sleep(0.01)
        else:
            time.sleep(share * seconds)
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(process.pid, sent)
        code = process.wait()
        wrong = []
        if code not in (0, -sent, 128 + sent):
            wrong.append(f"exit code {code}")
        log = (place.root / "log").read_text().rstrip()
        if "Traceback" in log and sent != signal.SIGKILL:
            wrong.append(f"a traceback: {log[-400:]}")
        until = time.monotonic() + (_PATIENCE_WITH_RAY if executor == "ray" else patience)
        while (living := processes_of(place.root)) and time.monotonic() < until:
            time.sleep(0.1)
        if living:
            wrong.append(f"still running: {', '.join(living)}")
        finished = place.made("killed") == wanted
        again, said = place.run("killed")
        if again != 0 and not (again == 2 and finished):  # what is finished is refused
            wrong.append(f"the next run fails: {said[-200:]}")
        if place.made("killed") != wanted:
            wrong.append("the next run gives other files")
        left = place.left("killed")
        if left:
            wrong.append(f"left over: {', '.join(left[:3])}")
            shutil.rmtree(place.temporary)
        taken = sum(int(found[1].replace(",", "")) for found in _TAKEN.finditer(said))
        yield Tried(how, code != 0, taken, "; ".join(wrong))
    shutil.rmtree(place.temporary)


def main() -> None:
    """Print the table, and what fell."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=60, help="of all executors together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--executor", action="append", choices=list(EXECUTORS))
    chosen = parser.parse_args()
    names = chosen.executor or list(EXECUTORS)
    from common import machine  # A child that is killed needs it not

    print(machine())
    head = f"{'executor':12}{'kills':>8}{'hit':>8}{'took over':>11}{'parts':>8}{'fell':>8}"
    print(f"{head}{'seconds':>10}")
    fell = 0
    for name in names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as root:
            found = list(tried(name, range(chosen.kills // len(names)), chosen.seed, Path(root)))
        wrong = [f"{name}, {each.how}: {each.wrong}" for each in found if each.wrong]
        hit, over = sum(each.hit for each in found), sum(each.taken > 0 for each in found)
        parts = sum(each.taken for each in found)
        row = f"{name:12}{len(found):>8}{hit:>8}{over:>11}{parts:>8}{len(wrong):>8}"
        print(f"{row}{time.monotonic() - began:>10.0f}", *wrong, sep="\n", flush=True)
        fell += len(wrong)
    sys.exit(bool(fell))


if __name__ == "__main__":
    main()
