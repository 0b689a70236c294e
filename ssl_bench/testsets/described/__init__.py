"""Test sets that one file describes: those of a user, of other packages, and most built-in ones."""

from ssl_bench.testsets.described.description import Description, read_description
from ssl_bench.testsets.described.test_set import Described

__all__ = ["Described", "Description", "read_description"]
