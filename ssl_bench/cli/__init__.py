"""The command line: parse, call, print. No logic."""

from __future__ import annotations

from ssl_bench.cli.main import main

__all__ = ["main"]
