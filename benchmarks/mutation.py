"""Mutation testing: change one expression at a time, and see whether a test notices.

    python benchmarks/mutation.py --count 80 --seed 0 --jobs 2

draws `count` mutants at random over the modules that make numbers (``AREAS``), each with equal
chances for its areas, and tries each in a copy of the checkout: first the module's examples and the
tests that import it, then the others of its area, up to the first that fails. What lives is either
a missing test or no change at all; ``benchmarks/mutation.csv`` lists the latter with the reason,
and the share of killed ones is printed without them. Not part of the test suite: 80 mutants take
about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from linecache import getline
from multiprocessing import connection, get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXPLAINED = Path(__file__).with_name("mutation.csv")
AREAS: dict[str, tuple[str, ...]] = {
    "measures": ("tests/measures", "tests/scoring"),
    "scoring": ("tests/scoring",),
    "statistics": ("tests/statistics",),
    "trials/compositions": ("tests/trials",),
    "engine": ("tests/engine",),
}
LIBRARIES = (
    "hypothesis",
    "numba",
    "pandas",
    "pyarrow",
    "pydantic",
    "scipy.stats",
    "sklearn",
    "torch",
)
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.Mod: "//",
    ast.Pow: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
}
NAMES = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "floor": "ceil",
    "argmax": "argmin",
}


@dataclass(frozen=True)
class Mutant:
    """One change: characters `start` to `end` of a file become `text`."""

    area: str
    path: str
    line: int
    start: int
    end: int
    text: str
    shown: str  # the changed expression before and after


def candidates(area: str, path: Path) -> Iterator[Mutant]:
    """Every change that is tried in one file."""
    source = path.read_text(encoding="utf-8")
    starts = [0]
    for text in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(text.encode()))
    encoded = source.encode()

    def place(node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            starts[node.lineno - 1] + node.col_offset,
            starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def mutant(node: ast.expr, start: int, end: int, text: str) -> Mutant:
        first, last = place(node)
        before = " ".join(encoded[first:last].decode().split())
        changed = encoded[first:start] + text.encode() + encoded[end:last]
        after = " ".join(changed.decode().split())
        name = path.relative_to(ROOT).as_posix()
        return Mutant(area, name, node.lineno, start, end, text, f"{before}  ->  {after}")

    def between(left: ast.expr, right: ast.expr, old: str) -> tuple[int, int] | None:
        """Where the operator stands between its operands."""
        start, end = place(left)[1], place(right)[0]
        found = encoded[start:end].find(old.encode())
        return None if found < 0 else (start + found, start + found + len(old))

    for node in expressions(ast.parse(source)):
        first, last = place(node)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            kind = type(node.ops[0])
            where = between(node.left, node.comparators[0], spelled(kind))
            if where:
                yield mutant(node, *where, COMPARISONS[kind])
        elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            where = between(node.left, node.right, spelled(type(node.op)))
            if where:
                yield mutant(node, *where, OPERATORS[type(node.op)])
        elif isinstance(node, ast.BoolOp):
            old_text, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            where = between(node.values[0], node.values[1], old_text)
            if where:
                yield mutant(node, *where, new)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert | ast.USub):
            yield mutant(node, first, first + (3 if isinstance(node.op, ast.Not) else 1), "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield mutant(node, first, last, str(not node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield mutant(node, first, last, repr(node.value + 1))
        elif isinstance(node, ast.IfExp):
            yield mutant(node, first, last, encoded[slice(*place(node.orelse))].decode())
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield mutant(node, first, last, NAMES[node.id])
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield mutant(node, last - len(node.attr), last, NAMES[node.attr])


def spelled(kind: type[ast.AST]) -> str:
    """How an operator is written."""
    shown = {
        ast.Lt: "<",
        ast.LtE: "<=",
        ast.Gt: ">",
        ast.GtE: ">=",
        ast.Eq: "==",
        ast.NotEq: "!=",
        ast.Is: "is",
        ast.IsNot: "is not",
        ast.In: "in",
        ast.NotIn: "not in",
        ast.Add: "+",
        ast.Sub: "-",
        ast.Mult: "*",
        ast.Div: "/",
        ast.FloorDiv: "//",
        ast.Mod: "%",
        ast.Pow: "**",
        ast.BitAnd: "&",
        ast.BitOr: "|",
    }
    return shown[kind]


def expressions(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions that decide something.

    No annotations, messages, texts or decorators, and no keywords that only guard or describe.
    """
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or isinstance(node, ast.Raise | ast.JoinedStr):
                continue
            if isinstance(node, ast.keyword) and node.arg in {"repr", "strict"}:
                continue
            if isinstance(node, ast.expr):
                yield node
            yield from expressions(node)


def drawn(count: int, seed: int) -> list[Mutant]:
    """`count` mutants, as many from each area as from any other."""
    rng = random.Random(seed)
    chosen: list[Mutant] = []
    for number, area in enumerate(AREAS):
        files = sorted((ROOT / "ssl_bench" / area).rglob("*.py"))
        pool = [each for path in files for each in candidates(area, path)]
        share = count // len(AREAS) + (number < count % len(AREAS))
        chosen += rng.sample(pool, min(share, len(pool)))
    return chosen


def copy_of_checkout(folder: Path) -> Path:
    """Copy the tracked files, and what numba has compiled of them, with their times."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    compiled = [str(path.relative_to(ROOT)) for path in (ROOT / "ssl_bench").rglob("*.nb?")]
    for name in (*tracked, *compiled):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def load_libraries() -> None:
    """Import what tests import, all but the package: forked processes need not do it again."""
    for name in LIBRARIES:
        importlib.import_module(name)


def stages(mutant: Mutant) -> list[list[str]]:
    """Arguments of pytest: the module's examples and tests that name or import it; the others."""
    path = Path(mutant.path)
    folders = AREAS[mutant.area]
    imported = f"from {'.'.join(path.with_suffix('').parts)} import"
    tests = sorted(test for name in folders for test in Path(name).rglob("test_*.py"))
    named = [test for test in tests if path.stem in test.stem]
    importing = [test for test in tests if imported in test.read_text(encoding="utf-8")]
    own = list(dict.fromkeys(map(str, (*named, *importing))))
    return [[mutant.path, *own], [*folders, *(f"--ignore={test}" for test in own)]]


def run_tests(copy: Path, mutant: Mutant | None, tests: list[list[str]], log: Path) -> None:
    """In a process of its own: run lists of tests in turn, and exit with 1 if any fails."""
    import numba
    import pytest

    os.chdir(copy)
    with log.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.path[:] = [str(copy), *(each for each in sys.path if Path(each or ".") != ROOT)]
    os.environ |= {"PYTHONPATH": str(copy), "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"}
    if mutant is not None:
        # What is compiled of the mutant must not be found by another.
        sys.dont_write_bytecode = True
        if "numba" in (copy / mutant.path).read_text(encoding="utf-8"):
            numba.config.CACHE_DIR = f"{log}-numba"
    os.setsid()
    for arguments in tests:
        # Hypothesis refuses to run a test twice in one process.
        child = os.fork()
        if child == 0:
            options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={log}-tmp"]
            code = pytest.main([*options, *arguments])
            os._exit(code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})
        if os.waitpid(child, 0)[1]:
            os._exit(1)
    os._exit(0)


def change(copy: Path, mutant: Mutant) -> None:
    """Write the mutant's file into a copy."""
    whole = (ROOT / mutant.path).read_bytes()
    changed = whole[: mutant.start] + mutant.text.encode() + whole[mutant.end :]
    ast.parse(changed)  # a mutant that is no Python would be killed by anything
    (copy / mutant.path).write_bytes(changed)


def killer(log: Path) -> str:
    """The first test that failed, by the output of pytest."""
    lines = log.read_text(errors="replace").splitlines()
    failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return " ".join([*failed, *lines[-1:]][0].split()[1:])[:200] if lines else "nothing"


def explained() -> set[tuple[str, str, str]]:
    """Mutants that change nothing: file, line of it with its indentation, and change."""
    with EXPLAINED.open(encoding="utf-8", newline="") as stream:
        return {(row["file"], row["line"], row["change"]) for row in csv.DictReader(stream)}


@dataclass
class Running:
    """A process that tests a mutant in a copy."""

    process: ForkProcess
    mutant: Mutant
    copy: Path
    log: Path
    until: float


def outcomes(
    mutants: list[Mutant], copies: list[Path], seconds: float
) -> Iterator[tuple[Mutant, str]]:
    """Try every mutant, as many at a time as there are copies.

    A mutant under which the tests take longer than `seconds` is killed.
    """
    waiting, free, running = list(reversed(mutants)), list(copies), list[Running]()
    while waiting or running:
        while waiting and free:
            mutant, copy = waiting.pop(), free.pop()
            log = copy.parent / f"{len(waiting)}.log"
            change(copy, mutant)
            process = get_context("fork").Process(
                target=run_tests, args=(copy, mutant, stages(mutant), log)
            )
            process.start()
            running.append(Running(process, mutant, copy, log, time.monotonic() + seconds))
        connection.wait([each.process.sentinel for each in running], timeout=1)
        for each in list(running):
            if each.process.is_alive() and time.monotonic() < each.until:
                continue
            late = each.process.is_alive()
            if late:
                os.killpg(each.process.pid or 0, signal.SIGKILL)
            each.process.join()
            shutil.copy2(ROOT / each.mutant.path, each.copy / each.mutant.path)
            running.remove(each)
            free.append(each.copy)
            if late:
                yield each.mutant, "killed by the time limit"
            elif each.process.exitcode:
                yield each.mutant, f"killed by {killer(each.log)}"
            else:
                yield each.mutant, "SURVIVED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300, help="limit for one mutant")
    parser.add_argument("--only", default="", help="part of a path: these files only")
    options = parser.parse_args()
    drawn_all = [each for each in drawn(options.count, options.seed) if options.only in each.path]
    equivalent = explained()
    mutants = [
        each
        for each in drawn_all
        if (each.path, getline(str(ROOT / each.path), each.line).rstrip(), each.shown)
        not in equivalent
    ]
    load_libraries()
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        copies = [
            copy_of_checkout(Path(scratch) / str(number) / "checkout")
            for number in range(options.jobs)
        ]
        # Without a change all tests have to pass, once in each copy, which compiles what can be.
        areas = [folder for area in {each.area for each in mutants} for folder in AREAS[area]]
        for copy in copies:
            log = copy.parent / "unchanged.log"
            process = get_context("fork").Process(
                target=run_tests, args=(copy, None, [sorted(set(areas))], log)
            )
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"the tests fail without a change: {killer(log)}")
        counts: dict[str, list[int]] = {area: [0, 0] for area in AREAS}
        for mutant, outcome in outcomes(mutants, copies, options.seconds):
            counts[mutant.area][outcome != "SURVIVED"] += 1
            print(f"{mutant.path}:{mutant.line}  {mutant.shown[:140]}\n    {outcome}", flush=True)
    for area, (lived, died) in counts.items():
        print(f"{area}: {died} of {lived + died} killed")
    lived, died = (sum(each[number] for each in counts.values()) for number in (0, 1))
    print(
        f"{died} of {lived + died} mutants killed ({100 * died / max(lived + died, 1):.1f} %); "
        f"{len(drawn_all) - len(mutants)} more change nothing"
    )


if __name__ == "__main__":
    main()
