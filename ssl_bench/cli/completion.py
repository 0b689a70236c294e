"""``ssl-bench completion``: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from ssl_bench.cli.candidates import COMPLETION_VARIABLE

# Bash cuts words at @ and :, which names hold. The whole line is handed over in place of its words,
# and of each answer only what follows the last cut is put in.
_BASH = """\
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" word kept type value
    word="${line##*[[:space:]]}"
    kept="${word%%"${word##*["${COMP_WORDBREAKS//[[:space:]]/}"]}"}"
    COMPREPLY=()
    while IFS=',' read -r type value; do
        if [[ $type == dir ]]; then
            compopt -o dirnames
        elif [[ $type == file ]]; then
            compopt -o default
        elif [[ $type == plain ]]; then
            COMPREPLY+=("${value#"$kept"}")
        fi
    done < <(env COMP_WORDS="$line" %(complete_var)s=bash_complete "$1")
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """Bash, with names that hold ``@`` and ``:``."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is typed, and that one."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        return (words, "") if line[-1:].isspace() or not words else (words[:-1], words[-1])


_SHELLS: dict[str, type[ShellComplete]] = {
    "bash": _Bash,
    "zsh": ZshComplete,
    "fish": FishComplete,
}

add_completion_class(_Bash)

# \b keeps the lines that follow as they are.
_HELP = """Print what SHELL needs to complete commands, options and names.

\b
bash   ssl-bench completion bash >> ~/.bashrc
zsh    ssl-bench completion zsh >> ~/.zshrc      (after 'compinit')
fish   ssl-bench completion fish > ~/.config/fish/completions/ssl-bench.fish

Then open a new shell. Names of models, variants, protocols, dialects, measures, test sets and
entries of the leaderboard are completed too.
"""


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete commands, options and names."""
    found = _SHELLS[shell](ctx.find_root().command, {}, "ssl-bench", COMPLETION_VARIABLE)
    click.echo(found.source())
