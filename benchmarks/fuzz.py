"""The long form of tests/fuzz: damaged files for every reader and importer, in pieces of 500, going on where it was.

    python benchmarks/fuzz.py [--inputs 200000] [--seed 2] [--folder KEPT]

Each piece is a line of fuzz-SEED.jsonl in the folder: its first input, what went wrong (target, file, number of the
input) and its processor time. A series that was ended goes on behind the last line. Prints one JSON line: inputs read,
findings, processor time an input.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from echo2ecg_core.memory import give_back  # noqa: E402
from tests.fuzz.test_fuzz import fuzz, sample_files  # noqa: E402

PIECE = 500


def main(inputs: int, seed: int, folder: Path) -> dict:
    """Read so many damaged files, those of earlier calls counted in; returns the figures."""
    warnings.filterwarnings("ignore")  # of pydicom, about what was damaged
    log = folder / f"fuzz-{seed}.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    while (first := len(done) * PIECE) < inputs:
        before = processor_s()
        with tempfile.TemporaryDirectory() as place:
            wrong = fuzz(Path(place), sample_files(), PIECE, seed, first)
        give_back()
        done.append({"first": first, "wrong": wrong, "processor_s": round(processor_s() - before, 1)})
        with log.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
    findings = [one for piece in done for one in piece["wrong"]]
    return {
        "seed": seed,
        "inputs": len(done) * PIECE,
        "findings": len(findings),
        "first_findings": findings[:10],
        "processor_ms_an_input": round(1000 * sum(piece["processor_s"] for piece in done) / (len(done) * PIECE), 1),
    }


def processor_s() -> float:
    """Processor time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    print(json.dumps(main(asked.inputs, asked.seed, asked.folder)))
