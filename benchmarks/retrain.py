"""Train every small model that ships again, from scratch, and compare it with what ships.

Run ``python benchmarks/retrain.py`` (or ``tox -e retrain``); see README.md beside it.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from alone import alone
from common import named_measures

from ssl_bench.analysis.evaluation import run
from ssl_bench.analysis.request import Request
from ssl_bench.files import sha256_of_file, write_text
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.training.preparation import DEFAULT_CLASSIFIER
from ssl_bench.training.recipe import training_recipe
from ssl_bench.training.record import read_record
from ssl_bench.training.run import train

DATA = "synth"
CLASSIFIER = DEFAULT_CLASSIFIER
"""Trained before all others: image trunks start from it."""

PROTOCOLS = ("synth", "concat", "type-ab", "interactive")
HELD = {"synth": ("cIoU@0.5", "cIoU(adaptive)@0.5")}
"""Figures that a model trained anew must reach: not below the interval of the one that ships."""

SHOWN = HELD | {"concat": ("cIoU(adaptive)@0.5", "side-accuracy"), "type-ab B": ("cIoU@0.5",)}
"""Figures of the table. On `concat` seeds differ by more than by the interval over trials."""


@dataclass(frozen=True)
class Row:
    """One figure of one model and seed.

    Attributes
    ----------
    model, seed, protocol, measure
        Which figure.
    value, low, high
        It, and its 95 % interval.
    """

    model: str
    seed: int
    protocol: str
    measure: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Trained:
    """What training one model again gave.

    Attributes
    ----------
    model, seed
        Which run.
    seconds
        Wall-clock seconds, with drawing the data and validation.
    same_bytes
        Whether the weights are those that ship.
    rows
        Its figures, and those of the baselines that use its weights.
    """

    model: str
    seed: int
    seconds: float
    same_bytes: bool
    rows: tuple[Row, ...]


def trainable(data: str = DATA) -> list[str]:
    """Names of the baselines whose small weights for data made by code ship."""
    found = []
    for name in list_baselines():
        variant = load_baseline(name).recipe.variants.get(data)
        if variant is not None and variant.training is not None and variant.weights is not None:
            found.append(name)
    return found


def sharing(model: str) -> list[str]:
    """Baselines that use the small weights of a model: those of ``ogl-l1`` serve ``ogl-cls``."""
    found = {name: load_baseline(name).recipe.variants.get(DATA) for name in list_baselines()}
    return [name for name, variant in found.items() if variant and variant.weights_of == model]


def figures(
    model: str, seed: int, protocols: Sequence[str], folder: Path, weights: Path | None
) -> tuple[Row, ...]:
    """Every measure of some weights on some protocols; None for the weights that ship."""
    chosen = alone(protocols)
    request = Request(model, variant=DATA, weights=weights, folder=folder, overwrite=True)
    done = run(request, chosen)
    return tuple(
        Row(model, seed, name, value.measure, value.value, value.low, value.high)
        for each in done
        for name, value in named_measures(each.result)
    )


def finished(record: Path, model: str, seed: int) -> bool:
    """Whether a record is of that seed and of the recipe as it is now."""
    if not record.is_file():
        return False
    found = read_record(record)
    recipe = training_recipe(load_baseline(model), DATA)
    return found.model == model and found.seed == seed and found.recipe == recipe


def weights_in(root: Path, model: str, seed: int) -> Path:
    """Where the weights of one model and seed lie."""
    return root / f"{model}-seed{seed}" / f"{DATA}.safetensors"


def own_seed(model: str) -> int:
    """The seed of the weights that ship."""
    table = load_baseline(model).recipe.variants[DATA].training or {}
    return int(table.get("seed", 0))


def image_trunk(model: str, root: Path) -> Path | None:
    """The classifier trained anew that a model's image trunk starts from; None if from nothing."""
    table = load_baseline(model).recipe.variants[DATA].training or {}
    if table.get("image_trunk") != "object-classifier":
        return None
    return weights_in(root, CLASSIFIER, own_seed(CLASSIFIER))


def retrained(model: str, seed: int, protocols: Sequence[str], root: Path) -> Trained:
    """Train one model with one seed, and evaluate it."""
    import torch

    torch.set_num_threads(1)
    weights = weights_in(root, model, seed)
    folder = weights.parent
    started = perf_counter()
    record = folder / f"{DATA}.training.json"
    if not (weights.is_file() and finished(record, model, seed)):
        trunk = image_trunk(model, root)
        train(model, data=DATA, seed=seed, out=folder, image_trunk=trunk, overwrite=True)
    seconds = perf_counter() - started
    shipped = load_baseline(model).recipe.variants[DATA].weights
    return Trained(
        model,
        seed,
        seconds,
        shipped is not None and shipped.sha256 == sha256_of_file(weights),
        tuple(
            row
            for name in (model, *sharing(model))
            for row in figures(name, seed, protocols, folder / name, weights)
        ),
    )


def missed(shipped: Sequence[Row], again: Trained) -> list[str]:
    """What a model trained anew does not reach: figures below the interval of the one that ships.

    Examples
    --------
    >>> old = Row("m", 0, "synth", "cIoU@0.5", 0.6, 0.55, 0.65)
    >>> new = Row("m", 1, "synth", "cIoU@0.5", 0.5, 0.45, 0.55)
    >>> missed([old], Trained("m", 1, 1.0, False, (new,)))
    ['m, seed 1: cIoU@0.5 on synth is 50.0, and ships with 60.0 [55.0, 65.0]']
    """
    found = {
        (row.protocol, row.measure): row.value for row in again.rows if row.model == again.model
    }
    problems = []
    for old in shipped:
        if old.measure not in HELD.get(old.protocol, ()):
            continue
        new = found[old.protocol, old.measure]
        place = f"{old.model}, seed {again.seed}: {old.measure} on {old.protocol} is"
        if new is None or old.value is None or old.low is None or old.high is None:
            problems.append(f"{place} undefined, or ships undefined")
        elif new < old.low - 1e-9:
            interval = f"[{100 * old.low:.1f}, {100 * old.high:.1f}]"
            problems.append(
                f"{place} {100 * new:.1f}, and ships with {100 * old.value:.1f} {interval}"
            )
    return problems


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write figures as CSV, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "seed", "protocol", "measure", "value", "low", "high"])
    for row in rows:
        numbers = ["" if each is None else f"{each:.6f}" for each in (row.value, row.low, row.high)]
        writer.writerow([row.model, row.seed, row.protocol, row.measure, *numbers])
    write_text(path, text.getvalue())


def spread(rows: Sequence[Row], shown: Mapping[str, Sequence[str]] = SHOWN) -> str:
    """A table in Markdown: the figures of `shown` over all seeds, smallest to largest."""
    columns = [(protocol, measure) for protocol, names in shown.items() for measure in names]
    lines = [["model", "seeds", *(f"{protocol} {measure}" for protocol, measure in columns)]]
    lines.append(["---"] * len(lines[0]))
    for model in dict.fromkeys(row.model for row in rows):
        own = [row for row in rows if row.model == model]
        cells = []
        for protocol, measure in columns:
            values = [
                100 * row.value
                for row in own
                if (row.protocol, row.measure) == (protocol, measure) and row.value is not None
            ]
            cells.append(f"{min(values):.1f} to {max(values):.1f}" if values else "-")
        lines.append([model, str(len({row.seed for row in own})), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=trainable(), choices=trainable())
    parser.add_argument("--seeds", type=int, nargs="+", help="default: the recipe's seed")
    parser.add_argument("--protocols", nargs="+", default=list(PROTOCOLS))
    parser.add_argument("--jobs", type=int, default=2, help="models trained at once")
    parser.add_argument("--out", type=Path, default=Path("trained/again"))
    parser.add_argument("--table", type=Path, help="write every figure to this CSV file")
    given = parser.parse_args()
    started = perf_counter()
    problems: list[str] = []
    rows: list[Row] = []
    shipped: dict[str, tuple[Row, ...]] = {}
    runs = []
    # One thread for each process, as the recipes require: threads would compete.
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        first = (CLASSIFIER, own_seed(CLASSIFIER))
        started_from = None
        if any(image_trunk(model, given.out) is not None for model in given.models):
            started_from = pool.submit(retrained, *first, given.protocols, given.out)
            started_from.result()
        for model in given.models:
            for seed in given.seeds or [own_seed(model)]:
                if started_from is not None and (model, seed) == first:
                    runs.append(started_from)
                else:
                    runs.append(pool.submit(retrained, model, seed, given.protocols, given.out))
        for run in runs:
            again = run.result()
            if again.model not in shipped:
                place = given.out / f"{again.model}-shipped"
                shipped[again.model] = figures(again.model, 0, given.protocols, place, None)
            found = missed(shipped[again.model], again)
            problems += found
            rows += again.rows
            bytes_ = "the very bytes that ship" if again.same_bytes else "other bytes"
            verdict = "; ".join(found) if found else "reaches the shipped figures"
            print(
                f"{again.model}, seed {again.seed}: {again.seconds:.0f} s, {bytes_}, {verdict}",
                flush=True,
            )
    if given.table is not None:
        write_rows(given.table, rows)
    print(f"\n{spread(rows)}\n\n{len(runs)} runs in {(perf_counter() - started) / 60:.1f} minutes")
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    main()
