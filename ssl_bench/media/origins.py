"""How a picture, a sound or a video was made, as a comment inside its file.

So it stays with the file where that is copied or renamed, and no list beside it has to agree.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ssl_bench.files import json_text

Settings = Mapping[str, str | int | float | None]
"""What a file was made with, by the name of each setting."""

_OPENING = "Made by ssl-bench with "
_COMMENT = re.compile(re.escape(_OPENING).encode() + rb"(\{[^{}]*\})")
# Comments stand at the beginning of JPEG files, and at the end of WAV and MP4 files of ours.
_ENDS = 4096


def comment_of(settings: Settings) -> str:
    """The comment for a file that was made with these settings.

    Examples
    --------
    >>> comment_of({"rate": 16000, "channels": 1})
    'Made by ssl-bench with {"channels":1,"rate":16000}'
    """
    return _OPENING + json_text(dict(settings))


def origin_of(path: Path) -> Settings | None:
    """The settings that a file says it was made with; None where it says nothing.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.jpg"
    >>> _ = path.write_bytes(b"some pixels")
    >>> origin_of(path) is None
    True
    >>> _ = path.write_bytes(b"some pixels" + comment_of({"rate": 16000}).encode())
    >>> origin_of(path)
    {'rate': 16000}
    """
    with suppress(OSError, ValueError), path.open("rb") as stream:
        content = stream.read(_ENDS)
        stream.seek(max(_ENDS, os.fstat(stream.fileno()).st_size - _ENDS))
        found = _COMMENT.search(content + stream.read(_ENDS))
        if found is not None:
            settings: Settings = json.loads(found[1])
            return settings
    return None
