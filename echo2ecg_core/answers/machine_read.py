"""Values that a model read from echo clips where nobody measured: kept apart from measured ones, marked everywhere.

They lie in a file of their own, never in the catalogue's phenotypes, so that no training, readout, report or map can
take them for measurements.
"""

import json
from pathlib import Path

from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.database import Workspace

MARK = "machine-read"
OUTPUT_OF = {  # phenotype -> output; PanEcho's RVIDd and volumes of the atria are not the measures of our table
    "lvef": "EF", "lvedv": "LVEDV", "lvesv": "LVESV", "lvsv": "LVSV", "lvidd": "LVIDd", "lvids": "LVIDs",
    "ivsd": "IVSd", "lvpwd": "LVPWd", "tapse": "TAPSE", "rvsp": "RVSP",
}  # fmt: skip


def readings_path(workspace: Workspace, model_id: str) -> Path:
    """Where the readings of a model lie."""
    return workspace.folder / "machine_read" / f"{model_id}.json"


def readings(workspace: Workspace, model_id: str) -> dict[str, dict]:
    """Study id -> {"clips": how many were read, "outputs": {name: value}}; {} where there are none."""
    try:
        return json.loads(readings_path(workspace, model_id).read_text())["studies"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def machine_values(workspace: Workspace, study_id: str) -> list[dict]:
    """Machine-read phenotypes of a study, each marked as such.

    Returns:
        [{"name", "label", "value", "unit", "mark": "machine-read", "by": model's name, "model": its id, "clips"}].
    """
    found = []
    for path in sorted((workspace.folder / "machine_read").glob("*.json")):
        study = readings(workspace, path.stem).get(study_id)
        if study is None:
            continue
        by = json.loads(path.read_text()).get("model", path.stem)
        for name, output in OUTPUT_OF.items():
            if (value := study["outputs"].get(output)) is not None:
                p = PHENOTYPES[name]
                found.append(
                    {
                        "name": name,
                        "label": p.label,
                        "value": round(max(float(value), p.lowest), 3),
                        "unit": p.unit,
                        "mark": MARK,
                        "by": by,
                        "model": path.stem,
                        "clips": study["clips"],
                    }
                )
    return found
