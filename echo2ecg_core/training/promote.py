"""Makes a prepared model the active one, in one transaction; rolling back is promoting an older model."""

from echo2ecg_core.answers.loaded_model import load_readouts
from echo2ecg_core.answers.readiness import readiness
from echo2ecg_core.errors import ModelError
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry


def promote(workspace: Workspace, model_id: str) -> ModelCard:
    """Make a registered model the active one, in one transaction; it must be able to answer. An older model is rolled
    back to like this.

    Raises:
        ModelError: no such model, its readouts, vectors or map are missing, or its stored vectors come from ECGs that
            were prepared otherwise than its spec says.
    """
    registry = ModelRegistry(workspace)
    card = registry.get(model_id)
    state = readiness(workspace, card)
    if state.lacks:
        raise ModelError(
            f"{card.name} {card.model_id} cannot become active: its weights hold {', '.join(state.lacks)}.",
            "Promote a model with an ECG encoder, or import one together with these weights.",
        )
    if state.missing:
        raise ModelError(
            f"{card.name} {card.model_id} cannot become active yet: it has {', '.join(state.missing)}.",
            "Prepare it first (Models page, or `promote MODEL --prepare`).",
        )
    load_readouts(card.folder)
    return registry.promote(card.model_id)
