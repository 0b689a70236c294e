"""Photographed cut-outs and recordings of the same things, put together into scenes.

Nothing of it ships: cut-outs, sounds and photographs lie in folders that the user names, or where
Debian's packages put them. What is made of them is the same everywhere, with exact masks:
`docs/explanation/collage.md` says how, and what it can show.
"""

from ssl_bench.testsets.collage.testset import TEST_SET

__all__ = ["TEST_SET"]
