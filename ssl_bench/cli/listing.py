"""``ssl-bench protocols``, ``models``, ``measures``, ``schema``: what there is, and its meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli.options import data_option, json_option

if TYPE_CHECKING:
    from ssl_bench.leaderboard.published import PublishedFigure
    from ssl_bench.models.cards import Card
    from ssl_bench.models.recipes import Recipe


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option(
    "--trials",
    "with_trials",
    is_flag=True,
    help="List the trials of NAME, one a line: also the pairs that the seed of concat fixes.",
)
@data_option
@json_option
def protocols(name: str | None, with_trials: bool, data: Path | None, as_json: bool) -> None:
    """List the protocols, or explain the one called NAME."""
    from ssl_bench.cli.terminal import console, plain_table
    from ssl_bench.protocols.protocol import (
        dialect_names,
        load_dialect,
        load_protocol,
        load_suite,
        protocol_names,
        suite_names,
    )
    from ssl_bench.trials.compositions import with_split

    if with_trials:
        if name is None:
            raise click.UsageError("--trials needs the NAME of a protocol.")
        _print_trials(name, data, as_json)
        return
    if name is not None:
        protocol = with_split(load_protocol(name))
        content = {**protocol.model_dump(mode="json"), "digest": protocol.digest}
        if as_json:
            click.echo(json.dumps(content, indent=1))
        else:
            _print_nested(content)
        return
    loaded = [load_protocol(known) for known in protocol_names()]
    if as_json:
        click.echo(json.dumps([protocol.model_dump(mode="json") for protocol in loaded], indent=1))
        return
    rows = [
        [protocol.name, protocol.title, protocol.label.partition("@")[2], protocol.composition.kind]
        for protocol in loaded
    ]
    screen = console()
    heads = ["protocol", "title", "test set", "composition"]
    screen.print(plain_table(None, heads, rows, texts=range(4)))
    screen.print(
        "'ssl-bench protocols NAME' explains one; NAME@TESTSET moves it to another test set."
    )
    suites = [load_suite(known) for known in suite_names()]
    screen.print(
        plain_table(
            None,
            ["suite", "protocols"],
            [[each.name, ", ".join(each.protocols)] for each in suites],
            texts=range(2),
        )
    )
    dialects = [load_dialect(known) for known in dialect_names()]
    screen.print(
        plain_table(
            None,
            ["dialect", "title"],
            [[each.form, each.title] for each in dialects],
            texts=range(2),
        )
    )


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@json_option
def models(name: str | None, as_json: bool) -> None:
    """List the models, or print the card of the one called NAME."""
    from ssl_bench.cli.terminal import console, plain_table
    from ssl_bench.models.registry import list_baselines, list_plug_ins, load_card, load_recipe

    if name is not None:
        card, recipe = load_card(name), load_recipe(name)
        if as_json:
            whole = {
                **card.model_dump(mode="json"),
                "published_figures": [figure.model_dump() for figure in _printed(card)],
                "recipe": recipe.model_dump(mode="json"),
            }
            click.echo(json.dumps(whole, indent=1))
        else:
            _print_nested(_card_for_people(card, recipe))
        return
    cards = [load_card(known) for known in list_baselines()]
    if as_json:
        click.echo(json.dumps([card.model_dump(mode="json") for card in cards], indent=1))
        return
    rows = [[card.name, card.title, card.modality] for card in cards]
    rows += [[plug_in, "installed plug-in", ""] for plug_in in list_plug_ins()]
    screen = console()
    screen.print(plain_table(None, ["model", "title", "modality"], rows, texts=range(3)))
    screen.print("'ssl-bench models NAME' prints a card; --model also takes path/to/file.py:Class.")


@click.command()
@click.argument("text", required=False, metavar="[MEASURE]")
@json_option
def measures(text: str | None, as_json: bool) -> None:
    """List the measures, or explain one such as cIoU(adaptive)@0.5."""
    from ssl_bench.cli.terminal import console, plain_table
    from ssl_bench.measures.values import DEFINITIONS, parse_measure

    if text is not None:
        definition = DEFINITIONS[text] if text in DEFINITIONS else parse_measure(text).definition
        content = definition.facts()
        if as_json:
            click.echo(json.dumps(content, indent=1))
        else:
            _print_nested(content)
        return
    found = [definition.facts() for definition in DEFINITIONS.values()]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    rows = [[str(facts["form"]), str(facts["title"])] for facts in found]
    console().print(plain_table(None, ["measure", "meaning"], rows, texts=range(2)))


@click.command()
def schema() -> None:
    """Print the JSON schema of the result document."""
    from ssl_bench.scoring.results import result_schema

    click.echo(json.dumps(result_schema(), indent=1))


def _print_trials(name: str, data: Path | None, as_json: bool) -> None:
    """Print what is shown, played and true in each trial, as tab-separated text or as JSON."""
    from ssl_bench.protocols.protocol import load_protocol
    from ssl_bench.trials.compositions import open_trials

    trials = open_trials(load_protocol(name), data)
    if not as_json:
        click.echo("trial\timage\tsound\ttargets\tgroup")
    rows: list[dict[str, Any]] = []
    for trial in trials:
        targets = [target.sample for target in trial.targets]
        facts = {
            "trial": trial.id,
            "image": trial.image.key,
            "sound": trial.audio.key,
            "targets": targets,
            "group": trial.group,
        }
        rows.append(facts)
        if not as_json:
            line = [trial.id, trial.image.key, trial.audio.key, ",".join(targets), trial.group]
            click.echo("\t".join(line))
    if as_json:
        # One document, and one trial a line.
        click.echo("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]")


def _card_for_people(card: Card, recipe: Recipe) -> dict[str, Any]:
    from ssl_bench.site.printed import printed_table

    content = card.model_dump(mode="json")
    table = printed_table(_printed(card))
    content["published"] = [
        f"{row.paper}, table {row.figure.table}: "
        f"{' '.join((row.figure.method, row.figure.variant)).strip()}, trained on "
        f"{row.figure.train_set}, on {row.figure.test_set} ({row.figure.protocol}): "
        + ", ".join(
            f"{metric} {value}"
            for metric, value in zip(table.metrics, row.values, strict=True)
            if value
        )
        + (" (another table prints another figure)" if row.in_conflict else "")
        + (" (in doubt: what it was trained or pretrained on)" if row.in_doubt else "")
        for row in table.rows
    ]
    content["variants"] = {
        variant: chosen.about + (" (default)" if variant == recipe.default_variant else "")
        for variant, chosen in recipe.variants.items()
    }
    content["presets"] = {
        variant: f"{', '.join(chosen.presets)} (the first is the default)"
        for variant, chosen in recipe.variants.items()
        if chosen.presets
    }
    return content


def _printed(card: Card) -> tuple[PublishedFigure, ...]:
    """The published figures that a card names, with paper and table."""
    from ssl_bench.leaderboard.published import read_published
    from ssl_bench.site.printed import printed_of

    return printed_of(card, read_published())


def _print_nested(content: Any, indent: int = 0) -> None:
    """Print nested facts as indented lines, leaving out what is empty."""
    from ssl_bench.cli.terminal import console

    screen = console()
    blank = "  " * indent
    for key, value in content.items():
        if value in (None, "", [], {}):
            continue
        if isinstance(value, dict):
            screen.print(f"{blank}{key}:")
            _print_nested(value, indent + 1)
        elif isinstance(value, list):
            screen.print(f"{blank}{key}:")
            for item in value:
                shown = (
                    ", ".join(f"{name} {part}" for name, part in item.items() if part)
                    if isinstance(item, dict)
                    else item
                )
                screen.print(f"{blank}  - {shown}")
        else:
            text = str(value).strip().replace("\n", f"\n{blank}  ")
            screen.print(f"{blank}{key}: {text}")
