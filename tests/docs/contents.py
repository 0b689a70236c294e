"""What the documentation's table of contents lists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def listed() -> list[str]:
    """Every page that a table of contents names."""
    trees = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.DOTALL)
    return [line for tree in trees for line in tree.splitlines() if line and line[0] != ":"]
