"""Names that a shell completes: of models, protocols, measures, test sets, entries of a board.

They are read from the names of files, because a shell waits for them: nothing here imports a
numerical library.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ssl_bench.files import content_folder

COMPLETION_VARIABLE = "_SSL_BENCH_COMPLETE"
"""Environment variable through which a shell asks what it can complete."""

Source = Callable[[click.Context, str], Iterable[str]]
"""Gives the names that an option may take, for what was typed before and of it."""

_PACKAGE = Path(__file__).parent.parent

_TEST_SETS_IN_CODE = ("collage", "flickr", "music-synthetic", "synth")

# Those with brackets must be quoted in a shell, so that a person writes them out.
_MEASURES = (
    *("AOC", "AP@0.5", "AUC", "AUROC", "CAP", "cIoU@0.5", "class-AP", "class-IoU"),
    *("F-AUC-AOC", "F-pos-neg", "F1@0.5", "IAUC", "IIoU@0.5", "LocAcc@0.5", "mAP", "max-F"),
    *("maxF1@0.5", "mean-cIoU", "mIoU", "NSA", "pIA", "pointing", "pooled-AUC"),
    *("pooled-cIoU@0.5", "precision-all@0.5", "scene-AUC", "scene-cIoU@0.5", "scene-NSA"),
    *("side-accuracy", "swap-sensitivity", "tau-AUC", "tile-NSA", "type-gap@0.5"),
)


def completed(source: Source) -> dict[str, Any]:
    """Settings of an option or argument whose values a shell completes with those names.

    Where no name begins with what was typed, files are completed.

    Examples
    --------
    >>> option = click.Option(["--dialect"], **completed(dialects))
    >>> [each.value for each in option.shell_complete(click.Context(click.Command("x")), "lv")]
    ['lvs']
    """

    def items(
        ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        found: list[str] = []
        # A file that cannot be read is reported when the command runs.
        with suppress(OSError, ValueError):
            found = [each for each in source(ctx, incomplete) if each.startswith(incomplete)]
        if found or not incomplete:
            return [CompletionItem(each) for each in dict.fromkeys(found)]
        return [CompletionItem(incomplete, type="file")]

    return {"shell_complete": items}


def models(_context: click.Context, _incomplete: str) -> Iterator[str]:
    """Baselines that ship, and plug-ins."""
    yield from baselines(_context, _incomplete)
    from importlib.metadata import entry_points

    yield from sorted(each.name for each in entry_points(group="ssl_bench.localizers"))


def baselines(_context: click.Context, _incomplete: str) -> Iterator[str]:
    """Baselines that ship."""
    yield from sorted(
        each.parent.name for each in content_folder("baselines").glob("*/recipe.toml")
    )


def variants(context: click.Context, _incomplete: str) -> Iterator[str]:
    """Variants of the model that was named before, or of all baselines."""
    given = context.params.get("model") or context.params.get("models") or ()
    chosen = [given] if isinstance(given, str) else list(given)
    found = set[str]()
    for name in chosen or baselines(context, ""):
        recipe = content_folder("baselines") / Path(name).name / "recipe.toml"
        if recipe.is_file():
            found |= _toml(recipe).get("variants", {}).keys()
    yield from sorted(found)


def protocols(context: click.Context, incomplete: str) -> Iterator[str]:
    """Protocols; after ``@`` the test sets, and after ``:`` the splits of one."""
    protocol, at, rest = incomplete.partition("@")
    if not at:
        yield from _shipped(".")
        return
    test_set, colon, _ = rest.partition(":")
    if not colon:
        yield from (f"{protocol}@{each}" for each in named_test_sets(context, ""))
        return
    from ssl_bench.errors import SslBenchError
    from ssl_bench.testsets import definition

    with suppress(SslBenchError):
        data = context.params.get("data")
        for split in definition(test_set, data).splits:
            yield f"{protocol}@{test_set}:{split}"


def several_protocols(context: click.Context, incomplete: str) -> Iterator[str]:
    """Protocols with commas between, suites, and all of them."""
    before, comma, last = incomplete.rpartition(",")
    yield from (f"{before}{comma}{each}" for each in protocols(context, last))
    if not comma:
        yield from (*_shipped("suites"), "all")


def dialects(_context: click.Context, _incomplete: str) -> Iterator[str]:
    """Dialects; with a choice after ``:`` where one is named after a model."""
    for path in sorted((content_folder("protocols") / "dialects").glob("*.toml")):
        yield path.stem
        if _incomplete.startswith(f"{path.stem}:"):
            yield from (f"{path.stem}:{each}" for each in _toml(path).get("models", {}))


def dialects_or_all(context: click.Context, incomplete: str) -> Iterator[str]:
    """Dialects, and all of them."""
    yield from (*dialects(context, incomplete), "all")


def measures(_context: click.Context, _incomplete: str) -> Iterator[str]:
    """Measures, with a usual threshold or count."""
    yield from _MEASURES


def named_test_sets(context: click.Context, _incomplete: str) -> Iterator[str]:
    """Test sets of this package, of others, and of the data folder."""
    built_in = (_PACKAGE / "testsets" / "described" / "builtin").glob("*.toml")
    found = {*_TEST_SETS_IN_CODE, *(each.stem for each in built_in)}
    root = context.params.get("data") or os.environ.get("SSL_BENCH_DATA")
    if root:
        found |= {each.parent.name for each in Path(root).glob("*/testset.toml")}
    from importlib.metadata import entry_points

    yield from sorted(found | {each.name for each in entry_points(group="ssl_bench.test_sets")})


def tables(_context: click.Context, _incomplete: str) -> Iterator[str]:
    """Tables of papers, papers, and all."""
    names = [name.replace("-", ":", 1) for name in _shipped("protocols/tables")]
    yield from names
    yield from dict.fromkeys(name.partition(":")[0] for name in names)
    yield "all"


def documents(_context: click.Context, _incomplete: str) -> Iterator[str]:
    """Documents that have a schema."""
    from ssl_bench.cli.documents import DOCUMENTS

    yield from DOCUMENTS


def entries(context: click.Context, _incomplete: str) -> Iterator[str]:
    """Names of the entries of the board."""
    yield from sorted({each.name for each in _submissions(context).glob("*/*/")})


def runs(context: click.Context, incomplete: str) -> Iterator[str]:
    """Run folders below ``runs``, and entries of the board."""
    yield from sorted(str(each.parent) for each in Path("runs").glob("*/result.json"))
    yield from entries(context, incomplete)
    places = sorted(_submissions(context).glob("*/*/"))
    yield from (f"leaderboard:{each.parent.name}/{each.name}" for each in places)


def training_data(_context: click.Context, _incomplete: str) -> Iterator[str]:
    """What can be trained on without files."""
    yield from ("synth", "collage")


def _submissions(context: click.Context) -> Path:
    """The folder of the submissions of the board that is asked for, or of the checkout."""
    board = context.params.get("board")
    if board is not None:
        return Path(board) / "submissions"
    here = Path.cwd()
    own = (each / "leaderboard" / "submissions" for each in (here, *here.parents))
    packaged = content_folder("leaderboard") / "submissions"
    return next((each for each in own if each.is_dir()), packaged)


def _shipped(folder: str) -> list[str]:
    return sorted(each.stem for each in (content_folder("protocols") / folder).glob("*.toml"))


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))
