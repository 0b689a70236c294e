"""Running a localizer over the trials of a protocol and writing its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssl_bench.engine.class_maps import no_class_maps
from ssl_bench.engine.encode import Progress, localize_suite
from ssl_bench.engine.retrieve import require_similarity
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.provenance import describe
from ssl_bench.predictions import PredictionsMeta, PredictionsWriter
from ssl_bench.predictions.format import usable_name
from ssl_bench.scoring.floors import row_chunks, shared_maps
from ssl_bench.trials.trial import TrialSet


@dataclass(frozen=True)
class EngineOptions:
    """Settings of the engine; none of them changes a number beyond rounding.

    Attributes
    ----------
    batch_size
        Images, sounds or trials in one call of the localizer.
    jobs
        Threads that read images and sounds.
    dtype
        Type in which maps are stored. float16 keeps 11 bits: neighbouring values of a map may
        become equal, which moves cIoU by the few pixels at the threshold.
    progress
        Called with what is being done, how much is done and how much there is.
    """

    batch_size: int = 32
    jobs: int = 1
    dtype: Literal["float16", "float32"] = "float32"
    progress: Progress = lambda _what, _done, _all: None


@dataclass(frozen=True)
class Predicted:
    """Files that were written.

    Attributes
    ----------
    predictions
        The model's maps.
    vision_only
        Its own audio-blind maps; None where it has none.
    vision_only_note
        Why there are none.
    class_maps_note
        Why trials that ask by category share a map; None where they do not, or do not ask so.
    """

    predictions: Path
    vision_only: Path | None
    vision_only_note: str | None = None
    class_maps_note: str | None = None


def predictions_meta(
    localizer: Localizer | AnnotationLocalizer, trials: TrialSet
) -> PredictionsMeta:
    """The metadata of predictions of this localizer on these trials."""
    facts = describe(localizer)
    return PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        trials_digest=trials.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model=usable_name(facts["name"]),
        weights_digest=facts["weights_sha256"],
        complete=True,
        provenance=facts,
    )


def predict(
    localizer: Localizer | AnnotationLocalizer,
    trials: TrialSet,
    folder: Path,
    options: EngineOptions | None = None,
) -> Predicted:
    """Write ``predictions.npz``, and ``vision_only.npz`` where the model has audio-blind maps.

    Both files appear whole or not at all.

    Raises
    ------
    DataError
        If an image or sound is missing or unreadable.
    ModelError
        If the localizer breaks its contract.

    Examples
    --------
    >>> import tempfile
    >>> from ssl_bench.trials.compositions import open_trials
    >>> from ssl_bench.models.trivial import Center
    >>> from ssl_bench.protocols.protocol import load_protocol
    >>> written = predict(Center(), open_trials(load_protocol("synth")), Path(tempfile.mkdtemp()))
    >>> written.predictions.name
    'predictions.npz'
    """
    return predict_suite(localizer, [(trials, folder)], options)[0]


def predict_suite(
    localizer: Localizer | AnnotationLocalizer,
    runs: Sequence[tuple[TrialSet, Path]],
    options: EngineOptions | None = None,
) -> list[Predicted]:
    """Predict for several protocols at once, each into its own folder.

    An image or sound that several protocols share is encoded once for all of them.

    Raises
    ------
    ModelError
        If the localizer breaks its contract, or a protocol asks for a ranking and the localizer has
        no similarity.
    """
    settings = options or EngineOptions()
    for trials, _ in runs:
        require_similarity(localizer, trials)
    if isinstance(localizer, AnnotationLocalizer):
        return [_predict_trivial(localizer, trials, folder, settings) for trials, folder in runs]
    wanted = [_wants_blind(localizer, trials) for trials, _ in runs]
    written = [
        Predicted(
            folder / "predictions.npz",
            folder / "vision_only.npz" if reason is None else None,
            reason,
            no_class_maps(localizer, trials),
        )
        for (trials, folder), reason in zip(runs, wanted, strict=True)
    ]
    with ExitStack() as stack:

        def writer(path: Path | None, trials: TrialSet) -> PredictionsWriter | None:
            if path is None:
                return None
            meta = predictions_meta(localizer, trials)
            return stack.enter_context(PredictionsWriter(path, meta, dtype=settings.dtype))

        writers = [
            (writer(each.predictions, trials), writer(each.vision_only, trials))
            for each, (trials, _) in zip(written, runs, strict=True)
        ]
        for number, batch in localize_suite(
            localizer,
            [trials for trials, _ in runs],
            batch_size=settings.batch_size,
            jobs=settings.jobs,
            vision_only=[reason is None for reason in wanted],
            progress=settings.progress,
        ):
            own, blind = writers[number]
            if own is not None:
                own.add(batch.trial_ids, batch.maps, similarity=batch.similarity)
            if blind is not None and batch.blind_maps is not None:
                blind.add(batch.trial_ids, batch.blind_maps, map_index=batch.blind_index)
    return written


def _predict_trivial(
    localizer: AnnotationLocalizer, trials: TrialSet, folder: Path, settings: EngineOptions
) -> Predicted:
    path = folder / "predictions.npz"
    # A map that never changes is stored once per batch; an oracle's are large and all differ.
    size = settings.batch_size if localizer.needs_truth else 4096
    meta = predictions_meta(localizer, trials)
    with PredictionsWriter(path, meta, dtype=settings.dtype) as writer:
        for rows in row_chunks(len(trials), size):
            shared = shared_maps(localizer, trials, rows)
            ids = [trials.trials[row].id for row in rows]
            writer.add(ids, shared.maps, map_index=shared.index)
            settings.progress("trials", int(rows[-1]) + 1, len(trials))
    reason = "sees the truth" if localizer.needs_truth else "neither looks nor listens"
    asked = no_class_maps(localizer, trials)
    return Predicted(path, None, f"{localizer.name} {reason}", asked)


def _wants_blind(localizer: Localizer, trials: TrialSet) -> str | None:
    """Why not to make audio-blind maps; None to make them."""
    if trials.protocol.answers == "retrieval":
        return "a ranking of sounds has no audio-blind form"
    if not trials.protocol.controls.vision_only:
        return "the protocol does not ask for it"
    if localizer.audio_blind:
        return f"{localizer.name} never listens: its maps are audio-blind already"
    return localizer.no_vision_only
