"""Mutation testing: change one expression at a time, and see whether a test notices.

    python benchmarks/mutation.py --count 80 --seed 0 --jobs 2

draws `count` mutants at random over the modules that make numbers (``AREAS``), each with equal
chances for its areas, and runs the tests of the area against each in a copy of the checkout. A
mutant that these let live meets the tests of the whole package that evaluate something. What still
lives is either a missing test or no change at all; ``benchmarks/mutation.csv`` lists the latter
with the reason, and the share of killed ones is printed without them. Not part of the test suite:
80 mutants take about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import ast
import csv
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parent.parent
EXPLAINED = Path(__file__).with_name("mutation.csv")
AREAS: dict[str, tuple[str, ...]] = {
    "measures": ("tests/measures", "tests/scoring"),
    "scoring": ("tests/scoring",),
    "statistics": ("tests/statistics",),
    "trials/compositions": ("tests/trials",),
    "engine": ("tests/engine",),
}
WIDER = ("tests/scoring", "tests/analysis", "tests/engine", "tests/leaderboard", "tests/cli")
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
            yield mutant(node, first, place(node.operand)[0], "")
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
    """Expressions that decide something: no annotations, messages, texts or decorators."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or isinstance(node, ast.Raise | ast.JoinedStr):
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


def killed(copy: Path, tests: tuple[str, ...], seconds: float) -> bool:
    """Whether tests in a copy of the checkout fail; one that takes too long has noticed, too."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    # A copy brings its own package; a temporary folder of its own keeps runs apart.
    env = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    env["PYTEST_ADDOPTS"] = f"--basetemp={copy}-tmp"
    try:
        done = subprocess.run(command, cwd=copy, env=env, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def tests_of(mutant: Mutant) -> tuple[str, ...]:
    """Tests of the mutant's area, and the examples in its own module."""
    return (*AREAS[mutant.area], mutant.path)


def verdict(mutant: Mutant, copy: Path, seconds: float) -> str:
    """``killed``, ``killed by wider tests`` or ``SURVIVED``."""
    target = copy / mutant.path
    whole = target.read_bytes()
    target.write_bytes(whole[: mutant.start] + mutant.text.encode() + whole[mutant.end :])
    try:
        if killed(copy, tests_of(mutant), seconds):
            return "killed"
        return "killed by wider tests" if killed(copy, WIDER, 3 * seconds) else "SURVIVED"
    finally:
        target.write_bytes(whole)


def explained() -> dict[tuple[str, str], str]:
    """Reasons of mutants that change nothing, by file and change."""
    if not EXPLAINED.is_file():
        return {}
    with EXPLAINED.open(encoding="utf-8", newline="") as stream:
        return {(row["file"], row["change"]): row["reason"] for row in csv.DictReader(stream)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300, help="limit for one run of tests")
    parser.add_argument("--only", default="", help="part of a path: these files only")
    options = parser.parse_args()
    mutants = [each for each in drawn(options.count, options.seed) if options.only in each.path]
    reasons = explained()
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        copies: Queue[Path] = Queue()
        for number in range(options.jobs):
            copy = Path(scratch) / str(number)
            for name in tracked:
                if (ROOT / name).is_file():
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / name, copy / name)
            copies.put(copy)

        def tried(mutant: Mutant) -> tuple[Mutant, str]:
            if (mutant.path, mutant.shown) in reasons:
                return mutant, "changes nothing"
            copy = copies.get()
            try:
                return mutant, verdict(mutant, copy, options.seconds)
            finally:
                copies.put(copy)

        counts: dict[str, int] = {}
        with ThreadPoolExecutor(options.jobs) as pool:
            for mutant, outcome in pool.map(tried, mutants):
                counts[outcome] = counts.get(outcome, 0) + 1
                print(f"{outcome:22} {mutant.path}:{mutant.line}  {mutant.shown[:140]}", flush=True)
    real = sum(counts.values()) - counts.get("changes nothing", 0)
    died = real - counts.get("SURVIVED", 0)
    print(f"{died} of {real} mutants killed ({100 * died / max(real, 1):.1f} %): {counts}")


if __name__ == "__main__":
    main()
