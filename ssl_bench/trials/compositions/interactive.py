"""Interactive localization: one picture, each of its sounds in turn (Senocak et al. 2024).

Samples show one picture if their attribute ``image`` is equal, whatever their ids look like.
"""

from __future__ import annotations

from ssl_bench.errors import ProtocolError
from ssl_bench.testsets.base import TestSet
from ssl_bench.trials.recipes import ImageRecipe, shared_pictures
from ssl_bench.trials.trial import Trial


def compose(test_set: TestSet, seed: int = 0) -> list[Trial]:
    """One trial per sample, under its own id; those of one picture are twins. Nothing is random.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> one, other = compose(open_test_set("synth", "interactive", options={"count": 2}))
    >>> one.image == other.image, one.audio == other.audio, one.twins == (other.id,)
    (True, False, True)
    """
    del seed
    for sample in test_set.samples:
        if "image" not in sample.attributes:
            raise ProtocolError(
                "this sample has no attribute 'image' that names the picture it shares with others",
                code="E_COMPOSITION_SAMPLES",
                where=sample.id,
                remedy="use a test set with several sounds for each picture, such as "
                "synth:interactive or is3",
            )
    shown = shared_pictures(test_set.samples)
    members: dict[str, list[str]] = {}
    for identifier, picture in shown.items():
        members.setdefault(picture, []).append(identifier)
    if not any(len(twins) > 1 for twins in members.values()):
        raise ProtocolError(
            "no picture of this test set has more than one sound", code="E_COMPOSITION_SAMPLES"
        )
    return [
        Trial.of(
            sample,
            image=ImageRecipe.of(shown[sample.id]),
            twins=tuple(twin for twin in members[shown[sample.id]] if twin != sample.id),
        )
        for sample in test_set.samples
    ]
