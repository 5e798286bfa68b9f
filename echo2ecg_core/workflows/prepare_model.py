"""Makes what a registered model lacks before it may answer: vectors of everything, readouts, the map; a job.

Each step is "what is not there yet", so a stopped job goes on where it was.
"""

from collections.abc import Callable

from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.workflows.active_model import spec_of
from echo2ecg_core.workflows.readiness import readiness

Progress = Callable[[float, str], None]


def prepare_model(workspace: Workspace, model_id: str, progress: Progress = lambda share, message: None) -> str:
    """Embed the workspace with a model, fit its readouts where it has none, draw its map; returns a closing sentence.

    Raises:
        ModelError: no such model, or its weights lack a part that nothing can add.
        StoreError: too few labelled ECGs to fit readouts.
    """
    from echo2ecg_core.workflows.explore import build_map, map_is_due
    from echo2ecg_core.workflows.workspace_readouts import fit_readouts

    card = ModelRegistry(workspace).get(model_id)
    refused = embed_workspace(workspace, card, _part(progress, 0.02, 0.75))
    if not readiness(workspace, card).readouts:
        fit_readouts(workspace, card, _part(progress, 0.75, 0.85))
    if map_is_due(workspace, card):
        build_map(workspace, card.model_id, _part(progress, 0.85, 1.0))
    return f"{card.name} {card.model_id} is prepared: it may be promoted.{_passed_over(refused)}"


def embed_workspace(
    workspace: Workspace, card: ModelCard, progress: Progress = lambda share, message: None
) -> list[dict]:
    """Make every vector that is missing for a model (of studies where it shares a space with them); returns the ECGs
    that could not be embedded, with the reason.

    Raises:
        ModelError: its weights lack a part that nothing can add.
    """
    from echo2ecg_core.workflows.active_model import load_model
    from echo2ecg_core.workflows.embed import embed_clips, embed_ecgs, embed_studies

    lacks = readiness(workspace, card).lacks
    if lacks:
        raise ModelError(
            f"{card.name} {card.model_id} cannot be prepared: its weights hold {', '.join(lacks)}.",
            "Promote a model with an ECG encoder, or import one together with these weights.",
        )
    progress(0.0, "Loading the model")
    model = load_model(card, with_readouts=False)
    if not model.spec.shares_space:
        return embed_ecgs(workspace, model, progress)
    refused = embed_ecgs(workspace, model, _part(progress, 0.0, 0.4))
    if not Catalog(workspace).clips().empty:
        embed_clips(workspace, model, _part(progress, 0.4, 0.95))
        progress(0.95, "Aligning studies")
        embed_studies(workspace, model)
    return refused


def embed_job(workspace: Workspace, model_id: str | None, progress: Progress) -> str:
    """The embed job: missing vectors of a model (None: the active one); returns a closing sentence.

    Raises:
        StoreError: the workspace holds nothing to embed.
    """
    registry = ModelRegistry(workspace)
    card = registry.get(model_id) if model_id else registry.active()
    counts = Catalog(workspace).counts()
    if not counts["ecgs"] + counts["clips"]:
        raise StoreError("The workspace holds no ECG and no clip to embed.", "Import an archive first.")
    refused = embed_workspace(workspace, card, progress)
    studies = f" and {counts['studies']} studies" if spec_of(card).shares_space else ""
    return f"Vectors of {counts['ecgs'] - len(refused)} ECGs{studies} are there.{_passed_over(refused)}"


def _passed_over(refused: list[dict]) -> str:
    return f" {len(refused)} ECGs could not be embedded; the first: {refused[0]['reason']}" if refused else ""


def _part(progress: Progress, low: float, high: float) -> Progress:
    return lambda share, message: progress(low + (high - low) * share, message)
