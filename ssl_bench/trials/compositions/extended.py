"""The extended composition: each sample, and pairs of image and sound where nothing sounds.

The pairs come from the test set: the released list on VGG-SS and Flickr-SoundNet (Mo and Morgado
2022, section 4), pairs drawn by the world's seed on synth. Where the clips of a pair have one
category, the picture may well show what is heard; such pairs carry the attribute
``same_category``, and measures exist with and without them.
"""

from __future__ import annotations

from ssl_bench.errors import ProtocolError
from ssl_bench.testsets.base import TestSet
from ssl_bench.trials.recipes import AudioRecipe, ImageRecipe
from ssl_bench.trials.trial import Trial


def compose(test_set: TestSet, seed: int = 0) -> list[Trial]:
    """One trial per sample under its own id, then one per pair: ``IMAGE|AUDIO#silent``.

    The group of a silent trial is that of its image. Nothing is random.
    """
    del seed
    pairs = test_set.silent_pairs()
    if not pairs:
        raise ProtocolError(
            "the composition 'extended' needs pairs in which nothing sounds",
            code="E_COMPOSITION_SAMPLES",
        )
    sounding = [
        Trial.of(sample, attributes={"same_category": False, **sample.attributes})
        for sample in test_set.samples
    ]
    return sounding + [
        Trial(
            id=f"{pair.image}|{pair.audio}#silent",
            image=ImageRecipe.of(pair.image),
            audio=AudioRecipe.of(pair.audio),
            targets=(),
            group=pair.group,
            category=pair.category,
            role="silent",
            attributes={"same_category": pair.same_category is True},
        )
        for pair in pairs
    ]
