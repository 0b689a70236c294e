"""Writing the first description of a test set, with comments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from ssl_bench.errors import DataError
from ssl_bench.files import write_text
from ssl_bench.testsets.described.description import FILE

FormName = Literal["table", "coco", "masks"]

_TEMPLATE = Path(__file__).with_name("template.toml")
_FORM = re.compile(r"^#--- (\w+)(.*)\n", re.MULTILINE)


def template(name: str, form: FormName) -> str:
    """A description for that form of annotation; the other forms are in it as comments.

    Examples
    --------
    >>> text = template("mine", "coco")
    >>> [line.partition(" =")[0] for line in text.splitlines() if line.startswith("annotation.f")]
    ['annotation.form', 'annotation.file']
    """
    text = _TEMPLATE.read_text(encoding="utf-8").replace("NAME", name)
    head, *parts = _FORM.split(text)
    kept = [head]
    for kind, what, lines in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if kind not in ("end", form):
            lines = re.sub(r"^(?=.)", "# ", lines, flags=re.MULTILINE)
        kept += [f"# {kind}{what}\n" if what else "", lines]
    return "".join(kept)


def write_template(folder: Path, form: FormName) -> Path:
    """Write a description into the folder of a test set, and the folder where there is none.

    Raises DataError where one is there already, or it cannot be written.
    """
    path = folder / FILE
    if path.exists():
        raise DataError("this test set is described already", code="E_FILE_EXISTS", where=path)
    try:
        write_text(path, template(folder.name, form))
    except OSError as error:
        raise DataError(
            f"the description cannot be written ({error.strerror})",
            code="E_FILE_UNWRITABLE",
            where=path,
            remedy="choose a data folder that can be written to",
        ) from error
    return path
