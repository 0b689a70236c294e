"""The command ``ssl-bench`` and how it reports errors.

Commands are loaded when they are used, so that ``--help`` does not wait for numerical libraries.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from ssl_bench.cli.candidates import COMPLETION_VARIABLE
from ssl_bench.cli.exit_codes import CRASHED, REFUSED, SIGNALLED, TABLE
from ssl_bench.cli.terminal import plain_streams, show_error
from ssl_bench.errors import ON_COMMAND_LINE, SslBenchError, capitalised, ended, one_of
from ssl_bench.extras import extra_needed
from ssl_bench.files import NO_SPACE

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "evaluate": ("evaluate:evaluate", "Run a model on a protocol and score it."),
    "predict": ("evaluate:predict", "Run a model and write its predictions only."),
    "localize": ("localize:localize", "Find what makes a sound in one picture, or in a video."),
    "score": ("score:score", "Check and score a predictions file."),
    "validate": ("submit:validate", "Check a predictions file, and only check."),
    "submit": ("submit:submit", "Enter predictions into the leaderboard."),
    "leaderboard": (
        "leaderboard:leaderboard",
        "Build and check the leaderboard; enter the shipped baselines.",
    ),
    "protocols": ("listing:protocols", "List the protocols, or explain one."),
    "models": ("listing:models", "List the models, or explain one."),
    "measures": ("listing:measures", "List the measures, or explain one."),
    "data": ("data:data", "Lay out, verify, show and export test sets."),
    "import": ("interchange:import_", "Import maps or cIoU per clip."),
    "export": ("interchange:export", "Write results or scores as a table."),
    "pictures": ("pictures:pictures", "Draw trials of runs: image, truth and maps."),
    "nearest": ("nearest:nearest", "Rank sounds by sounds, or images by images."),
    "analyse": ("analyse:analyse", "Draw and tabulate what runs' scores hold."),
    "contribution": ("contribution:contribution", "Measure how much of a score is hearing."),
    "compare": ("runs:compare", "Compare runs trial by trial."),
    "explain": ("runs:explain", "Explain why a score differs from another."),
    "compare-sets": ("runs:compare_sets", "Compare one model's results on several test sets."),
    "report": ("runs:report", "Write runs as one page for a paper's appendix."),
    "reproduce": ("reproduce:reproduce", "Run a table of a paper beside its printed figures."),
    "sweep": ("sweep:sweep", "Score a model over several values of one setting."),
    "train": ("train:train", "Train a model on the embedded world or on your clips."),
    "cache": ("cache:cache", "Show what is kept to save time, and remove it."),
    "completion": ("completion:completion", "Complete names in bash, zsh and fish."),
    "schema": ("listing:schema", "Print the JSON schema of what --json prints."),
}


class _OutputClosedError(Exception):
    """Nobody reads what a command prints, as in ``ssl-bench models | head -1``."""


class _Commands(click.Group):
    """Commands by name, imported when they are used."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _OutputClosedError from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(
            importlib.import_module(f"ssl_bench.cli.{module}"), attribute
        )
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=about)
            for name, (_, about) in _COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            remedy = one_of(_COMMANDS, args[0])
            raise click.UsageError(
                f"there is no command {args[0]!r}. {ended(capitalised(remedy))}", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in _COMMANDS.items()])


# \b keeps the lines that follow as they are.
_SOON = 0.1  # Seconds

_HELP = """Evaluate visual sound source localization: find the pixels that make the sound.

\b
A first score, on data and weights that ship:
  ssl-bench evaluate --model ezvsl --protocol concat
Maps of your own, on the real VGG-SS annotations:
  ssl-bench score maps.npz --protocol vggss --data DIR
"""


@click.group(
    cls=_Commands,
    help=_HELP,
    epilog=TABLE,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="ssl-bench", prog_name="ssl-bench")
def commands() -> None:
    """Run one of the commands."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors of this project are one sentence and exit code 2.

    A process that is told to end (by a user, a scheduler, a closed terminal) cleans up first, and
    exits with 128 and the number of the signal; so does one whose output nobody reads any more.
    """
    given = sys.argv[1:] if arguments is None else arguments
    signals: list[int] = [signal.SIGINT]
    with _on_command_line(), plain_streams(), _stopped_by(signals):
        try:
            _run(given)
        except click.Abort:
            click.echo("stopped", err=True)
            sys.exit(SIGNALLED + signals[-1])
        except _OutputClosedError:
            # Python would try to write what is left, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(SIGNALLED + signal.SIGPIPE)
        except Exception:
            if arguments is not None:  # Python code called, and sees the traceback
                raise
            traceback.print_exc()
            show_error(["E_FAULT"], "this is a fault of ssl-bench. Report it with these lines.")
            sys.exit(CRASHED)


def _run(given: list[str]) -> None:
    try:
        for text in given:
            text.encode()
        if COMPLETION_VARIABLE in os.environ:
            importlib.import_module("ssl_bench.cli.completion")
        with extra_needed(" ".join(["ssl-bench", *given[:1]])):
            commands.main(args=given, prog_name="ssl-bench", standalone_mode=False, obj=given)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # of click 8.2 and newer
            error.show()
            sys.exit(REFUSED)
        told = ended(" ".join(error.format_message().split()))
        told = re.sub(r"is not a valid integer( range)?", "is not a whole number", told)
        told = re.sub(r"is not a valid float( range)?", "is not a number", told)
        command = error.ctx.command_path if error.ctx else "ssl-bench"
        told = told if told[1:2].isupper() else f"{told[:1].lower()}{told[1:]}"
        sentence = f"{told} '{command} --help' says what it takes."
        _refuse("E_USAGE", sentence)
    except SslBenchError as error:
        _refuse(", ".join(error.codes), str(error))
    except UnicodeEncodeError as error:
        _refuse("E_NAME_ENCODING", f"{error.object}: this name is not UTF-8 text. Rename it.")
    except OSError as error:
        if error.errno in NO_SPACE:
            place = error.filename or "standard output, or the folder of temporary files"
            _refuse("E_DISK_FULL", f"{place}: no space is left on its disk. Make room.")
        if error.errno == errno.EFBIG:
            place = error.filename or "standard output, or a file without a name"
            _refuse(
                "E_FILE_TOO_LARGE",
                f"{place}: a file of this size is not allowed. Raise the limit, which "
                "'ulimit -f' shows, or write to another disk.",
            )
        place = error.filename or "standard output, or a file without a name"
        _refuse("E_FILE_ACCESS", f"{place}: cannot be read or written ({error.strerror}).")


@contextmanager
def _on_command_line() -> Iterator[None]:
    """Remedies name options within."""
    typed = ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        ON_COMMAND_LINE.reset(typed)


@contextmanager
def _stopped_by(signals: list[int]) -> Iterator[None]:
    """Take the signals that end a process for an interrupt, and note which came."""

    def stop(number: int, _frame: object) -> None:
        signals.append(number)
        raise KeyboardInterrupt

    def send_again(lost: sys.UnraisableHookArgs) -> None:
        # What is raised in a destructor ends nothing, and would be printed there.
        if isinstance(lost.exc_value, KeyboardInterrupt):
            main_thread = threading.main_thread().ident
            again = threading.Timer(_SOON, signal.pthread_kill, [main_thread, signals[-1]])
            again.daemon = True
            again.start()
        else:
            told(lost)

    told, sys.unraisablehook = sys.unraisablehook, send_again
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        sys.unraisablehook = told
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse(codes: str, sentence: str) -> NoReturn:
    show_error([codes], sentence)
    sys.exit(REFUSED)
