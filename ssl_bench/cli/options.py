"""Options that several commands share, and the request that they make."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.plots import FORMATS, format_of

if TYPE_CHECKING:
    from ssl_bench.analysis.request import Request
    from ssl_bench.executors import Executor

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Decorator = Callable[[_Command], _Command]

MAX_WORKERS = 256
"""Threads or processes that a command may be asked for."""

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


class _Picture(click.Path):
    """A file that a figure is written to; another ending than a figure's is refused at once."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path: Path = super().convert(value, param, ctx)  # type: ignore[assignment]
        format_of(path)
        return path


PICTURE = _Picture(path_type=Path, dir_okay=False)

# Longer ones are no number that any option takes, and Python refuses to read the longest.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,40}")


def whole_or_text(value: str) -> int | str:
    """A whole number as one, everything else (such as ``1e3``) as text."""
    return int(value) if _WHOLE_NUMBER.fullmatch(value) else value


def _folder_or_address(text: str) -> Path | str:
    from ssl_bench.engine.store import is_address

    return text if is_address(text) else Path(FOLDER.convert(text, None, None))


def pairs_option(
    flag: str, name: str, metavar: str, value: Callable[[str], Any], **settings: Any
) -> _Decorator[Any]:
    """A repeatable option ``KEY=VALUE`` that arrives as a dictionary of what `value` reads.

    With a key in brackets in `metavar`, ``[NAME=]FILE``, the key is optional, and the stem of the
    file is used in its place.
    """

    def read(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> Any:
        found: dict[str, Any] = {}
        for text in texts:
            key, equals, content = text.partition("=")
            if not equals and metavar.startswith("["):
                key, content = Path(text).stem, text
            if not key or not content:
                raise click.BadParameter(f"{text!r} is not {metavar}")
            if key in found:
                raise click.BadParameter(f"{key!r} is given twice")
            found[key] = value(content)
        return found

    return click.option(flag, name, multiple=True, metavar=metavar, callback=read, **settings)


def count_option(
    flag: str, default: int, text: str, *names: str, least: int = 1, most: int | None = None
) -> _Decorator[Any]:
    """A whole number from `least` to `most`, whose default the help shows."""
    kind = click.IntRange(least, most)
    return click.option(flag, *names, type=kind, default=default, show_default=True, help=text)


def choice_option(flag: str, choices: Sequence[str], text: str) -> _Decorator[Any]:
    """One of some words; the first is the default."""
    kind = click.Choice(choices)
    return click.option(flag, type=kind, default=choices[0], show_default=True, help=text)


def together(*options: _Decorator[Any]) -> _Decorator[Any]:
    """Several options as one decorator, in this order in the help."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


protocol_option = click.option(
    "--protocol",
    required=True,
    metavar="NAME[@TESTSET[:SPLIT]]",
    **completed(candidates.several_protocols),
    help="Protocol, such as concat or concat@vggss; or a path ending in .toml. "
    "'ssl-bench protocols' lists them.",
)
predictions_protocol_option = click.option(
    "--protocol",
    metavar="NAME[@TESTSET[:SPLIT]]",
    **completed(candidates.protocols),
    help="Protocol that the predictions answer, as 'ssl-bench protocols' lists them; or a path "
    "ending in .toml. Default: the one that the file names.",
)
protocols_option = click.option(
    "--protocol",
    "protocols",
    multiple=True,
    metavar="NAME[@TESTSET]",
    **completed(candidates.protocols),
    help="Only this one; may be repeated.",
)
data_option = click.option(
    "--data", type=FOLDER, help="Folder with one sub-folder per test set. Default: $SSL_BENCH_DATA."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
jobs_option = count_option(
    "--jobs",
    2,
    "Threads, or processes, that read and score. Does not change results.",
    most=MAX_WORKERS,
)
dialect_option = click.option(
    "--dialect",
    metavar="NAME[:CHOICE]",
    **completed(candidates.dialects),
    help="Score as this public evaluator does; 'ssl-bench protocols' lists them.",
)
prior_weights_option = pairs_option(
    "--prior",
    "priors",
    "NAME=WEIGHTS",
    Path,
    help="Weights of an audio-blind baseline such as ogl-l1 (variant full), for what is reached "
    "without sound where none ship; may be repeated.",
)
_DEAF_MAPS = (
    "Predictions of the same trials that were made without the sound, such as those of a prior of "
    "your own"
)


def deaf_maps_option(text: str = _DEAF_MAPS) -> _Decorator[Any]:
    """Maps made without the sound, by name, which count in what is reached without it."""
    shown = f"{text}; may be repeated."
    return pairs_option("--without", "without", "[NAME=]FILE", Path, help=shown)


without_option = deaf_maps_option()
submitted_without_option = deaf_maps_option(
    f"{_DEAF_MAPS}: the hearing that is printed here counts them, but the board cannot, for it "
    "does not hold them (the model's own belong to --vision-only)"
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace what an earlier run left in that folder."
)
cache_option = click.option(
    "--cache/--no-cache",
    "use_cache",
    default=True,
    show_default=True,
    help="Take what is the same for every model, such as priors and trivial maps, from the cache.",
)
# As many as a sheet holds.
sheet_option = count_option(
    "--sheet", 6, "Trials in the picture sheet; 0 for none.", "pictured", least=0, most=200
)


def workers_option(text: str) -> _Decorator[Any]:
    """``--workers``, which does what `text` says."""
    return count_option("--workers", 1, text, most=MAX_WORKERS)


def executor_option(workers: str) -> _Decorator[Any]:
    """``--workers``, ``--executor`` and ``--address``: where the parts of a task are worked on."""
    return together(workers_option(workers), _kind_options)


_kind_options = together(
    choice_option("--executor", ("processes", "ray"), "What runs several workers."),
    click.option("--address", metavar="HOST:PORT", help="Ray cluster. Default: one started here."),
)
device_options = together(
    click.option(
        "--device",
        default="cpu",
        show_default=True,
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="Where the model's networks compute; auto takes a GPU where there is one. Several, "
        "with commas between: a process on each. The result says so.",
    ),
    choice_option("--precision", ("32", "bf16", "16"), "Bits in which networks multiply."),
    workers_option("Processes (or Ray workers) that run the model."),
)
executor_options = together(
    device_options,
    _kind_options,
    click.option(
        "--parts",
        metavar="DIR|URL",
        callback=lambda _context, _option, text: text and _folder_or_address(text),
        help="Finished parts, from which an interrupted run goes on: a folder that all machines "
        "share, or an address of fsspec such as s3://BUCKET/DIR.  [default: in the cache folder]",
    ),
)
format_option = click.option(
    "--format",
    "ending",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="Format of the figures; in pdf and svg, text stays text.",
)
label_option = click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME",
    help="What a RUN is called, once for each, in their order. Default: what distinguishes them.",
)
log_option = click.option(
    "--log",
    "tracker",
    metavar="TRACKER:PLACE",
    help="Write results to a tracker of experiments, too: tensorboard:FOLDER, mlflow:URI or "
    "wandb:PROJECT.",
)
limit_option = click.option(
    "--limit", type=click.IntRange(1), help="Answer the first N images only, for a first look."
)
missing_options = together(
    click.option(
        "--skip-missing",
        "missing",
        flag_value="skip",
        help="Leave out trials whose image or sound is missing or unusable; the result is partial.",
    ),
    click.option(
        "--missing-fail",
        "missing",
        flag_value="fail",
        help="Count such trials as failures, over all trials of the protocol.",
    ),
    click.option(
        "--problems",
        metavar="FILE.csv",
        type=PATH,
        help="Write every problem and note about images and sounds.",
    ),
)
vision_only_option = click.option(
    "--vision-only", type=PATH, help="The model's own audio-blind predictions."
)
resample_option = click.option(
    "--resample",
    is_flag=True,
    help="Convert sounds of another rate, or of more channels, than the model takes, instead of "
    "refusing them. The result says so.",
)
board_option = click.option(
    "--board",
    type=FOLDER,
    help="Folder of the leaderboard. Default: 'leaderboard' of the checkout that you are in.",
)


new_board_option = click.option(
    "--new-board", is_flag=True, help="Begin a board where there is none, without being asked."
)


def may_begin(board: Path, new_board: bool, *, ask: bool = True) -> bool:
    """Whether a board may be made where there is none: a person at a terminal is asked."""
    missing = not (board / "submissions").is_dir()
    if new_board or not (missing and ask and sys.stdin.isatty()):
        return new_board
    return click.confirm(f"There is no board in {str(board)!r}. Begin one?", err=True)


def model_option(*, required: bool = True) -> _Decorator[Any]:
    """Which model, and in which form: name, variant, weights, object guidance, seed, options."""
    about = "Baseline, plug-in, or FILE.py:NAME (a class, an object, or a function)."
    return together(
        click.option(
            "--model", required=required, metavar="NAME", help=about, **completed(candidates.models)
        ),
        click.option(
            "--variant",
            help="Variant of the baseline. Default: the one that ships.",
            **completed(candidates.variants),
        ),
        click.option(
            "--weights",
            type=FILE,
            help="Weights file, such as the authors' checkpoint; 'download' fetches a published "
            "one whose URL the recipe holds.",
        ),
        click.option(
            "--ogl",
            is_flag=True,
            help="Object-guided localization: mix with the model's object prior (your own model: "
            "ogl-l1), or with that of --option prior=NAME.",
        ),
        click.option(
            "--alpha",
            type=click.FloatRange(0, 1),
            help="Weight of the audio-visual map in that mix; implies --ogl.  [default: "
            "0.4, and 0.9 of slavc, as in its scripts for extended test sets]",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, help="For random baselines."),
        pairs_option(
            "--option",
            "settings",
            "KEY=VALUE",
            whole_or_text,
            help="Further setting of the model; may be repeated.",
        ),
        resample_option,
    )


wide_option = click.option(
    "--wide", is_flag=True, help="All figures with their intervals, however wide."
)
table_choice_options = together(
    click.option(
        "--measure",
        "measures",
        multiple=True,
        metavar="MEASURE",
        **completed(candidates.measures),
        help="Measure to show; may be repeated.  [default: all]",
    ),
    click.option(
        "--columns",
        metavar="NAME,NAME,...",
        default="",
        callback=lambda _context, _option, text: [each for each in text.split(",") if each],
        help="Columns: coverage, score, without-sound, hearing, p, floor, ceiling, and what "
        "distinguishes runs: run, variant, weights, training-set, training-seed, alpha, seed, "
        "device, precision, or an option.  [default: what differs, score, without-sound, hearing]",
    ),
    label_option,
    click.option(
        "--by",
        multiple=True,
        metavar="NAME",
        help="Attribute of trials, such as type or n_boxes, by whose values scores are told apart "
        "in Markdown, LaTeX and other tables; may be repeated. all: every one of at most 8 values.",
    ),
)


def require_label_each(labels: Sequence[str], count: int) -> None:
    """Refuse labels that are not as many as there are runs."""
    if labels and len(labels) != count:
        raise click.UsageError(f"--label names each run: {count} runs, {len(labels)} labels")


def executor_of(given: Mapping[str, Any]) -> Executor:
    """The executor that a command was asked for; on its devices, where it asks for some."""
    from ssl_bench.executors import Executor, processes

    workers, kind = given["workers"], given.get("executor", "processes")
    if given.get("address") is not None and kind != "ray":
        raise click.UsageError("--address belongs to --executor ray")
    devices = tuple(given["device"].split(",")) if "device" in given else ()
    if kind == "processes":
        if len(devices) <= 1:
            return processes(workers)
        return Executor("processes", max(workers, len(devices)), devices)
    return Executor("ray", workers, devices, given["address"])


def request_of(given: Mapping[str, Any]) -> Request:
    """The model that a command was asked to run, and its settings."""
    from ssl_bench.analysis.request import Request

    alpha = given["alpha"]
    if alpha is None and given["ogl"]:
        from ssl_bench.models.registry import PRESET, default_alpha

        alpha = default_alpha(given["model"], given["variant"], given["settings"].get(PRESET))
    named = {each.name: given[each.name] for each in fields(Request) if each.name in given}
    if given.get("resample"):
        named["settings"] = {**named["settings"], "resample": True}
    if "workers" in given:
        named["executor"] = executor_of(given)
        named["device"] = given["device"].partition(",")[0]
    dtype = "float16" if given.get("float16") else "float32"
    return Request(**{**named, "alpha": alpha, "folder": given["out"], "dtype": dtype})
