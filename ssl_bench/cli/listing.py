"""``ssl-bench protocols``, ``models``, ``measures``, ``schema``: lists, and one item in full."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import data_option, json_option
from ssl_bench.cli.terminal import print_json, show, show_facts, text_table

if TYPE_CHECKING:
    from ssl_bench.leaderboard.published import PublishedFigure
    from ssl_bench.models.recipes import Recipe
    from ssl_bench.models.registry import Baseline


@command()
@click.argument("name", required=False, metavar="[NAME]", **completed(candidates.protocols))
@click.option(
    "--trials",
    "with_trials",
    is_flag=True,
    help="List the trials of NAME, one a line: also the pairs that the seed of concat fixes.",
)
@click.option(
    "--meta",
    "model",
    metavar="MODEL",
    help="Print what the array 'meta' of a predictions file of NAME holds, for a model of that "
    "name: for programs in other languages.",
)
@data_option
@json_option
def protocols(
    name: str | None, with_trials: bool, model: str | None, data: Path | None, as_json: bool
) -> None:
    """List the protocols, or explain the one called NAME."""
    from ssl_bench.protocols.protocol import (
        dialect_names,
        load_dialect,
        load_protocol,
        load_suite,
        protocol_names,
        suite_names,
    )
    from ssl_bench.testsets import is_embedded
    from ssl_bench.trials.compositions import with_split

    if model is not None:
        if name is None or with_trials:
            raise click.UsageError("--meta needs the NAME of a protocol, and no --trials")
        from ssl_bench.trials.compositions import open_trials

        meta = open_trials(name, data).predictions_meta(model)
        print_json(meta.model_dump(mode="json"))
        return
    if with_trials:
        if name is None:
            raise click.UsageError("--trials needs the NAME of a protocol")
        _print_trials(name, data, as_json)
        return
    if name is not None:
        protocol = with_split(load_protocol(name), data=data)
        facts = {**protocol.model_dump(mode="json"), "digest": protocol.digest}
        _print_facts("protocol", facts, as_json)
        return
    loaded = [load_protocol(known) for known in protocol_names()]
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("protocols", loaded)
        return
    rows = [
        [
            each.name,
            each.title,
            each.label.partition("@")[2],
            "ships" if is_embedded(each.test_set.name) else "to get",
        ]
        for each in loaded
    ]
    suites = [[each, ", ".join(load_suite(each).protocols)] for each in suite_names()]
    dialects = [load_dialect(known) for known in dialect_names()]
    show(
        text_table(["protocol", "title", "test set", "data"], rows),
        "'ssl-bench data layout TESTSET' says how to get what does not ship.",
        "'ssl-bench protocols NAME' explains one; NAME@TESTSET moves it to another test set.",
        text_table(["suite", "protocols"], suites),
        text_table(["dialect", "title"], [[each.form, each.title] for each in dialects]),
    )


@command()
@click.argument("name", required=False, metavar="[NAME]", **completed(candidates.models))
@json_option
def models(name: str | None, as_json: bool) -> None:
    """List the models, or print the card of the one called NAME."""
    from ssl_bench.leaderboard.published import read_published
    from ssl_bench.models.registry import list_baselines, list_plug_ins, load_baseline
    from ssl_bench.site.printed import printed_of

    if name is not None:
        baseline = load_baseline(name)
        figures = printed_of(baseline.card, read_published())
        content = baseline.card.model_dump(mode="json")
        if as_json:
            from ssl_bench.cli.documents import print_document

            print_document(
                "model", {**content, "published_figures": figures, "recipe": baseline.recipe}
            )
        else:
            _print_nested({**content, **_for_people(figures, baseline.recipe)})
        return
    baselines = [load_baseline(known) for known in list_baselines()]
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("models", [each.card for each in baselines])
        return
    rows = [[each.name, each.card.title, each.card.modality, _weights(each)] for each in baselines]
    rows += [[plug_in, "installed plug-in", "", ""] for plug_in in list_plug_ins()]
    show(
        text_table(["model", "title", "modality", "weights"], rows),
        "'ssl-bench models NAME' prints a card, which tells of weights that do not ship; "
        "--model also takes path/to/file.py:NAME.",
    )


def _weights(baseline: Baseline) -> str:
    """Whether those of the default variant ship, or are published; nothing where it has none."""
    from ssl_bench.models.recipes import UNPUBLISHED

    variant = baseline.variant()
    if baseline.needs_weights:
        return "to train" if variant.weights_at == UNPUBLISHED else "to get"
    return "ships" if variant.architecture else ""


@command()
@click.argument("text", required=False, metavar="[MEASURE]", **completed(candidates.measures))
@json_option
def measures(text: str | None, as_json: bool) -> None:
    """List the measures, or explain one such as cIoU(adaptive)@0.5."""
    from ssl_bench.measures.definition import RULES
    from ssl_bench.measures.values import DEFINITIONS, parse_measure
    from ssl_bench.scoring.explain import explain, explain_kind

    if text is not None:
        known = DEFINITIONS.get(text)
        told = explain(parse_measure(text)) if known is None else explain_kind(known)
        facts = (known or parse_measure(text).definition).facts()
        first: dict[str, Any] = {
            "form" if known else "measure": told.measure,
            "title": told.title,
            "formula": told.formula,
            **dict(told.signs),
            "rule": told.rule,
        }
        more = {name: fact for name, fact in facts.items() if name not in ("form", *first)}
        _print_facts("measure", {**first, **more}, as_json)
        return
    found = [definition.facts() for definition in DEFINITIONS.values()]
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("measures", found)
        return
    rules = "|".join(RULES)
    rows = [[str(facts["form"]).replace(rules, "RULE"), str(facts["title"])] for facts in found]
    show(
        text_table(["measure", "meaning"], rows),
        f"RULE, how a map becomes a prediction, is {', '.join(RULES)}; without one, that of the "
        "protocol.",
        "'ssl-bench measures \"cIoU(adaptive)@0.5\"' explains one, with its formula.",
    )


# \b keeps the lines that follow as they are.
_SCHEMA_HELP = """Print the JSON schema of the document NAME that --json prints, or of the result.

\b
  ssl-bench schema --list      all documents, and the commands that print them
  ssl-bench schema compare     the schema of what 'ssl-bench compare --json' prints

A document says its version: "format": "ssl-bench-compare/1". Within a version, fields keep their
name, type and meaning, and none is removed; new ones may be added, so let a program ignore fields
that it does not know. Anything else makes a new version, which the changelog names. Documents of
earlier versions that commands wrote to files (results, contributions, training records) are still
read. Where a command prints an array, or what a file of another kind holds, its elements follow
the schema and the promise, and the version of the package stands for theirs. What is printed
without --json is for people and may change.
"""


@command(help=_SCHEMA_HELP)
@click.argument("name", required=False, metavar="[NAME]", **completed(candidates.documents))
@click.option("--list", "listed", is_flag=True, help="List the documents.")
def schema(name: str | None, listed: bool) -> None:
    """Print the JSON schema of a document."""
    from ssl_bench.cli.documents import DOCUMENTS, schema_of

    if not listed:
        print_json(schema_of(name or "result"))
        return
    rows = [
        [each, kind.about, ", ".join(kind.commands), "yes" if kind.several else ""]
        for each, kind in DOCUMENTS.items()
    ]
    heads = ["document", "what it is", "printed by", "array of several"]
    show(text_table(heads, rows))


def _print_trials(name: str, data: Path | None, as_json: bool) -> None:
    """Print what is shown, played and true in each trial, as tab-separated text or as JSON."""
    from ssl_bench.trials.compositions import open_trials

    rows: list[dict[str, Any]] = [
        {
            "trial": trial.id,
            "image": trial.image.key,
            "sound": trial.audio.key,
            "targets": [target.sample for target in trial.targets],
            "group": trial.group,
        }
        for trial in open_trials(name, data)
    ]
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("trials", rows, by_line=True)
        return
    click.echo("\t".join(rows[0]))
    for row in rows:
        cells = {**row, "targets": ",".join(row["targets"])}
        click.echo("\t".join(map(str, cells.values())))


def _for_people(figures: Sequence[PublishedFigure], recipe: Recipe) -> dict[str, Any]:
    from ssl_bench.site.printed import printed_table

    table = printed_table(figures)
    published = []
    for row in table.rows:
        figure = row.figure
        values = zip(table.metrics, row.cells, strict=True)
        published.append(
            f"{row.label}, table {figure.table}: {f'{figure.method} {figure.variant}'.strip()}"
            f", trained on {figure.train_set}, on {figure.test_set} ({figure.protocol}): "
            + ", ".join(f"{metric} {cell.exact}" for metric, cell in values if cell.exact)
            + (" (another table prints another figure)" if row.in_conflict else "")
            + (" (in doubt: what it was trained or pretrained on)" if row.in_doubt else "")
        )
    variants = {
        variant: chosen.about + (" (default)" if variant == recipe.default_variant else "")
        for variant, chosen in recipe.variants.items()
    }
    presets = {
        variant: f"{', '.join(chosen.presets)} (the first is the default)"
        for variant, chosen in recipe.variants.items()
        if chosen.presets
    }
    return {"published": published, "variants": variants, "presets": presets}


def _print_facts(document: str, content: Mapping[str, Any], as_json: bool) -> None:
    if not as_json:
        _print_nested(content)
        return
    from ssl_bench.cli.documents import print_document

    print_document(document, content)


def _print_nested(content: Mapping[str, Any], indent: int = 0) -> None:
    """Print nested facts as indented lines, leaving out what is empty."""
    blank = "  " * indent
    for key, value in content.items():
        if value in (None, "", [], {}):
            continue
        if isinstance(value, dict):
            show(f"{blank}{key}:")
            _print_nested(value, indent + 1)
        elif isinstance(value, list):
            show(f"{blank}{key}:")
            for item in value:
                if isinstance(item, dict):
                    item = ", ".join(f"{name} {part}" for name, part in item.items() if part)
                show_facts(f"{blank}  - {item}")
        else:
            # A line that does not begin with the name of a variant continues the one before.
            text = re.sub(r"\n(?!\S+: )\s*", " ", str(value).strip())
            text = text.replace("\n", f"\n{blank}  ")
            show_facts(f"{blank}{key}: {text}")
