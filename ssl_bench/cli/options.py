"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ssl_bench.errors import ModelError, PredictionsError

_Command = TypeVar("_Command", bound=Callable[..., Any])

# Longer ones are no number that any option takes, and Python refuses to read the longest.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,40}")

MOST_WORKERS = 256
"""Threads or processes that a command may be asked for."""


def protocol_option(command: _Command) -> _Command:
    """``--protocol NAME[@TESTSET[:SPLIT]]``."""
    return click.option(
        "--protocol",
        required=True,
        metavar="NAME[@TESTSET[:SPLIT]]",
        help="Protocol to answer, such as concat or concat@vggss; or a path ending in .toml. "
        "'ssl-bench protocols' lists them.",
    )(command)


def data_option(command: _Command) -> _Command:
    """``--data DIR``."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder with one sub-folder per test set. Default: $SSL_BENCH_DATA.",
    )(command)


def json_option(command: _Command) -> _Command:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def jobs_option(command: _Command) -> _Command:
    """``--jobs N``."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, MOST_WORKERS),
        default=2,
        show_default=True,
        help="Threads that read and score. Does not change results.",
    )(command)


def model_options(command: _Command) -> _Command:
    """Everything that says which model: name, variant, weights, prior, seed, options."""
    return click.option(
        "--model", required=True, metavar="NAME", help="Baseline, plug-in, or FILE.py:Class."
    )(model_settings(command))


def model_settings(command: _Command) -> _Command:
    """What says which form of a model: variant, weights, prior, seed, options."""
    options = (
        click.option("--variant", help="Variant of the baseline. Default: the one that ships."),
        click.option(
            "--weights",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Weights file, such as the authors' checkpoint; 'download' fetches a published "
            "one whose address the recipe knows.",
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
        click.option(
            "--option",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help="Further setting of the model; may be repeated.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def parse_priors(priors: tuple[str, ...]) -> dict[str, Path]:
    """``NAME=FILE`` pairs of priors as a dictionary.

    Raises
    ------
    ModelError
        If a pair is no such pair, or a name comes twice.

    Examples
    --------
    >>> parse_priors(("ogl-l1=resnet18.pth",))
    {'ogl-l1': PosixPath('resnet18.pth')}
    """
    found: dict[str, Path] = {}
    for prior in priors:
        name, equals, file = prior.partition("=")
        if not (name and equals and file):
            raise ModelError(f"the prior {prior!r} is not NAME=FILE")
        if name in found:
            raise ModelError(f"the prior {name!r} is given twice", remedy="give each once")
        found[name] = Path(file)
    return found


def parse_named_files(texts: tuple[str, ...]) -> dict[str, Path]:
    """``NAME=FILE`` or ``FILE``, which is named after itself, as a dictionary.

    Raises
    ------
    PredictionsError
        If the name or the file is empty, or a name comes twice.

    Examples
    --------
    >>> parse_named_files(("silence=mute.npz", "noise.npz"))
    {'silence': PosixPath('mute.npz'), 'noise': PosixPath('noise.npz')}
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not text or (equals and not (name and file)):
            raise PredictionsError(["this is neither FILE nor NAME=FILE"], where=text)
        path = Path(file if equals else text)
        name = name if equals else path.stem
        if name in found:
            raise PredictionsError([f"two files are called {name!r}; use NAME=FILE"], where=path)
        found[name] = path
    return found


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """``KEY=VALUE`` pairs as a dictionary; whole numbers become integers.

    Raises
    ------
    ModelError
        If a pair has no ``=``.

    Examples
    --------
    >>> parse_settings(("resolution=14", "name=x"))
    {'resolution': 14, 'name': 'x'}
    """
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise ModelError(f"the option {setting!r} is not KEY=VALUE")
        found[key] = int(value) if _WHOLE_NUMBER.fullmatch(value) else value
    return found
