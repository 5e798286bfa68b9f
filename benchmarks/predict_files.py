"""How much of the time of many predictions goes into reading and cleaning, at the full-size encoder.

    python -m benchmarks.predict_files [--ecgs 256]

Writes WFDB records of phantom hearts into a temporary folder, then times, in one run and on the threads torch takes:
reading them, cleaning and resampling them, and embedding them in batches of 32 with the full-size ECG encoder (preset
"base", random weights: time does not depend on them). Prints one JSON line; `share_read_and_clean` is the part of the
sum that is not the encoder, the aim is below 0.15.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    import numpy as np
    import torch

    from echo2ecg_core.ecg.preprocess import prepare_ecg, warm_up
    from echo2ecg_core.ecg.readers import read_ecg
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.models.specs import PRESETS
    from echo2ecg_core.phantom.cohort import PhantomCohort, write_ecg

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ecgs", type=int, default=256)
    n = parser.parse_args().ecgs
    warm_up()
    model = Echo2ECG(PRESETS["base"]).eval()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        people = PhantomCohort(n, 1)
        paths = [write_ecg(people.patient(i).ecgs[0], Path(folder)) for i in range(n)]
        model.embed_ecg(torch.zeros(32, 12, 1008))
        start = time.perf_counter()
        records = [read_ecg(path) for path in paths]
        read = time.perf_counter()
        windows = np.concatenate([prepare_ecg(r.signal_mv, r.sampling_rate_hz) for r in records])
        cleaned = time.perf_counter()
        for i in range(0, n, 32):
            model.embed_ecg(torch.from_numpy(windows[i : i + 32]))
        embedded = time.perf_counter()
    seconds = {"read_s": read - start, "clean_s": cleaned - read, "embed_s": embedded - cleaned}
    print(
        json.dumps(
            {
                "benchmark": "predict_files",
                "ecgs": n,
                "threads": torch.get_num_threads(),
                **{k: round(v, 2) for k, v in seconds.items()},
                "ecgs_per_s": round(n / (embedded - start), 1),
                "share_read_and_clean": round((cleaned - start) / (embedded - start), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
