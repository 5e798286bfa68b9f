"""Makes the goldens that ship of the complete ones: `python tests/goldens/thin_out.py COMPLETE_FOLDER`.

Left out is what a formula gives (features of the kNN golden) and what was recorded from a person (the real ECG: it is
in pydicom's test data, from where the test takes it).
"""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
STEPS = {"ecg_preprocess": 25, "ecg_encoder": 6, "echo_aggregation": 8, "clip_loss": 8, "otis_import": 8}
WHOLE = {"clip_loss": {"ecg", "echo"}, "ecg_encoder": {"token_indices", "token_indices_1992"}}  # inputs, not results
LEFT_OUT = {"ecg_preprocess": {"real_input"}, "knn": {"train_x", "test_x"}}
CORNER = slice(100, 132)  # of the one frame that is stored complete


def thinned(name: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of one file as they ship."""
    kept = {key: value for key, value in arrays.items() if key not in LEFT_OUT.get(name, ())}
    whole = WHOLE.get(name, ())
    kept = {k: v if k in whole or not v.ndim else v[..., :: STEPS.get(name, 1)] for k, v in kept.items()}
    return {k: v[CORNER, CORNER] if v.shape[:2] == (224, 224) else v for k, v in kept.items()}


def main(complete: Path) -> None:
    for path in sorted(complete.glob("*.npz")):
        np.savez_compressed(HERE / path.name, **thinned(path.stem, dict(np.load(path))))
    for path in sorted(complete.glob("*.json")):
        (HERE / path.name).write_text(json.dumps(json.loads(path.read_text()), separators=(",", ":")) + "\n")
    for path in sorted(complete.glob("*.csv")):
        (HERE / path.name).write_text(path.read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
