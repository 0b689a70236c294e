"""The pages of the documentation that are made from the code: nothing in them is written twice.

:func:`pages` holds each as Markdown, by its path below ``docs/made/``; ``conf.py`` writes them
before Sphinx looks for pages. Files in ``parts/`` are included by written pages.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import architecture
import click
from pydantic import BaseModel

import ssl_bench
from ssl_bench import measures as measures_of_arrays
from ssl_bench.analysis.contribution.document import Contribution
from ssl_bench.cli.main import commands as command_line
from ssl_bench.leaderboard.assessment import Lock
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.published import PublishedFigure, read_published
from ssl_bench.measures.definition import RULES
from ssl_bench.measures.values import DEFINITIONS, parse_measure
from ssl_bench.models.cards import Card
from ssl_bench.models.recipes import Recipe
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.predictions import PredictionsMeta
from ssl_bench.protocols.conventions import MapTable, ThresholdTable
from ssl_bench.protocols.protocol import (
    Dialect,
    Protocol,
    Suite,
    dialect_names,
    load_dialect,
    load_protocol,
    load_suite,
    protocol_names,
    suite_names,
)
from ssl_bench.reproduction.document import Reproduction, read_reproduced
from ssl_bench.reproduction.grids import markdown, points
from ssl_bench.reproduction.table import PaperTable
from ssl_bench.scoring.results import Result
from ssl_bench.testsets import definitions
from ssl_bench.testsets.described.description import Description

SCHEMAS: dict[str, tuple[str, type[BaseModel]]] = {
    "result": ("`result.json` of a run folder, and `--json` of `evaluate` and `score`", Result),
    "contribution": ("`contribution.json` of `ssl-bench contribution`", Contribution),
    "predictions": ("the member `meta` of a predictions file", PredictionsMeta),
    "lock": ("`lock.json` of a submission", Lock),
    "submission-card": ("`card.toml` of a submission", SubmissionCard),
    "protocol": ("a protocol file, `protocols/NAME.toml`", Protocol),
    "dialect": ("a dialect file, `protocols/dialects/NAME.toml`", Dialect),
    "table": ("a paper's table, `protocols/tables/PAPER-TABLE.toml`", PaperTable),
    "reproduction": ("`--json` of `reproduce`, and `leaderboard/reproduced.json`", Reproduction),
    "suite": ("a suite file, `protocols/suites/NAME.toml`", Suite),
    "test-set": ("`testset.toml` of a test set of your own", Description),
    "card": ("`card.toml` of a baseline", Card),
    "recipe": ("`recipe.toml` of a baseline", Recipe),
    "published": ("a row of `leaderboard/published.csv`", PublishedFigure),
}
"""What has a schema: where it is used, and the model that checks it."""


def plain(text: object) -> str:
    """Text of a file as Markdown that shows it as it is, in one line."""
    line = " ".join(str(text).split())
    parts = line.split("`")
    if len(parts) % 2 == 0:
        parts = [line.replace("`", "'")]
    for place in range(0, len(parts), 2):
        parts[place] = re.sub(r"([\\*<>\[\]_#~$])", r"\\\1", parts[place])
    return "`".join(parts)


def code(text: object) -> str:
    """Text as code in a line."""
    return "`" + " ".join(str(text).split()) + "`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def made(title: str, about: str, *parts: str) -> str:
    """A page with its title and what it is about."""
    return "\n\n".join([f"# {title}", about, *(part.rstrip() for part in parts)]) + "\n"


# ------------------------------------------------------------------------------- the command line


def every_command(
    group: click.Group = command_line, name: str = "ssl-bench"
) -> Iterator[tuple[str, click.Command]]:
    """Every command by its whole name; groups before what they hold."""
    context = click.Context(group, info_name=name)
    for inner in group.list_commands(context):
        found = group.get_command(context, inner)
        assert found is not None
        yield f"{name} {inner}", found
        if isinstance(found, click.Group):
            yield from every_command(found, f"{name} {inner}")


def _described(command: click.Command) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        "```text\n" + part.replace("\b\n", "") + "\n```" if part.startswith("\b") else plain(part)
        for part in paragraphs
    )


def command_section(name: str, command: click.Command) -> str:
    """Usage, text and options of one command."""
    context = click.Context(command, info_name=name)
    usage = command.get_usage(context).removeprefix("Usage: ")
    rows = []
    for option in command.params:
        record = option.get_help_record(context)
        if record is not None:
            rows.append([code(record[0]), plain(record[1])])
    options = table(["option", "meaning"], rows) if rows else ""
    return "\n\n".join(
        [f"## {name}", f"```text\n{usage}\n```", _described(command), options]
    ).rstrip()


def commands_page() -> str:
    """The reference of the command line."""
    return made(
        "Commands",
        "What every command takes, from the code; the same as `ssl-bench COMMAND --help`. "
        "[](../reference/exit-codes.md) says how commands end.",
        *(command_section(name, command) for name, command in every_command()),
    )


# ------------------------------------------------------------------------------------- Python


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "exception" if issubclass(value, Exception) else "class"
    return "function" if callable(value) and not hasattr(value, "__args__") else "data"


def python_page() -> str:
    """The public names of the package and of its measures."""
    names = [name for name in ssl_bench.__all__ if not name.startswith("__")]
    by_kind: dict[str, list[str]] = {}
    for name in names:
        by_kind.setdefault(_kind(getattr(ssl_bench, name)), []).append(f"ssl_bench.{name}")
    titles = {
        "function": "Functions",
        "class": "Classes",
        "exception": "Errors",
        "data": "Types",
    }
    parts = [
        f"## {title}\n\n{_documented(kind, by_kind[kind])}"
        for kind, title in titles.items()
        if kind in by_kind
    ]
    arrays: dict[str, list[str]] = {}
    for name in measures_of_arrays.__all__:
        kind = _kind(getattr(measures_of_arrays, name))
        arrays.setdefault(kind, []).append(f"ssl_bench.measures.{name}")
    parts.append(
        "## Measures on arrays\n\nThe functions of `ssl_bench.measures`; what each measure means "
        "is told in [](measures.md).\n\n"
        + "\n\n".join(_documented(kind, arrays[kind]) for kind in titles if kind in arrays)
    )
    return made(
        "Python",
        "Everything that `import ssl_bench` offers. What is not listed here is not public, and may "
        "change at any time. Names are loaded on first use, so that the import itself is quick.",
        *parts,
    )


def _documented(kind: str, names: Sequence[str]) -> str:
    inner = {
        "class": ":members:\n   :exclude-members: model_config, model_post_init",
        "exception": ":show-inheritance:",
        "data": ":no-value:",
    }.get(kind, "")
    blocks = (f".. auto{kind}:: {name}\n   {inner}".rstrip() for name in names)
    return "```{eval-rst}\n" + "\n\n".join(blocks) + "\n```"


# ---------------------------------------------------------------- protocols, dialects, measures


def _threshold(given: ThresholdTable) -> str:
    valued = given.rule in ("absolute", "fraction", "universal")
    return f"{given.rule} {given.value:g}" if valued else str(given.rule)


def dialect_table() -> str:
    """What each public evaluator does otherwise than the canonical protocol (in bold)."""
    head = ["dialect", "grid", "interpolation", "scale", "threshold", "pixels kept", "no overlap"]
    head += ["truth", "measures"]

    def cells(given: MapTable, threshold: ThresholdTable, truth: str) -> list[str]:
        kept = threshold.comparison + (", maximum" if threshold.keep_maximum else "")
        size = f"{given.size}" + (f", centre {given.crop:g}" if given.crop else "")
        others = "".join(f"; {each} on {name}" for name, each in given.interpolation_on.items())
        silent = f"; {given.silent_interpolation} of silent" if given.silent_interpolation else ""
        return [
            size,
            given.interpolation + others + silent,
            given.normalisation,
            _threshold(threshold),
            kept,
            threshold.undefined,
            truth,
        ]

    own = cells(MapTable(), ThresholdTable(), "of the test set")
    rows = [["canonical", *map(plain, own), "of the protocol"]]
    for name in dialect_names():
        dialect = load_dialect(name)
        truth = "of the test set" if dialect.truth is None else dialect.truth.convention
        theirs = cells(dialect.map, dialect.threshold, truth)
        marked = [
            plain(cell) if cell == usual else f"**{plain(cell)}**"
            for cell, usual in zip(theirs, own, strict=True)
        ]
        rows.append([code(dialect.form), *marked, plain(", ".join(dialect.measures))])
    return table(head, rows)


def dialect_sources() -> str:
    """Which public code each dialect follows, and what is peculiar about it."""
    parts = []
    for name in dialect_names():
        dialect = load_dialect(name)
        kinds = dialect.compositions
        only = f" Only for trials of the composition {', '.join(kinds)}." if kinds else ""
        parts.append(
            f"`{dialect.form}`\n: **{plain(dialect.title)}**, after {plain(dialect.source)}. "
            f"{plain(dialect.description)}{only}"
        )
    return "\n\n".join(parts) + "\n"


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def protocol_section(name: str) -> str:
    """One protocol in full."""
    protocol = load_protocol(name)
    made_of, test_set = protocol.composition, protocol.test_set
    split = f", split `{test_set.split}`" if test_set.split else ""
    options = f" ({plain(_settings(test_set.options))})" if test_set.options else ""
    parameters = f" ({plain(_settings(made_of.parameters))})" if made_of.parameters else ""
    rows = [
        ["test set", f"`{test_set.name}`{split}{options}"],
        ["composition", f"`{made_of.kind}`, seed {made_of.seed}{parameters}"],
        ["answers", plain(protocol.answers)],
        ["measures", ", ".join(map(code, protocol.measures))],
        ["threshold", plain(_threshold(protocol.threshold))],
        ["floors", ", ".join(map(code, protocol.controls.floors)) or "none"],
        ["priors that look", ", ".join(map(code, protocol.controls.priors)) or "none"],
        ["source", plain(protocol.source)],
        ["version", str(protocol.version)],
        ["digest", f"`{protocol.digest[:16]}...`"],
    ]
    about = plain(protocol.description)
    return f"## {name}\n\n**{plain(protocol.title)}.** {about}\n\n" + table(["", ""], rows)


def protocols_page() -> str:
    """Every protocol and suite that ships."""
    listed = table(
        ["protocol", "title", "test set"],
        (
            [f"[{name}](#{name})", plain(protocol.title), f"`{protocol.test_set.name}`"]
            for name in protocol_names()
            for protocol in [load_protocol(name)]
        ),
    )
    suites = table(
        ["suite", "title", "protocols"],
        (
            [code(name), plain(suite.title), ", ".join(map(code, suite.protocols))]
            for name in suite_names()
            for suite in [load_suite(name)]
        ),
    )
    return made(
        "Protocols",
        "A protocol is a file in `protocols/` that says everything that changes a number: which "
        "test set, how its samples become trials, how a map becomes a prediction, and what is "
        "measured. `NAME@TESTSET[:SPLIT]` moves one to another test set; "
        "`--protocol all`, a list with commas between, or a suite runs several at once. "
        "`ssl-bench protocols NAME --trials` prints the trials themselves.",
        listed,
        "## Suites\n\n" + suites,
        *map(protocol_section, protocol_names()),
    )


def measures_page() -> str:
    """Every measure: formula, range, source."""
    used = Counter(
        parse_measure(text).name
        for protocol in map(load_protocol, protocol_names())
        for text in protocol.measures
    )
    parts = []
    for name, definition in sorted(DEFINITIONS.items(), key=lambda item: -used[item[0]]):
        facts = definition.facts()
        rows = [
            [plain(key), plain(value)]
            for key, value in facts.items()
            if key not in ("form", "title", "formula") and value != ""
        ]
        form = str(facts["form"]).replace("|".join(RULES), "RULE")
        parts.append(
            f"## {plain(name)}\n\n**{plain(facts['title'])}.** Written {code(form)}.\n\n"
            f"```text\n{facts['formula']}\n```\n\n" + table(["", ""], rows)
        )
    return made(
        "Measures",
        'What each measure is, from the code; `ssl-bench measures "cIoU(adaptive)@0.5"` explains '
        "one with all the rules that were asked for. *P* is the predicted set of pixels, *G* the "
        "truth; what most protocols measure comes first. `RULE`, how a map becomes a prediction, "
        f"is one of {', '.join(map(code, RULES))}; without one, it is that of the protocol.",
        *parts,
    )


# ------------------------------------------------------------------------ models and test sets


def baselines() -> list[str]:
    """Names of the baselines: those that hear first, trivial ones last."""
    order = ("audio-visual", "vision-only", "trivial")
    return sorted(list_baselines(), key=lambda name: order.index(load_baseline(name).card.modality))


def models_page() -> str:
    """What every baseline needs, and what of it ships."""
    parts = []
    for name in baselines():
        baseline = load_baseline(name)
        card, recipe = baseline.card, baseline.recipe
        variants = "; ".join(
            f"`{variant}`{' (default)' if variant == recipe.default_variant else ''}: "
            f"{plain(chosen.about)}"
            for variant, chosen in recipe.variants.items()
        )
        rows = [
            ["modality", plain(card.modality)],
            ["variants", variants],
            ["weights", plain(card.weights)],
            ["training data", plain(card.training_data)],
            ["image trunk starts from", plain(card.pretraining.image)],
            ["sound trunk starts from", plain(card.pretraining.audio)],
            ["labels seen", plain(card.pretraining.labels)],
            ["preprocessing", plain(card.preprocessing)],
            ["licence", plain(card.licence)],
        ]
        parts.append(
            f"## {name}\n\n**{plain(card.title)}.** {plain(card.summary)}\n\n"
            + table(["", ""], rows)
        )
    return made(
        "Models",
        "The baselines that ship, from their cards. Most have a small variant that was trained on "
        "the embedded world, so that every protocol of it runs at once, and take weights of full "
        "size by `--variant full --weights FILE`. Those that came after the four papers take "
        "weights of their authors' code alone. How each departs from its paper is told in "
        "[](baselines.md).",
        *parts,
    )


def baselines_page() -> str:
    """Each baseline against its paper."""
    figures = read_published()
    parts = []
    for name in baselines():
        card = load_baseline(name).card
        printed = [
            figure
            for reference in card.published
            for figure in figures
            if (figure.paper, figure.method, figure.variant)
            == (reference.paper, reference.method, reference.variant)
        ]
        rows = [
            [
                f"{figure.paper}, table {figure.table}",
                plain(f"{figure.method} {figure.variant}"),
                plain(figure.train_set),
                plain(f"{figure.test_set} ({figure.protocol})"),
                plain(f"{figure.metric} {figure.value:g}"),
            ]
            for figure in printed
        ]
        parts.append(
            f"## {name}\n\n**{plain(card.title)}** ({plain(card.modality)}). "
            f"Paper: {plain(card.paper)}. Code: {plain(card.code)}.\n\n"
            + _listed("How it departs from the paper or its code", card.deviations)
            + _listed("What was measured here, ablations among it", card.measured)
            + (
                "### Printed figures of "
                + name
                + "\n\n"
                + table(["table", "method", "trained on", "tested on", "figure"], rows)
                if rows
                else ""
            )
        )
    return made(
        "Each baseline against its paper",
        "From the cards in `baselines/`. The small variants that ship are re-implementations on "
        "pictures made by code: their figures say nothing about the published checkpoints. "
        "Labels such as \\[A-1\\] mark assumptions that fill a gap of a paper. The ablations were "
        "trained with `benchmarks/ablation.py`, three seeds each.",
        *parts,
    )


def _listed(title: str, texts: Sequence[str]) -> str:
    if not texts:
        return ""
    return f"**{title}**\n\n" + "".join(f"- {plain(text)}\n" for text in texts) + "\n"


def reproduced_page() -> str:
    """Every table of the papers as it came out in the embedded world."""
    tables = read_reproduced()
    claims = [
        (code(each.label), claim.says, claim.measure, claim.verdict, points(claim))
        for each in tables
        for claim in each.claims
    ]
    counts = Counter(verdict for each in tables for verdict in each.verdicts.values())
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return made(
        "Tables of the papers in the embedded world",
        "What `ssl-bench reproduce all --seeds 3 --train` printed ([how to]"
        "(../how-to/reproduce.md)), all from one folder of weights, trained on one processor: "
        "another trains others from the same seeds, such as those that cards tell of. The small "
        "models stand for the published networks, so figures are others by nature; what is asked "
        "is whether a table's claims hold. A claim *holds* if the better row scores higher with "
        "every training seed and most 95 % intervals of the paired difference exclude zero; it is "
        "*reversed* if the same is true of the other row. It is judged under every measure in "
        "which the paper prints that row higher, by the rules of the paper's dialect. Of "
        f"{counts.total()} claims: {summary}.",
        "## Claims",
        table(["table", "claim", "measure", "verdict", "points, by seed"], claims),
        *map(markdown, tables),
    )


def test_sets_page() -> str:
    """Which files each test set needs."""
    parts = []
    for name, definition in sorted(definitions().items()):
        layout = definition.layout().strip()
        parts.append(
            f"## {plain(name)}\n\n**{plain(definition.title)}.**\n\n```text\n{layout}\n```"
        )
    return made(
        "Test sets",
        "The test sets that are known by name, and the files that each needs, as "
        "`ssl-bench data layout NAME` prints them. `DATA` is the folder of `--data`, or of "
        "`SSL_BENCH_DATA`. A folder of your own: [](../how-to/own-data.md).",
        *parts,
    )


# --------------------------------------------------------------------- schemas and error codes


def _type_of(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return field["$ref"].rsplit("/", 1)[-1]
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(_type_of(each) for each in field[several])
    if "const" in field:
        return json.dumps(field["const"])
    if "enum" in field:
        return " or ".join(map(json.dumps, field["enum"]))
    kind = str(field.get("type", "anything"))
    if kind == "array":
        items = field.get("items")
        return f"list of {_type_of(items)}" if items else "list"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"table of {_type_of(field['additionalProperties'])}"
    return {"object": "table", "integer": "whole number"}.get(kind, kind)


def _default_of(field: dict[str, Any]) -> str:
    return code(json.dumps(field["default"])) if "default" in field else "empty"


def schema_section(name: str) -> str:
    """The fields of one document, and a link to its JSON schema."""
    about, model = SCHEMAS[name]
    schema = model.model_json_schema()
    required = schema.get("required", [])
    rows = [
        [
            code(field),
            plain(_type_of(facts)),
            "required" if field in required else _default_of(facts),
        ]
        for field, facts in schema.get("properties", {}).items()
    ]
    return (
        f"## {name}\n\n{about[:1].upper()}{about[1:]}: "
        f"{{download}}`{name}.json <schemas/{name}.json>`.\n\n"
        + table(["field", "type", "default"], rows)
    )


def schemas_page() -> str:
    """Every schema."""
    return made(
        "Schemas",
        "JSON schemas of every document that is read or written, made from the models that check "
        "them. TOML files are checked by the same schemas. Unknown fields are refused. "
        "[](../reference/formats.md) says what stays as it is between versions.",
        *map(schema_section, SCHEMAS),
    )


def error_codes() -> dict[str, set[str]]:
    """Codes of errors and of single problems, with the modules that use them."""
    found: dict[str, set[str]] = {}
    for module, path in architecture.sources(architecture.PACKAGE).items():
        for text in re.findall(r'"(E(?:_[A-Z0-9]+)+)"', path.read_text(encoding="utf-8")):
            found.setdefault(text, set()).add(architecture.package_of(module))
    return found


def error_codes_table() -> str:
    """All codes, and the packages that use them."""
    return table(
        ["code", "packages"],
        ([code(name), ", ".join(sorted(where))] for name, where in sorted(error_codes().items())),
    )


def pages() -> dict[str, str]:
    """Every page and part by its path below ``docs/made/``."""
    return {
        "commands.md": commands_page(),
        "python.md": python_page(),
        "protocols.md": protocols_page(),
        "measures.md": measures_page(),
        "models.md": models_page(),
        "baselines.md": baselines_page(),
        "reproduced.md": reproduced_page(),
        "test-sets.md": test_sets_page(),
        "schemas.md": schemas_page(),
        "parts/dialects.md": dialect_table(),
        "parts/dialect-sources.md": dialect_sources(),
        "parts/error-codes.md": error_codes_table(),
        "parts/layers.html": f'<div class="layers">{architecture.picture()}</div>\n',
        **{
            f"schemas/{name}.json": json.dumps(model.model_json_schema(), indent=1) + "\n"
            for name, (_, model) in SCHEMAS.items()
        },
    }


def write(folder: Path) -> None:
    """Write what changed into a folder, and remove what is no longer made."""
    wanted = {folder / name: text for name, text in pages().items()}
    for path in folder.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
