"""Reading TOML files that follow a schema."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ssl_bench.errors import ProtocolError

_Model = TypeVar("_Model", bound=BaseModel)


def read_toml(path: Path, model: type[_Model]) -> _Model:
    """Read a file of ``protocols/`` as its schema says.

    Raises
    ------
    ProtocolError
        If it cannot be read, is not TOML, or does not follow the schema; every field is named.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ProtocolError(
            f"this file is not UTF-8 text (byte {error.start})",
            where=path,
            remedy="save it as UTF-8",
        ) from error
    except OSError as error:
        raise ProtocolError(f"this file cannot be read ({error.strerror})", where=path) from error
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(
            f"this is not valid TOML ({error})", where=path, remedy="mend the line it names"
        ) from error
    try:
        # Strict mode takes a list for a tuple only where it reads JSON.
        return model.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        problems = "; ".join(in_words(problem) for problem in error.errors())
        raise ProtocolError(
            problems, where=path, remedy="'ssl-bench protocols NAME' shows a valid file's fields"
        ) from error


def in_words(problem: ErrorDetails) -> str:
    """One problem that pydantic found, as a person would say it."""
    field = ".".join(str(part) for part in problem["loc"]) or "the whole"
    if problem["type"] == "extra_forbidden":
        return f"{field} is not a known field"
    if problem["type"] == "missing":
        return f"{field} is missing"
    if problem["type"] == "value_error":
        return f"{field}: {problem['ctx']['error']}"
    return f"{field}: {problem['msg'].lower()}"
