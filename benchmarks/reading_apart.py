"""What it costs to read an ECG file in the process that is kept for parsers that may hang, beside reading it here.

    python -m benchmarks.reading_apart [--repeats 50]

An HDF5 file of one ECG (12 x 5000), once the process is warm; best and median of the repeats, taking turns. Prints one
JSON line; `more_ms` is the difference of the medians (aim: below 20), `ratio` apart over here.
"""

import argparse
import io
import json
import statistics
import time

import h5py
import numpy as np

from echo2ecg_core.ecg import reading_process
from echo2ecg_core.ecg.files import files_in_memory
from echo2ecg_core.ecg.formats import hdf5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    repeats = parser.parse_args().repeats
    (file,) = files_in_memory({"x.h5": ecg_file()})
    ways = {"apart": lambda: reading_process.read_apart("arrays", file), "here": lambda: hdf5.read(file)}
    for read in ways.values():
        list(read())
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, read in ways.items():
            begun = time.perf_counter()
            assert len(list(read())) == 1
            times[name].append(1000 * (time.perf_counter() - begun))
    told = {"benchmark": "reading_apart"}
    middle = {name: statistics.median(found) for name, found in times.items()}
    for name, found in times.items():
        told |= {f"{name}_ms": round(middle[name], 2), f"{name}_best_ms": round(min(found), 2)}
    told |= {"more_ms": round(middle["apart"] - middle["here"], 2), "ratio": round(middle["apart"] / middle["here"], 2)}
    print(json.dumps(told))


def ecg_file() -> bytes:
    """An HDF5 file of one ECG."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        archive["ecg"] = np.random.default_rng(0).standard_normal((5000, 12)).astype(np.float32)
        archive.attrs["fs"] = 500
        archive.attrs["unit"] = "mV"
    return buffer.getvalue()


if __name__ == "__main__":
    main()
