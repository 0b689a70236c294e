"""Where the content folders lie: `protocols/`, `baselines/` and `leaderboard/`.

This is the only place that knows. In a checkout they stand beside the package; in an installed
wheel they travel inside it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def content_folder(name: str) -> Path:
    """Path of one content folder.

    Parameters
    ----------
    name
        ``protocols``, ``baselines`` or ``leaderboard``.

    Examples
    --------
    >>> (content_folder("protocols") / "synth.toml").is_file()
    True
    """
    installed = _PACKAGE / "content" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
