"""The command line as a fixture."""

from __future__ import annotations

import pytest
from command_line import Call, caller


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command, given as its words; what it prints as JSON must follow a schema."""
    return caller(capsys)
