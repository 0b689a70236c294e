"""Kill commands at random and at chosen moments: what is left is whole, and the next run heals.

Usage::

    python benchmarks/kills.py [--kills 4] [--seed 0] [--command train ...]

Each command runs on a small folder of its own, in a process that is killed: by a signal (KILL,
TERM, INT) after a random share of the time that it takes, or just before or after one of its calls
that move or remove a file. What is there then must be the old files or the new ones. The command
runs again: its files must be those of a run that nothing disturbed, byte for byte, but for the
seconds that a result states; nothing may be left over, and a board must pass its check. A row for
each command says how many kills hit, and how many fell; the exit code is 1 if any fell.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import invent_maps, invent_vggss, vggss_trials, write_predictions

from ssl_bench import files, score
from ssl_bench.cli.main import _COMMANDS
from ssl_bench.cli.main import main as main_of_cli
from ssl_bench.interchange.map_folder import map_file_stem
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.trials.compositions import open_trials

_CALLS = ("mkdir", "rename", "replace", "link", "unlink", "rmdir")
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def killed_everywhere(write: Callable[[], object]) -> Iterator[int]:
    """Run `write` in processes that die before and after each such call; yields after each.

    The caller looks at what is left, and puts it back as it was. Ends with the call that was not
    reached.
    """
    for number in itertools.count():
        for after in (False, True):
            if _ended(write, place=(number, after)) != _DIED:
                return
            yield number


_DIED = 9


def _ended(
    write: Callable[[], object],
    *,
    place: tuple[int, bool] | None = None,
    signalled: tuple[signal.Signals, float] | None = None,
) -> int:
    """Exit code of a process that runs `write`: killed at a call, or by a signal after seconds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if place is not None:
                _die_at(place[0], after=place[1])
            write()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        except KeyboardInterrupt:  # before the command line heeds it
            code = 128 + signal.SIGINT
        finally:
            os._exit(code)
    if signalled is not None:
        time.sleep(signalled[1])
        os.kill(child, signalled[0])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _die_at(number: int, *, after: bool) -> Iterator[int]:
    """Let this process die at a call; gives the counter of calls."""
    count = itertools.count()

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **settings: Any) -> Any:
            here = next(count) == number
            if here and not after:
                os._exit(_DIED)
            result = call(*arguments, **settings)
            if here:
                os._exit(_DIED)
            return result

        return called

    for name in _CALLS:
        setattr(os, name, dying(getattr(os, name)))
    files._exchange = dying(files._exchange)  # type: ignore[assignment]
    return count


def content(folder: Path) -> dict[str, bytes]:
    """Every plain file below a folder, by name; none that is hidden."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files.files_of(folder, ["**/*"])
    }


def hidden(folder: Path) -> list[str]:
    """Names of what is hidden below a folder, and beside it."""
    return sorted(path.name for path in folder.parent.rglob(".*"))


TINY = """\
name = "tiny"
title = "Twelve trials"
version = 1
source = "none"
measures = ["cIoU@0.5", "AUC"]
[test_set]
name = "synth"
options = { count = 12 }
[composition]
kind = "single"
"""


CARD = """\
slug = "mine"
name = "Mine"
authors = ["Ada Author"]
summary = "Noise."
paper = "none"
modality = "audio-visual"
preprocessing = "none"
licence = "CC0-1.0"
[pretraining]
image = "none"
audio = "none"
labels = "none"
[training]
data = "none"
overlap = "none"
"""
_FEW = "--change scenes=8 --change validation_scenes=8 --change epochs=2 --change batch=4"
_SUBMIT = "submit --protocol vggss --data data --board board --card card.toml --jobs 1"
_FIRST = f"{_SUBMIT} --new-board old.npz"
_TINY = "--protocol tiny.toml --out run"
# How often each command is killed; what ran before it; and the command.
COMMANDS = {
    "evaluate": (
        20,
        f"evaluate --model full --sheet 0 {_TINY}",
        f"evaluate --model center --sheet 0 --overwrite {_TINY}",
    ),
    "predict": (20, f"predict --model full {_TINY}", f"predict --model center --overwrite {_TINY}"),
    "train": (8, "", f"train --model ezvsl --data synth --seed 0 --out run {_FEW}"),
    "submit": (20, _FIRST, f"{_SUBMIT} --replace new.npz"),
    "build": (14, _FIRST, "leaderboard build --board board --data data --jobs 1"),
    "export": (20, "", "data export vggss --data data --out run/truth.json"),
    "import": (20, "", "import maps maps --model mine --protocol tiny.toml --out run/maps.npz"),
}
_TIMES = ("timings", "seconds", "examples_per_second", "first_examples_per_second")
_CHECK = "leaderboard check --board board --data data --jobs 1 --no-pages"


def make_inputs(folder: Path) -> None:
    """What the commands read: a protocol, an annotation, a card, predictions and maps."""
    (folder / "tiny.toml").write_text(TINY)
    (folder / "card.toml").write_text(CARD)
    trials = vggss_trials(invent_vggss(folder / "data", 8))
    for seed, name in enumerate(("old.npz", "new.npz")):
        write_predictions(folder / name, trials, invent_maps(len(trials), 7, seed))
    (folder / "maps").mkdir()
    for trial in open_trials(load_protocol(folder / "tiny.toml")):
        np.save(folder / "maps" / f"{map_file_stem(trial.id)}.npy", np.eye(7, dtype=np.float32))


def load_everything() -> None:
    """Import and compile what commands need, so that processes that are split off start at once."""
    for target, _ in _COMMANDS.values():
        importlib.import_module(f"ssl_bench.cli.{target.partition(':')[0]}")
    for name in ("ssl_bench.training.run", "lightning_fabric", "matplotlib.figure"):
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        trials = vggss_trials(invent_vggss(Path(folder), 8))
        score(invent_maps(len(trials), 7), trials)


def call(folder: Path, words: str) -> None:
    """Run a command in a folder, in a process of its own, with its log and its cache beside it."""
    os.chdir(folder)
    os.environ["SSL_BENCH_CACHE"] = str(folder.with_name("cache"))
    tempfile.tempdir = str(folder.with_name("temporary"))
    output = os.open(folder.with_name("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    main_of_cli(words.split())


def stated(folder: Path) -> dict[str, bytes]:
    """Files below a folder, without the seconds that documents state."""
    found = content(folder)
    for name, data in found.items():
        if name.endswith(("result.json", "training.json", "lock.json")):
            document = json.loads(data, object_hook=_without_times)
            found[name] = json.dumps(document).encode()
    return found


def _without_times(table: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in _TIMES}


class Tried(NamedTuple):
    """One kill: how, whether it hit, and what was wrong afterwards."""

    how: str
    hit: bool
    wrong: str


def tried(name: str, kills: int, seed: int, place: Path) -> Iterator[Tried]:
    """Kill one command again and again, in turn by a signal and at a call."""
    _, earlier, words = COMMANDS[name]
    generator = np.random.default_rng([seed, *name.encode()])
    start, log = place / "start", place / "log"
    temporary = place / "temporary"
    for folder in (start, temporary):
        folder.mkdir()
    make_inputs(start)

    def run(folder: Path, words: str = words, **kill: Any) -> int:
        return _ended(lambda: call(folder, words), **kill)

    if earlier and run(start, earlier) != 0:
        raise RuntimeError(log.read_text())

    def fresh(folder: str) -> Path:
        shutil.rmtree(place / folder, ignore_errors=True)
        return Path(shutil.copytree(start, place / folder))

    for _ in range(2):  # the first run fills the cache
        calm = fresh("calm")
        began = time.monotonic()
        if run(calm) != 0:
            raise RuntimeError(log.read_text())
        seconds = time.monotonic() - began
    before, wanted, theirs = stated(start), stated(calm), set(temporary.iterdir())
    again = fresh("calm")
    calls = _calls(lambda: call(again, words))
    for number in range(kills):
        folder = fresh("killed")
        if number % 2:
            at, after = int(generator.integers(calls)), bool(generator.integers(2))
            how = f"{'after' if after else 'before'} call {at} of {calls}"
            code = run(folder, place=(at, after))
        else:
            sent, share = _SIGNALS[int(generator.integers(3))], generator.random()
            how = f"{sent.name} after {share:.0%} of {seconds:.1f} s"
            code = run(folder, signalled=(sent, share * seconds))
        sudden = (_DIED, -signal.SIGKILL, -signal.SIGTERM)
        ends = (0, *sudden, 128 + signal.SIGTERM, 128 + signal.SIGINT)
        wrong = [] if code in ends else [f"exit code {code}"]
        there = stated(folder)
        if name != "train" and there not in (before, wanted):
            wrong.append("neither the old files nor the new ones")
        if run(folder) != 0 and there != wanted:  # what is finished may be refused
            wrong.append("the next run fails")
        if stated(folder) != wanted:
            wrong.append("the next run gives other files")
        left = [*hidden(folder / "run"), *map(str, {*temporary.iterdir()} - theirs)]
        if left:
            wrong.append(f"left over: {', '.join(left)}")
        if (folder / "board").exists() and run(folder, _CHECK) != 0:
            wrong.append("the board fails its check")
        yield Tried(how, code != 0, "; ".join(wrong))


def _calls(write: Callable[[], object]) -> int:
    """How many calls that move or remove a file a process makes that runs `write`."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        count = _die_at(-1, after=False)
        try:
            write()
        finally:
            os.write(theirs, str(next(count)).encode())
            os._exit(0)
    os.waitpid(child, 0)
    return int(os.read(ours, 20))


def main() -> None:
    """Print the table, and what fell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, help="how many of each command; 122 in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", action="append", choices=list(COMMANDS))
    chosen = parser.parse_args()
    load_everything()
    print(f"{'command':12}{'kills':>8}{'hit':>8}{'fell':>8}{'seconds':>10}")
    fell = 0
    for name in chosen.command or COMMANDS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            kills = chosen.kills or COMMANDS[name][0]
            found = list(tried(name, kills, chosen.seed, Path(place)))
        wrong = [f"{name}, {each.how}: {each.wrong}" for each in found if each.wrong]
        hit = sum(each.hit for each in found)
        row = f"{name:12}{len(found):>8}{hit:>8}{len(wrong):>8}{time.monotonic() - began:>10.0f}"
        print(row, *wrong, sep="\n", flush=True)
        fell += len(wrong)
    sys.exit(bool(fell))


if __name__ == "__main__":
    main()
