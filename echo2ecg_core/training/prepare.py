"""Makes what a registered model lacks before it may answer: vectors of everything, readouts, the map; a job.

Each step is "what is not there yet", so a stopped job goes on where it was.
"""

from echo2ecg_core.answers.embed import embed_workspace, passed_over
from echo2ecg_core.answers.readiness import older_readouts, readiness
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry


def prepare_model(workspace: Workspace, model_id: str, progress: Progress = silent) -> str:
    """Embed the workspace with a model, fit its readouts where it has none, draw its map; returns a closing sentence.

    Raises:
        ModelError: no such model, or its weights lack a part that nothing can add.
        StoreError: too few labelled ECGs to fit readouts.
    """
    from echo2ecg_core.answers.map_drawing import build_map
    from echo2ecg_core.answers.maps import map_is_due
    from echo2ecg_core.training.readouts import fit_readouts

    card = ModelRegistry(workspace).get(model_id)
    refused = embed_workspace(workspace, card, part(progress, 0.02, 0.75))
    if not readiness(workspace, card).readouts or older_readouts(workspace, card):
        fit_readouts(workspace, card, part(progress, 0.75, 0.85))
    if map_is_due(workspace, card):
        build_map(workspace, card.model_id, part(progress, 0.85, 1.0))
    return f"{card.name} {card.model_id} is prepared: it may be promoted.{passed_over(refused)}"
