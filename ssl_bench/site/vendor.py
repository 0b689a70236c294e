"""The table library that makes long tables sortable: a copy of the installed itables' bundle.

itables brings DataTables as one module of JavaScript. Browsers load no module from a file, so the
copy is the same text as a plain script: its list of exports becomes an assignment.
"""

from __future__ import annotations

import re
from pathlib import Path

from ssl_bench.errors import LeaderboardError

FOLDER = "assets/vendor"
"""Where the copy lies within a site."""

GLOBAL_NAME = "SslBenchTables"

_EXPORTS = re.compile(r"\bexport\s*\{([^{}]*)\};?")
_DEFAULT = re.compile(r"(?:^|,)\s*([\w$]+)\s+as\s+default\s*(?:,|$)")


def table_files() -> dict[str, str]:
    """The table library's script, by path within a site; its style is the site's own.

    Raises
    ------
    LeaderboardError
        If the installed itables brings no such bundle.
    """
    import itables

    source = Path(itables.__file__).parent / "html"
    try:
        script = (source / "dt_bundle.js").read_text(encoding="utf-8")
    except OSError as error:
        raise LeaderboardError(
            f"the installed itables brings no tables to copy ({error.strerror})",
            where=source,
            remedy="install itables 2.4 or later",
        ) from error
    return {f"{FOLDER}/datatables.js": plain_script(script)}


def plain_script(module: str) -> str:
    """A module of JavaScript with a default export as a plain script that assigns it.

    Raises
    ------
    LeaderboardError
        If there is no single list of exports with a default.

    Examples
    --------
    >>> print(plain_script("var a=1;export{a as default,b as c};"))
    (()=>{var a=1;window.SslBenchTables=a;
    })();
    """
    lists = list(_EXPORTS.finditer(module))
    default = _DEFAULT.search(lists[0][1]) if len(lists) == 1 else None
    if default is None:
        raise LeaderboardError(
            "the bundle of the installed itables has another form than is known here",
            remedy="install itables 2.9",
        )
    start, end = lists[0].span()
    return f"(()=>{{{module[:start]}window.{GLOBAL_NAME}={default[1]};{module[end:]}\n}})();\n"
