"""Running a localizer, and writing its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from ssl_bench.engine.encode import EngineOptions, by_category, localize
from ssl_bench.engine.parts import (
    Load,
    discard,
    in_use,
    localize_in_parts,
    parts_folder,
    store_of,
)
from ssl_bench.engine.plan import Plan
from ssl_bench.engine.store import Store
from ssl_bench.engine.usable import require_video
from ssl_bench.errors import ModelError
from ssl_bench.executors import HERE
from ssl_bench.files import is_writable, remove_temporary_left_overs, temporary_folder
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.provenance import describe
from ssl_bench.predictions import PredictionsMeta, PredictionsWriter
from ssl_bench.scoring.maps import row_chunks, shared_maps
from ssl_bench.trials.trial_set import TrialSet


@dataclass(frozen=True)
class Predicted:
    """Files that were written: the model's maps, and its own audio-blind maps.

    The notes say why there are no audio-blind maps, why trials that ask by category share one, and
    what is unusual about images and sounds, of all protocols that were answered together.
    """

    predictions: Path
    vision_only: Path | None
    vision_only_note: str | None = None
    class_maps_note: str | None = None
    media_notes: tuple[str, ...] = ()
    # Where its parts are, if it was made in parts, and where machines share them.
    parts: Path | None = None
    store: Store | None = None

    def moved(self, folder: Path) -> Predicted:
        """The same files in another folder."""
        blind = None if self.vision_only is None else folder / self.vision_only.name
        return replace(self, predictions=folder / self.predictions.name, vision_only=blind)


def predictions_meta(
    localizer: Localizer | AnnotationLocalizer, trials: TrialSet
) -> PredictionsMeta:
    """The metadata of predictions of this localizer on these trials."""
    facts = describe(localizer)
    return trials.predictions_meta(
        facts["name"], weights_digest=facts["weights_sha256"], provenance=facts
    )


def predict(
    localizer: Localizer | AnnotationLocalizer,
    runs: Sequence[tuple[TrialSet, Path]],
    options: EngineOptions | None = None,
    *,
    load: Load | None = None,
    keep_parts: bool = False,
) -> list[Predicted]:
    """Write the predictions of one or several protocols, each into its own folder.

    They are ``predictions.npz``, and ``vision_only.npz`` where the model has audio-blind maps; all
    files appear whole or not at all. An image or sound that several protocols share is encoded once
    for all of them. What takes long is made in parts (see :mod:`ssl_bench.engine.parts`), which
    stay in their folder if it is interrupted.

    Parameters
    ----------
    localizer
        The model.
    runs
        Trials of each protocol, and the folder that their files go to.
    options
        Settings; None for the defaults.
    load
        Makes the model in another process, on a device; None to send it there as it is.
    keep_parts
        Whether finished parts stay until :func:`discard_parts` is called, since what follows may be
        interrupted too.

    Raises
    ------
    DataError
        If an image or sound is missing or unreadable.
    ModelError
        If the localizer breaks its contract, or a protocol asks for a ranking and the localizer has
        no similarity.
    """
    settings = options or EngineOptions()
    if isinstance(settings.parts, str):
        Store(settings.parts).require()
    for trials, _ in runs:
        reason = no_answer(localizer, trials)
        if reason is not None:
            raise ModelError(
                reason,
                code="E_MODEL_NO_SIMILARITY",
                where=trials.protocol.label,
                remedy="choose a model with a similarity, or another protocol",
            )
    require_video(localizer, [trials for trials, _ in runs])
    if isinstance(localizer, AnnotationLocalizer):
        return [_predict_trivial(localizer, trials, folder, settings) for trials, folder in runs]
    no_blind = [_no_audio_blind_maps(localizer, trials) for trials, _ in runs]
    plan = Plan(
        [trials for trials, _ in runs],
        [reason is None for reason in no_blind],
        listens=not localizer.audio_blind,
        video=localizer.video_input,
    )
    # One part that is made here needs no file.
    most = max(len(plan.images), len(plan.sounds))
    in_parts = most > settings.part_size or settings.executor != HERE
    parts = parts_folder(localizer, plan, settings) if in_parts else None
    if in_parts and parts is None and settings.parts is not None:
        settings.notify(
            f"no finished part of {localizer.name} is kept, and a run that is interrupted starts "
            "anew: a model of your own needs a provenance"
        )
    if parts is not None and settings.parts is None and not is_writable(parts):
        # Then nothing is kept, as in any cache that cannot be written.
        parts = None
    store = None if parts is None else store_of(parts, settings)
    if store is None and isinstance(settings.parts, str):
        settings = replace(settings, parts=None)  # Nothing is kept of this model
    written = [
        Predicted(
            folder / "predictions.npz",
            folder / "vision_only.npz" if reason is None else None,
            reason,
            _no_class_maps(localizer, trials),
            parts=parts,
            store=store,
        )
        for (trials, folder), reason in zip(runs, no_blind, strict=True)
    ]
    with ExitStack() as stack:

        def writer(path: Path | None, trials: TrialSet) -> PredictionsWriter | None:
            if path is None:
                return None
            meta = predictions_meta(localizer, trials)
            return stack.enter_context(
                PredictionsWriter(path, meta, dtype=settings.dtype, compress=settings.compress)
            )

        writers = [
            (writer(each.predictions, trials), writer(each.vision_only, trials))
            for each, (trials, _) in zip(written, runs, strict=True)
        ]
        if in_parts:
            # Where every part is there, nothing else would remove what a killed run's workers left.
            remove_temporary_left_overs()
            folder = stack.enter_context(in_use(parts) if parts else temporary_folder())
            again = load or (lambda _device: localizer)
            batches = localize_in_parts(localizer, plan, settings, again, folder)
        else:
            batches = localize(localizer, plan, settings)
        # Whatever ends this ends the workers, too.
        stack.enter_context(closing(batches))
        for number, batch in batches:
            own, blind = writers[number]
            if own is not None:
                own.add(batch.trial_ids, batch.maps, similarity=batch.similarity)
            if blind is not None and batch.blind_maps is not None:
                blind.add(batch.trial_ids, batch.blind_maps, map_index=batch.blind_index)
    if not keep_parts:
        discard_parts(written)
    return written


def discard_parts(written: Sequence[Predicted]) -> None:
    """Remove the parts that predictions were made of: they are whole, and in their place."""
    for folder, store in {(each.parts, each.store) for each in written}:
        if folder is not None:
            discard(folder, store)


def _predict_trivial(
    localizer: AnnotationLocalizer, trials: TrialSet, folder: Path, settings: EngineOptions
) -> Predicted:
    path = folder / "predictions.npz"
    # A map that never changes is stored once per batch; an oracle's are large and all differ.
    size = settings.batch_size if localizer.needs_truth else 4096
    meta = predictions_meta(localizer, trials)
    with PredictionsWriter(path, meta, dtype=settings.dtype, compress=settings.compress) as writer:
        for rows in row_chunks(len(trials), size):
            shared = shared_maps(localizer, trials, rows)
            ids = [trials.trials[row].id for row in rows]
            writer.add(ids, shared.maps, map_index=shared.index)
            settings.progress("trials", int(rows[-1]) + 1, len(trials))
    reason = "sees the truth" if localizer.needs_truth else "neither looks nor listens"
    note = f"{localizer.name} {reason}"
    return Predicted(path, None, note, _no_class_maps(localizer, trials))


def no_answer(localizer: Localizer | AnnotationLocalizer, trials: TrialSet) -> str | None:
    """Why the localizer cannot answer the protocol, as a sentence; None where it can."""
    if trials.protocol.answers == "maps":
        return None
    if isinstance(localizer, AnnotationLocalizer):
        return f"{localizer.name} neither looks nor listens, so it cannot rank sounds and images"
    return None if localizer.supports("similarity") else localizer.missing_reason("similarity")


def _no_class_maps(localizer: Localizer | AnnotationLocalizer, trials: TrialSet) -> str | None:
    """Why trials that ask by category share a map; None where they do not, or ask for none."""
    if not by_category(trials):
        return None
    if isinstance(localizer, AnnotationLocalizer):
        return f"{localizer.name} is told no category"
    return None if localizer.supports("class_maps") else localizer.missing_reason("class_maps")


def _no_audio_blind_maps(localizer: Localizer, trials: TrialSet) -> str | None:
    """Why not to make audio-blind maps; None to make them."""
    if trials.protocol.answers == "retrieval":
        return "a ranking of sounds has no audio-blind form"
    if not trials.protocol.controls.vision_only:
        return "the protocol does not ask for it"
    if localizer.audio_blind:
        return f"{localizer.name} never listens: its maps are audio-blind already"
    if localizer.supports("vision_only"):
        return None
    return localizer.missing_reason("vision_only")
