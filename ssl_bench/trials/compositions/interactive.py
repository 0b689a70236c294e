"""Interactive localization: one picture, each of its sounds in turn (Senocak et al. 2024).

Which samples show one picture is what their attribute ``image`` says, not what their names look
like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_bench.errors import ProtocolError
from ssl_bench.testsets.base import Sample
from ssl_bench.trials.compositions import refuse_parameters
from ssl_bench.trials.trial import WHOLE, AudioRecipe, ImageRecipe, Target, Trial, shared_pictures


def compose(
    samples: Sequence[Sample], *, seed: int = 0, parameters: Mapping[str, Any] | None = None
) -> list[Trial]:
    """One trial per sample, under its own id; those of one picture are twins.

    Parameters
    ----------
    samples
        The test set's samples, each with the attribute ``image``.
    seed
        Not used: nothing is random.
    parameters
        None are known.

    Raises
    ------
    ProtocolError
        If a parameter is given, a sample does not say which picture it shows, or no picture has
        two sounds.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> one, other = compose(open_test_set("synth", "interactive", options={"count": 2}).samples)
    >>> one.image == other.image, one.audio == other.audio, one.twins == (other.id,)
    (True, False, True)
    """
    del seed
    refuse_parameters("interactive", parameters)
    for sample in samples:
        if "image" not in sample.attributes:
            raise ProtocolError(
                "this sample does not say which picture it shares with others",
                where=sample.id,
                remedy="use a test set with several sounds for each picture, such as "
                "synth:interactive or is3",
            )
    shown = shared_pictures(samples)
    members: dict[str, list[str]] = {}
    for identifier, picture in shown.items():
        members.setdefault(picture, []).append(identifier)
    if not any(len(twins) > 1 for twins in members.values()):
        raise ProtocolError("no picture of this test set has more than one sound")
    return [
        Trial(
            id=sample.id,
            image=ImageRecipe(((shown[sample.id], WHOLE),)),
            audio=AudioRecipe.of(sample.sound),
            targets=(Target(sample.id, WHOLE),),
            group=sample.group,
            category=sample.category,
            twins=tuple(twin for twin in members[shown[sample.id]] if twin != sample.id),
            attributes=dict(sample.attributes),
        )
        for sample in samples
    ]
