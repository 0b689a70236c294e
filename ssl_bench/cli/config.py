"""Options from a file: ``--config`` and ``--save-config`` of every command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ssl_bench.errors import SslBenchError, one_of

CONFIG, SAVE_CONFIG = "config", "save_config"


class ConfigError(SslBenchError):
    """A file of options cannot be read, or holds what the command does not take."""

    code = "E_CONFIG"


_FILE = click.Path(path_type=Path, dir_okay=False)


def _options() -> list[click.Parameter]:
    return [
        click.Option(
            [f"--{CONFIG}"],
            type=_FILE,
            metavar="FILE.toml",
            expose_value=False,
            help="Take options from this file: their long names without dashes (batch-size = 8; "
            "several values, or KEY=VALUE, as a list), and arguments by their names. Options of "
            "the command line win. Paths start where you are, as on the command line.",
        ),
        click.Option(
            ["--save-config"],
            type=_FILE,
            metavar="FILE.toml",
            expose_value=False,
            help="Write the options in force to this file, for --config, and run.",
        ),
    ]


class ConfigurableCommand(click.Command):
    """A command that reads its options from a file, too, and writes them into one."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params = [*self.params, *_options()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the words that a file stands for before those of the command line."""
        if ctx.resilient_parsing:  # names are completed
            return super().parse_args(ctx, args)
        given = self._given(ctx, args)
        path = given.get(CONFIG)
        words = args if path is None else self._with_config(Path(path), given, args)
        if SAVE_CONFIG in given:
            ctx.meta[SAVE_CONFIG] = self._given(ctx, words)
        try:
            return super().parse_args(ctx, words)
        except click.BadParameter as error:
            if path is None or error.param is None or error.param.name in given:
                raise
            raise ConfigError(
                error.format_message().rstrip("."), code="E_CONFIG_VALUE", where=path
            ) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Write the options in force where that was asked for, and run."""
        given = ctx.meta.get(SAVE_CONFIG)
        if given is not None:
            from ssl_bench.files import write_text

            write_text(Path(given[SAVE_CONFIG]), _toml(dict(self._in_force(ctx, given))))
        return super().invoke(ctx)

    def _given(self, ctx: click.Context, args: list[str]) -> dict[str, Any]:
        """What words give, by the name of the option or argument, as text."""
        values, _, _ = self.make_parser(ctx).parse_args(list(args))
        # An argument that is not given has None or a sentinel of click in its place.
        texts = {name: value for name, value in values.items() if _is_given(value)}
        return {
            name: list(each) if isinstance(each, tuple) else each for name, each in texts.items()
        }

    def _fields(self) -> dict[str, click.Parameter]:
        """Options and arguments by their keys in a file."""
        found: dict[str, click.Parameter] = {}
        for each in self.params:
            if each.name in (CONFIG, SAVE_CONFIG):
                continue
            if isinstance(each, click.Option):
                for word in (*each.opts, *each.secondary_opts):
                    if word.startswith("--"):
                        found[word.removeprefix("--")] = each
            else:
                found[str(each.name)] = each
        return found

    def _with_config(self, path: Path, given: Mapping[str, Any], args: list[str]) -> list[str]:
        """The words of a command line, and those of a file for what they leave open."""
        fields = self._fields()
        table = _read(path)
        for key in table:
            if key not in fields:
                raise ConfigError(
                    f"{key!r} is not an option of this command",
                    code="E_CONFIG_KEY",
                    where=path,
                    remedy=one_of(fields, key),
                )
        words: list[str] = []
        last: list[str] = []
        for key in [each for each in fields if each in table]:
            field = fields[key]
            texts = _texts(field, key, table[key], path)
            if field.name in given:
                continue
            if isinstance(field, click.Argument):
                last += texts
            else:
                words += texts
        marker = ["--"] if last and "--" not in args else []
        return [*words, *args, *marker, *last]

    def _in_force(self, ctx: click.Context, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Keys and values that give the same options again."""
        seen = set[str]()
        for key, field in self._fields().items():
            name = str(field.name)
            if name in given:
                value = given[name]
                if _is_flag(field):
                    flag = getattr(field, "flag_value", None)
                    if not isinstance(value, bool) and value != flag:
                        continue  # another option of the same name
                    value = value if isinstance(value, bool) else True
            elif isinstance(field, click.Argument):
                continue
            else:
                value = field.get_default(ctx)
                if not _is_given(value) or (_is_flag(field) and value is not True):
                    continue
            if name in seen:
                continue
            seen.add(name)
            yield key, _typed(field, value)


class ConfigurableGroup(click.Group):
    """A group of commands that read their options from a file, too."""

    command_class = ConfigurableCommand


def command(
    name: str | None = None, **settings: Any
) -> Callable[[Callable[..., Any]], ConfigurableCommand]:
    """A command with ``--config`` and ``--save-config``; otherwise as click's decorator.

    Examples
    --------
    >>> @command()
    ... @click.option("--jobs", type=int, default=2)
    ... def work(jobs):
    ...     print(jobs)
    >>> work.main(["--jobs", "3"], standalone_mode=False)
    3
    """
    return click.command(name, cls=ConfigurableCommand, **settings)


def _is_given(value: Any) -> bool:
    return isinstance(value, str | bool | int | float | os.PathLike) or (
        isinstance(value, tuple | list) and len(value) > 0
    )


def _is_flag(field: click.Parameter) -> bool:
    return isinstance(field, click.Option) and field.is_flag


def _is_several(field: click.Parameter) -> bool:
    return getattr(field, "multiple", False) or field.nargs == -1


def _read(path: Path) -> dict[str, Any]:
    from pydantic import RootModel

    from ssl_bench.schemas import read_toml

    remedy = "name a TOML file of options, such as --save-config writes"
    return read_toml(path, RootModel[dict[str, Any]], error=ConfigError, remedy=remedy).root


def _texts(field: click.Parameter, key: str, value: Any, path: Path) -> list[str]:
    """The words of a command line that give an option or argument this value."""
    if _is_flag(field):
        if not isinstance(value, bool):
            raise _wrong_type(key, value, "true or false", path)
        assert isinstance(field, click.Option)
        if value:
            return [f"--{key}"]
        other = field.secondary_opts if f"--{key}" in field.opts else field.opts
        return list(other[:1])
    values = value if _is_several(field) and isinstance(value, list) else [value]
    if _is_several(field) and isinstance(value, dict):
        values = [f"{name}={_word(each)}" for name, each in value.items()]
    expected = _expected(field)
    for each in values:
        if isinstance(each, bool) or not isinstance(each, expected):
            kinds = {int: "a whole number", float: "a number", str: "text"}
            told = kinds[expected[-1]] + (" or a list of such" if _is_several(field) else "")
            raise _wrong_type(key, each, told, path)
    words = [_word(each) for each in values]
    return words if isinstance(field, click.Argument) else [f"--{key}={word}" for word in words]


def _expected(field: click.Parameter) -> tuple[type, ...]:
    """The types that a value may have in a file; the last names them."""
    if isinstance(field.type, click.types.IntParamType):
        return (int,)
    if isinstance(field.type, click.types.FloatParamType):
        return int, float
    if isinstance(field.type, click.Choice):
        return int, str  # such as a precision
    return (str,)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong_type(key: str, value: Any, expected: str, path: Path) -> ConfigError:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return ConfigError(
        f"{key} is {shown[:60]}, which is not {expected}",
        code="E_CONFIG_TYPE",
        where=path,
        remedy=f"write {expected}",
    )


def _typed(field: click.Parameter, value: Any) -> Any:
    """A value as a file holds it: numbers as numbers, paths as text."""
    if isinstance(value, tuple | list):
        return [_typed(field, each) for each in value]
    if isinstance(value, bool):
        return value
    if isinstance(field.type, click.types.IntParamType):
        return int(value)
    if isinstance(field.type, click.types.FloatParamType):
        return float(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _toml(table: Mapping[str, Any]) -> str:
    """A flat table as TOML, whose strings and lists are those of JSON."""
    lines = []
    for key, value in table.items():
        # JSON leaves DEL as it is.
        text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        lines.append(f"{key} = {text}\n")
    return "".join(lines)
