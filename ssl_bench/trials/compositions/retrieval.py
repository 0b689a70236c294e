"""The pairs of retrieval protocols, which are the trials of :mod:`.single`.

All images together are the gallery of the sounds, and all sounds that of the images. Samples of one
video stay in it as distractors of each other, unless they share a picture or a sound: then each is
as right as the other.
"""

from __future__ import annotations

from ssl_bench.trials.compositions.single import compose

__all__ = ["compose"]
