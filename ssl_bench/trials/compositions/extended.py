"""The extended composition: each sample, and pairs of image and sound where nothing sounds.

The pairs come from the test set: the released list on VGG-SS and Flickr-SoundNet (Mo and Morgado
2022, section 4), pairs drawn by the world's seed on synth. Where the clips of a pair have one
category, the picture may well show what is heard; such pairs carry the attribute
``same_category``, and measures exist with and without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_bench.errors import ProtocolError
from ssl_bench.testsets.base import Sample, SilentPair, TestSet
from ssl_bench.trials.compositions import refuse_parameters, single
from ssl_bench.trials.trial import WHOLE, AudioRecipe, ImageRecipe, Trial


def compose(
    samples: Sequence[Sample],
    *,
    seed: int = 0,
    parameters: Mapping[str, Any] | None = None,
    silent: Sequence[SilentPair] = (),
) -> list[Trial]:
    """One trial per sample under its own id, then one per pair: ``IMAGE|AUDIO#silent``.

    The group of a silent trial is that of its image.

    Parameters
    ----------
    samples
        The test set's samples.
    seed
        Not used: nothing is random.
    parameters
        None are known.
    silent
        The test set's silent pairs.

    Raises
    ------
    ProtocolError
        If a parameter is given, or there is no pair.
    """
    refuse_parameters("extended", parameters)
    if not silent:
        raise ProtocolError("the composition 'extended' needs pairs in which nothing sounds")
    sounding = [
        Trial(
            id=trial.id,
            image=trial.image,
            audio=trial.audio,
            targets=trial.targets,
            group=trial.group,
            category=trial.category,
            attributes={"same_category": False, **trial.attributes},
        )
        for trial in single.compose(samples, seed=seed)
    ]
    return sounding + [
        Trial(
            id=f"{pair.image}|{pair.audio}#silent",
            image=ImageRecipe(((pair.image, WHOLE),)),
            audio=AudioRecipe.of(pair.audio),
            targets=(),
            group=pair.group,
            category=pair.category,
            role="silent",
            attributes={"same_category": pair.same_category is True},
        )
        for pair in silent
    ]


def compose_test_set(
    test_set: TestSet, *, seed: int = 0, parameters: Mapping[str, Any] | None = None
) -> list[Trial]:
    """As :func:`compose`, with the silent pairs of the test set.

    Raises
    ------
    DataError
        If the test set has no silent pairs, or their list is missing or unusable.
    """
    return compose(
        test_set.samples, seed=seed, parameters=parameters, silent=test_set.silent_pairs()
    )
