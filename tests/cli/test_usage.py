"""What is wrong with a command line is told like every other error."""

from __future__ import annotations

import pytest
from command_line import Call


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("score", "missing argument 'PREDICTIONS'. 'ssl-bench score --help' says"),
        ("score x --jobs 0", "invalid value for '--jobs'"),
        ("score x --nothing", "'--nothing'"),
        ("export x --out y", "missing option '--format'. Choose from: csv, parquet"),
        ("scroe", "did you mean 'score'? Use one of: evaluate"),
        ("data nothing", "'ssl-bench data --help' says"),
        ("score x --dialect all --out y", "--out needs one dialect, not 'all'. 'ssl-bench score"),
    ],
)
def test_of_usage(call: Call, words: str, told: str) -> None:
    done = call(*words.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[E_USAGE]: ")
    assert told.casefold() in done.err.casefold()
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("group", [(), ("data",)])
def test_a_group_alone_shows_its_help(call: Call, group: tuple[str, ...]) -> None:
    done = call(*group)
    assert "Commands:" in done.out + done.err
