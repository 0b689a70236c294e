"""Read changed files of every kind: each is accepted, or refused by name, within bounds.

Usage::

    python benchmarks/fuzz.py [--inputs 450] [--seed 0] [--kind shards ...]
    python benchmarks/fuzz.py --kind shards --seed 0 --number 17 --keep DIR

Each input is read in a process that has 10 seconds of processor time and 1 GiB of memory beyond
what it starts with, and that is replaced where it dies. What a reader may do is to return, or to
raise an error of this project. A row for each kind says how many inputs did what; the exit code is
1 if any fell. An input is made again from kind, seed and number alone; the second form does so,
keeps the file, and shows the traceback.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from fuzz_changes import put_beside, put_something_else
from fuzz_kinds import Kind, kinds

from ssl_bench.errors import SslBenchError

OUTCOMES = ("accepted", "refused", "traceback", "hang", "memory", "died")
_FALLEN = OUTCOMES[2:]
_SECONDS = 10
_BLOCKED = 20  # seconds by the clock, for what waits without computing
_MEMORY = 2**30
_ADDRESSES = 8 * 2**30  # beyond those at the start: what is reserved need not be used
_MESSAGE = 20_000


class Outcome(NamedTuple):
    """What became of one input, and why."""

    number: int
    name: str
    reason: str = ""


class _Hang(BaseException):
    """Not an Exception, so that no reader takes it for a fault of the file."""


def put(kind: Kind, name: str, folder: Path, seed: int, number: int) -> Path:
    """Write one input, and what its reader needs beside, into a fresh folder; -1 is a valid one."""
    shutil.rmtree(folder, ignore_errors=True)
    path = folder / kind.file
    path.parent.mkdir(parents=True)
    kind.beside(path.parent)
    if number < 0:
        path.write_bytes(kind.contents[0])
        return path
    generator = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    content = kind.contents[int(generator.integers(len(kind.contents)))]
    chance = generator.random()
    if chance < 0.03:
        put_something_else(path, content, generator)
    elif chance < 0.2 and kind.in_folder:
        put_beside(path, content, generator)
    else:
        change = kind.changes[int(generator.integers(len(kind.changes)))]
        path.write_bytes(change(content, generator))
    return path


def _stop(*_: object) -> None:
    _set_timers(0, 0)  # the other one must not interrupt what is made of this
    raise _Hang


def _stop_waiting(*_: object) -> None:
    """End what waits; what computes on a busy machine has its processor time, and no less."""
    if signal.getitimer(signal.ITIMER_PROF)[0] > 0.99 * _SECONDS:
        _stop()
    signal.setitimer(signal.ITIMER_REAL, _BLOCKED)


def outcome(kind: Kind, path: Path, number: int) -> Outcome:
    """Read one input within bounds."""
    used = sum(os.times()[:2])
    # What computes without returning to Python ends the process.
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 2 * _SECONDS, resource.RLIM_INFINITY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        _set_timers(_SECONDS, _BLOCKED)
        found = _read(kind, path, number)
        _set_timers(0, 0)
    except _Hang:
        found = Outcome(number, "hang", traceback.format_exc())
    _set_timers(0, 0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if grown * 1024 > _MEMORY:
        found = Outcome(number, "memory", f"{found.name} with {grown / 2**20:.1f} GiB more")
    return found


def _set_timers(computing: float, waiting: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, computing)
    signal.setitimer(signal.ITIMER_REAL, waiting)


def _read(kind: Kind, path: Path, number: int) -> Outcome:
    try:
        kind.read(path)
    # Whatever else a reader raises is what is looked for.
    except Exception as error:
        reason = traceback.format_exc()
        # FFmpeg has one of its own for claims that it refuses.
        if any(type(each) is MemoryError for each in _chain(error)):
            return Outcome(number, "memory", reason)
        if not isinstance(error, SslBenchError):
            return Outcome(number, "traceback", reason)
        if len(str(error)) > _MESSAGE or not _printable(str(error)):
            return Outcome(number, "traceback", f"a message of {len(str(error))}: {error!r:.500}")
        return Outcome(number, "refused")
    return Outcome(number, "accepted")


def _printable(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _work(
    results: Connection, kind: Kind, name: str, seed: int, numbers: range, folder: Path
) -> None:
    signal.signal(signal.SIGPROF, _stop)
    signal.signal(signal.SIGALRM, _stop_waiting)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + _ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kind.read(put(kind, name, folder, seed, -1))  # and loads what is loaded late
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries write there as they like
    for number in numbers:
        path = put(kind, name, folder, seed, number)
        found = outcome(kind, path, number)
        results.send(found)
        if found.name == "memory":  # the most that was used never falls again
            return


def tried(kind: Kind, name: str, seed: int, numbers: range, folder: Path) -> Iterator[Outcome]:
    """What becomes of some inputs of one kind, in order; the last one stays in the folder."""
    context = multiprocessing.get_context("fork")
    while numbers:
        results, sender = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(sender, kind, name, seed, numbers, folder))
        worker.start()
        sender.close()
        found = None
        try:
            while results.poll(10 * _BLOCKED):
                yield results.recv()
                numbers = numbers[1:]
            worker.kill()
            found = Outcome(numbers[0], "hang", "it waited and could not be interrupted")
        except EOFError:
            pass
        worker.join()
        if worker.exitcode == 1:
            raise RuntimeError(f"an input of {name} could not be made, see above")
        if found is None and worker.exitcode:
            ended = "hang" if worker.exitcode == -signal.SIGXCPU else "died"
            found = Outcome(numbers[0], ended, f"exit code {worker.exitcode}")
        if found is not None:
            yield found
            numbers = numbers[1:]


def main() -> None:
    """Print the table, and what fell."""
    known = kinds()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=450, help="how many of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=sorted(known))
    parser.add_argument("--number", type=int, help="the one input to make again")
    parser.add_argument("--keep", type=Path, default=Path("fuzzed"), help="where it is kept")
    chosen = parser.parse_args()
    names = chosen.kind or list(known)
    if chosen.number is not None:
        numbers = range(chosen.number, chosen.number + 1)
        for name in names:
            for found in tried(known[name], name, chosen.seed, numbers, chosen.keep):
                print(f"{chosen.keep / known[name].file}: {found.name}\n{found.reason}")
        return
    print(f"{'kind':16}" + "".join(f"{head:>10}" for head in (*OUTCOMES, "seconds")))
    total: Counter[str] = Counter()
    fallen: list[str] = []
    began = perf_counter()
    for name in names:
        started = perf_counter()
        counts: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as place:
            numbers, folder = range(chosen.inputs), Path(place) / "input"
            for found in tried(known[name], name, chosen.seed, numbers, folder):
                counts[found.name] += 1
                if found.name in _FALLEN:
                    last = found.reason.strip().splitlines()[-1:] or [""]
                    fallen.append(f"{name}, number {found.number}: {found.name}: {last[0][:200]}")
        total += counts
        _print_row(name, counts, perf_counter() - started)
    _print_row("all", total, perf_counter() - began)
    for line in fallen:
        print(line)
    sys.exit(bool(fallen))


def _print_row(name: str, counts: Counter[str], seconds: float) -> None:
    row = "".join(f"{counts[each]:>10,}" for each in OUTCOMES)
    print(f"{name:16}{row}{seconds:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
