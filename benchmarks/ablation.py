"""Train a baseline in several ways, and show what each way changes.

Run ``python benchmarks/ablation.py icl``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from alone import alone
from pydantic import Field

from ssl_bench.analysis.evaluation import run
from ssl_bench.analysis.request import Request
from ssl_bench.files import write_text
from ssl_bench.models.registry import load_baseline
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.schemas import Document, read_toml
from ssl_bench.scoring.results import Result
from ssl_bench.training.recipe import changed_recipe, training_recipe
from ssl_bench.training.record import TrainingRecord, read_record
from ssl_bench.training.run import train

FOLDER = Path(__file__).parent / "ablations"

Figures = dict[str, float | None]
Kind = TypeVar("Kind")


class Row(Document):
    """One way to train.

    Attributes
    ----------
    name
        What the table calls it.
    variant
        Another variant of the baseline than that of the data.
    overrides
        Fields of the training recipe that differ, such as ``epochs``; those of the objective's
        settings with a dot, such as ``settings.tau``.
    """

    name: str
    variant: str | None = None
    overrides: Mapping[str, Any] = Field(default_factory=dict)


class Columns(Document):
    """Measures of one protocol.

    Attributes
    ----------
    protocol
        Its name.
    measures
        As in its result.
    group
        Breakdown and group, where a part of the trials is meant, such as ``["type", "B"]``.
    options
        Options of the model that differ from the usual, such as ``{ retrieval = "localization" }``.
    """

    protocol: str
    measures: Annotated[tuple[str, ...], Field(min_length=1)]
    group: tuple[str, str] | None = None
    options: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the table calls it."""
        given = (f"{name}={value}" for name, value in self.options.items())
        return " ".join((self.protocol, *(self.group or ()), *given))


class Ablation(Document):
    """Content of a file in ``ablations/``.

    Attributes
    ----------
    title, source
        For people.
    model, data
        The baseline and what it is trained on.
    rows
        Ways to train.
    columns
        What is measured on test splits; only reported, never used to choose anything.
    """

    title: str
    source: str
    model: str
    data: str = "synth"
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    columns: tuple[Columns, ...] = ()


def trained(ablation: Ablation, row: Row, seed: int, folder: Path) -> tuple[TrainingRecord, Path]:
    """Record and weights of one row and seed; trained now, unless an earlier run left them."""
    variant = row.variant or ablation.data
    recipe = training_recipe(load_baseline(ablation.model), variant)
    recipe = changed_recipe(recipe, row.overrides)
    weights, kept = folder / f"{variant}.safetensors", folder / f"{variant}.training.json"
    if kept.is_file() and weights.is_file():
        record = read_record(kept)
        if record.recipe == recipe and record.seed == seed and record.model == ablation.model:
            return record, weights
    record = train(
        ablation.model,
        data=ablation.data,
        variant=variant,
        seed=seed,
        out=folder,
        recipe=recipe,
        overwrite=True,
    )
    return record, weights


def figures_of(
    record: TrainingRecord, ablation: Ablation, results: Mapping[str, Result]
) -> Figures:
    """Figures by column: those on validation trials, then those of the columns in `results`."""
    found: Figures = {f"val {name}": value for name, value in record.validation.items()}
    for columns in ablation.columns:
        if columns.label not in results:
            continue
        result = results[columns.label]
        measured = result.measures
        if columns.group is not None:
            kind, group = columns.group
            measured = result.breakdown[kind][group]
        values = {each.measure: each.value for each in measured}
        found.update({f"{columns.label} {name}": values[name] for name in columns.measures})
    return found


def measured(
    ablation: Ablation, row: Row, seed: int, folder: Path, protocols: Sequence[str]
) -> Figures:
    """Train and evaluate one row with one seed; what an earlier run did is not done again."""
    record, weights = trained(ablation, row, seed, folder)
    if not protocols:
        return figures_of(record, ablation, {})
    identity = {
        "weights": record.weights_sha256,
        "protocols": {name: load_protocol(name).digest for name in protocols},
        "columns": [columns.model_dump(mode="json") for columns in ablation.columns],
    }
    kept = folder / "figures.json"
    if kept.is_file():
        earlier = json.loads(kept.read_text(encoding="utf-8"))
        if earlier["identity"] == identity:
            known: Figures = earlier["figures"]
            return known
    results: dict[str, Result] = {}
    for options in _distinct([columns.options for columns in ablation.columns]):
        alike = [columns for columns in ablation.columns if columns.options == options]
        request = Request(
            model=ablation.model,
            variant=row.variant or ablation.data,
            weights=weights,
            settings=options,
            folder=folder / "runs",
            overwrite=True,
        )
        done = run(request, alone(_distinct([columns.protocol for columns in alike])))
        by_name = {each.result.protocol.name: each.result for each in done}
        results.update({columns.label: by_name[columns.protocol] for columns in alike})
    figures = figures_of(record, ablation, results)
    write_text(kept, json.dumps({"identity": identity, "figures": figures}, indent=1))
    return figures


def _distinct(values: Sequence[Kind]) -> list[Kind]:
    """Each value once, in order; they need not be hashable."""
    return [value for place, value in enumerate(values) if value not in values[:place]]


def cell(values: Sequence[float | None], column: str) -> str:
    """Mean over seeds, and smallest to largest; shares in percent."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    # The objective is no share.
    factor, digits = (1, 3) if column.endswith("loss") else (100, 1)
    shown = [f"{factor * value:.{digits}f}" for value in (statistics.mean(known), *known)]
    ordered = sorted(shown[1:], key=float)
    return shown[0] if len(known) == 1 else f"{shown[0]} ({ordered[0]} to {ordered[-1]})"


def table(model: str, found: Mapping[str, Sequence[Figures]]) -> str:
    """The figures as a table in Markdown, one line for each row."""
    columns = list(next(iter(found.values()))[0])
    heads = [model, *columns]
    lines = [heads, ["---"] * len(heads)]
    for name, each in found.items():
        cells = (cell([figures[column] for figures in each], column) for column in columns)
        lines.append([name, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    known = sorted(path.stem for path in FOLDER.glob("*.toml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ablation", choices=known)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", help="only the rows that contain one of these texts")
    parser.add_argument(
        "--validation-only", action="store_true", help="look at no test split, as when choosing"
    )
    parser.add_argument("--out", type=Path, default=Path("trained"), help="folder to work in")
    given = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    ablation = read_toml(FOLDER / f"{given.ablation}.toml", Ablation)
    protocols = [] if given.validation_only else [each.protocol for each in ablation.columns]
    protocols = list(dict.fromkeys(protocols))
    rows = [
        row
        for row in ablation.rows
        if given.rows is None or any(text in row.name for text in given.rows)
    ]
    folder = given.out / f"ablation-{given.ablation}"
    found: dict[str, list[Figures]] = {}
    for seed in given.seeds:
        for row in rows:
            place = folder / row.name.replace(",", "").replace(" ", "-") / f"seed{seed}"
            figures = measured(ablation, row, seed, place, protocols)
            found.setdefault(row.name, []).append(figures)
            print(f"{row.name}, seed {seed}: {json.dumps(figures)}", flush=True)
    text = f"{ablation.title}\n{ablation.source}\n\n{table(ablation.model, found)}\n"
    write_text(folder / "table.md", text)
    print(f"\n{text}")


if __name__ == "__main__":
    main()
