"""Lets ``!ssl-bench ...`` in a notebook run in its own process, which has loaded everything once.

Without this file the same line starts a process of its own, and prints the same.
"""

import os
import shlex
import sys
from pathlib import Path

import rich.console
from IPython import get_ipython

# What is printed is that of a terminal, not of a notebook.
rich.console._is_jupyter = lambda: False
os.environ["COLUMNS"] = "88"
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
_shell = get_ipython()
_system = _shell.system


def _in_here(line):
    """Run one line; a command that fails ends the notebook."""
    words = shlex.split(line, comments=True)
    if words[:1] != ["ssl-bench"] or {">", "|", "&&"} & set(words):
        _system(line)
        if _shell.user_ns.get("_exit_code"):
            raise RuntimeError(f"exit code {_shell.user_ns['_exit_code']}: {line}")
        return
    from ssl_bench.cli import main

    try:
        main(words[1:])
    except SystemExit as stop:
        if stop.code:
            raise RuntimeError(f"exit code {stop.code}: {line}") from None


_shell.system = _in_here
