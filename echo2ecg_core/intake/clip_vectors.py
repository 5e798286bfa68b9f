"""Clip vectors that came with an archive, in place of pictures: whose they are, and which of them can be used.

Vectors of two clip encoders mean nothing to each other, so each belongs to one: that of a model of this workspace, or
one that is known by its name alone. A clip without a picture is a row like any other; its vector lies in the blobs.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import ModelError, ReadError
from echo2ecg_core.intake.array_rows import load_tensors
from echo2ecg_core.intake.plan import Plan, PlannedClip
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry, clip_vectors_id
from echo2ecg_core.store.new_rows import NewClipVector, StoredClip, stored_clip_vectors

ECHOPRIME, KIND = "echoprime", "mvit_v2_s"  # its name in names of files, and its network
NOT_FINITE = "Its vector holds numbers that are not finite."
ZEROS = "Its vector holds zeros only."
AT_ONCE = 512  # read, kept and listed together
LOOKED_AT = 256  # rows of a file


def load_clip_vectors(path: Path):
    """The tensor (n, d) of a file of clip vectors, mapped and not read.

    Raises:
        ReadError: it is damaged, or holds something else, or vectors that were scaled to length one.
    """
    found = load_tensors(path)
    if getattr(found, "ndim", 0) != 2 or not found.is_floating_point() or not found.numel():
        shape = tuple(getattr(found, "shape", ())) or type(found).__name__
        raise ReadError(f"It holds {shape}; expected one row of numbers for each clip.", "Prepare the file again.")
    sample = found[:: max(1, len(found) // LOOKED_AT)].float().norm(dim=1)
    if bool(((sample - 1).abs() < 1e-3).all()):
        raise ReadError(
            "Its vectors are all of length one; expected them as they leave the clip encoder.",
            "Take the file that was written without --normalize (its name ends with _unnorm.pt).",
        )
    return found


def settle_encoder(plan: Plan, workspace: Workspace, chosen: str) -> None:
    """Whose the clip vectors of a plan are, as its `encoder`, told in a note; what contradicts it is a problem.

    Args:
        chosen: Id of a model whose clip encoder made them, or a name; "": told by the data set.
    """
    if plan.vectors_of is None:
        return
    name, length = plan.vectors_of
    if not chosen and name != ECHOPRIME:  # a name of a file may be anything, and it would stand on pages
        plan.problems.add("Say with --vectors-of which clip encoder made the clip vectors: a model's id, or a name.")
        return
    ours = {} if not workspace.exists() else _encoders(workspace)
    if chosen and chosen in ours:
        fitting = {chosen: ours[chosen]}
    elif chosen and workspace.exists() and any(c.model_id == chosen for c in ModelRegistry(workspace).models()):
        plan.problems.add(f"The model {chosen} has no clip encoder: it cannot have made these clip vectors.")
        return
    elif chosen:
        fitting, name = {}, chosen
    else:
        fitting = {i: found for i, found in ours.items() if found[2]["kind"] == KIND}
    ids = {encoder_id for encoder_id, _, _ in fitting.values()}
    if len(ids) > 1:
        plan.problems.add(
            f"{len(ids)} clip encoders of this workspace could have made the clip vectors of this archive: say which "
            f"one with --vectors-of ({', '.join(sorted(fitting))})."
        )
        return
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        plan.problems.add("A clip encoder goes by small letters, digits, _ and - (--vectors-of).")
        return
    plan.encoder = ids.pop() if ids else name
    n = sum(clip.vector_row is not None for clip in plan.clips)
    whose = f"the clip encoder {name}, which is no model of this workspace"
    for model_id, (_, called, spec) in fitting.items():
        whose = f"the clip encoder of {called} {model_id}"
        if spec["dim"] != length:
            plan.problems.add(f"The clip vectors have {length} numbers, those of {whose} {spec['dim']}.")
    plan.note(f"{n} clips come in as vectors of {whose}; there are no pictures of them.")


def _encoders(workspace: Workspace) -> dict[str, tuple[str, str, dict]]:
    """Id of every model with a clip encoder -> the encoder's id, the model's name, the encoder's spec."""
    found = {}
    for card in ModelRegistry(workspace).models():
        manifest = _manifest(card)
        if "clip_encoder" in manifest.get("weights", {}):
            found[card.model_id] = (clip_vectors_id(manifest), card.name, manifest["spec"]["clip_encoder"])
    return found


def _manifest(card: ModelCard) -> dict:
    try:
        return card.manifest()
    except ModelError:  # a damaged model made nothing that can be used here
        return {}


def come_in(
    workspace: Workspace, clips: Sequence[tuple[str, PlannedClip]], encoder: str
) -> Iterator[tuple[list[StoredClip], list[tuple[PlannedClip, str]], dict[str, str]]]:
    """Clips without pictures, some at a time: those that are kept now, those that cannot be used with the reason, and
    the views (by clip) that the data set gives those that are here.

    Args:
        clips: Id of the study in the catalog, and the clip; those of a study stand together.
        encoder: Whose vectors they are.
    """
    here: dict[str, dict[str, str]] = {}
    listed = Catalog(workspace).clips().set_index("clip_id").encoder
    for start in range(0, len(clips), AT_ONCE):
        some, new, refused, views = clips[start : start + AT_ONCE], [], [], {}
        rows = _rows([clip for _, clip in some])
        for (study_id, clip), vector in zip(some, rows, strict=True):
            reason = NOT_FINITE if not np.isfinite(vector).all() else ZEROS if not vector.any() else ""
            if reason:
                refused.append((clip, reason))
            else:
                new.append(NewClipVector(study_id, vector, encoder, clip.view))
        stored = stored_clip_vectors(workspace, new)
        for study_id in {clip.study_id for clip in stored} - here.keys():
            here[study_id] = Catalog(workspace).file_hashes(study_id)
        known = [(c, here[c.study_id].get(c.file_hash or "")) for c in stored]
        views = {clip_id: clip.view for clip, clip_id in known if clip_id and clip.view}
        yield [clip for clip, clip_id in known if not clip_id or listed[clip_id] != encoder], refused, views


def _rows(clips: Sequence[PlannedClip]) -> np.ndarray:
    """Vectors (n, d) float32 of clips, which lie in one file."""
    import torch

    rows = torch.tensor([clip.vector_row for clip in clips])
    return load_tensors(clips[0].path)[rows].float().numpy()
