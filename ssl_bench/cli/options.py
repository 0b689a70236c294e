"""Options that several commands share, and the request that they make."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ssl_bench.analysis.evaluation import Request

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Decorator = Callable[[_Command], _Command]

MAX_WORKERS = 256
"""Threads or processes that a command may be asked for."""

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

# Longer ones are no number that any option takes, and Python refuses to read the longest.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,40}")


def whole_or_text(value: str) -> int | str:
    """A whole number as one, everything else as text.

    Examples
    --------
    >>> whole_or_text("14"), whole_or_text("1e3")
    (14, '1e3')
    """
    return int(value) if _WHOLE_NUMBER.fullmatch(value) else value


def pairs_option(
    flag: str, name: str, metavar: str, value: Callable[[str], Any], **settings: Any
) -> _Decorator[Any]:
    """A repeatable option ``KEY=VALUE`` that arrives as a dictionary.

    Parameters
    ----------
    flag, name
        The option, and its parameter of the command.
    metavar
        How a pair is written. In brackets, ``[NAME=]FILE``, the key is optional, and the stem of
        the file stands in for it.
    value
        Reads a value.
    **settings
        As for :func:`click.option`.
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


protocol_option = click.option(
    "--protocol",
    required=True,
    metavar="NAME[@TESTSET[:SPLIT]]",
    help="Protocol, such as concat or concat@vggss; or a path ending in .toml. "
    "'ssl-bench protocols' lists them.",
)
data_option = click.option(
    "--data", type=FOLDER, help="Folder with one sub-folder per test set. Default: $SSL_BENCH_DATA."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, MAX_WORKERS),
    default=2,
    show_default=True,
    help="Threads that read and score. Does not change results.",
)
dialect_option = click.option(
    "--dialect",
    metavar="NAME[:CHOICE]",
    help="Score as this public evaluator does; 'ssl-bench protocols' lists them.",
)
prior_weights_option = pairs_option(
    "--prior",
    "priors",
    "NAME=WEIGHTS",
    Path,
    help="Weights of an audio-blind baseline such as ogl-l1 (variant full), for the gap where none "
    "ship; may be repeated.",
)
vision_only_option = click.option(
    "--vision-only", type=PATH, help="The model's audio-blind predictions, for the gap."
)
board_option = click.option(
    "--board", type=FOLDER, help="Folder of the leaderboard. Default: that of this project."
)


def model_option(*, required: bool = True) -> _Decorator[Any]:
    """Which model, and in which form: name, variant, weights, object guidance, seed, options."""
    options = (
        click.option(
            "--model",
            required=required,
            metavar="NAME",
            help="Baseline, plug-in, or FILE.py:Class.",
        ),
        click.option("--variant", help="Variant of the baseline. Default: the one that ships."),
        click.option(
            "--weights",
            type=FILE,
            help="Weights file, such as the authors' checkpoint; 'download' fetches a published "
            "one whose URL the recipe holds.",
        ),
        click.option(
            "--ogl",
            is_flag=True,
            help="Object-guided localization: mix with the baseline's object prior, or with that "
            "of --option prior=NAME.",
        ),
        click.option(
            "--alpha",
            type=click.FloatRange(0, 1),
            help="Weight of the audio-visual map in that mix; implies --ogl.  [default: 0.4]",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, help="For random baselines."),
        pairs_option(
            "--option",
            "settings",
            "KEY=VALUE",
            whole_or_text,
            help="Further setting of the model; may be repeated.",
        ),
    )

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def request_of(given: Mapping[str, Any]) -> Request:
    """The model that a command was asked to run, and its settings.

    Raises
    ------
    ModelError
        If the model has no object prior to be guided by.
    """
    from ssl_bench.analysis.evaluation import Request

    alpha = given["alpha"]
    if alpha is None and given["ogl"]:
        from ssl_bench.models.registry import PRESET, default_alpha

        alpha = default_alpha(given["model"], given["variant"], given["settings"].get(PRESET))
    return Request(
        model=given["model"],
        variant=given["variant"],
        weights=given["weights"],
        alpha=alpha,
        seed=given["seed"],
        settings=given["settings"],
        data=given["data"],
        folder=given["out"],
        dialect=given.get("dialect"),
        batch_size=given.get("batch_size", 32),
        jobs=given["jobs"],
        dtype="float16" if given.get("float16") else "float32",
        priors=given.get("priors", {}),
    )
