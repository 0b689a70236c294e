"""Suites: protocols that are run together, one file each in ``protocols/suites/``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ssl_bench.errors import ProtocolError, one_of
from ssl_bench.files import content_folder
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.schemas import Strict, read_toml


class Suite(Strict):
    """A list of protocols that answer one question together.

    Attributes
    ----------
    name
        Name on the command line.
    title
        One line.
    source
        Paper and section where they are reported together.
    protocols
        References as :func:`ssl_bench.protocols.protocol.load_protocol` takes them, each once.
    """

    name: str = Field(min_length=1)
    title: str = Field(min_length=1)
    source: str
    protocols: tuple[str, ...] = Field(min_length=1)


def suite_names() -> list[str]:
    """Names of the suites that ship, in alphabetical order.

    Examples
    --------
    >>> "openset" in suite_names()
    True
    """
    return sorted(path.stem for path in (content_folder("protocols") / "suites").glob("*.toml"))


def load_suite(reference: str) -> Suite:
    """Read a suite by name or by path to a file; every protocol that it names must exist.

    Raises
    ------
    ProtocolError
        If there is none of that name, its file is malformed, or a protocol is unknown or listed
        twice.

    Examples
    --------
    >>> load_suite("openset").protocols
    ('vggss-heard', 'vggss-unheard')
    """
    if reference.endswith(".toml"):
        path = Path(reference)
        if not path.is_file():
            raise ProtocolError("this suite file does not exist", where=path)
    elif reference in suite_names():
        path = content_folder("protocols") / "suites" / f"{reference}.toml"
    else:
        raise ProtocolError(
            f"no suite is called {reference!r}",
            remedy=f"{one_of(suite_names(), reference)}, or a path ending in .toml",
        )
    suite = read_toml(path, Suite)
    seen: dict[str, str] = {}
    for name in suite.protocols:
        try:
            digest = load_protocol(name).digest
        except ProtocolError as error:
            raise ProtocolError(error.problem, where=path, remedy=error.remedy) from error
        if digest in seen:
            raise ProtocolError(
                f"{name!r} is the same protocol as {seen[digest]!r}",
                where=path,
                remedy="list each protocol once",
            )
        seen[digest] = name
    return suite
