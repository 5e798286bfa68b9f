"""Every reader and importer on damaged files: an answer or one of our errors, no hang, no gigabyte, no long refusal.

A test run reads 3,000 inputs (tests/ecg/test_readers_fuzz.py 2,000 more), `make endurance` 200,000 (benchmarks/fuzz.py
likewise, going on where it was; ECHO2ECG_FUZZ_INPUTS says another number). A failure names the target, the file and the
number of the input.
"""

import os
import random
import re
import time
from pathlib import Path

import pytest

from echo2ecg_core.errors import Echo2ECGError
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import WHOLE, emptied, targets

pytestmark = pytest.mark.filterwarnings("ignore")  # of pydicom, while a tag is damaged

SECONDS, MEGABYTES, LETTERS = 10.0, 1000, 1200
OFTEN_BYTES = 60_000  # larger files are drawn less often, so that more are read in the same time
SLOWLY = {"philips_sierra_xml.xml": 0.3, "txt_cinc2011.txt": 0.5}  # read: likewise
SHARES = {"ECG": 8, "echo clip": 8, "header": 3, "tables": 4, "zip": 3, "weights": 3, "vectors": 2, "mapping": 2}
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]")


def memory_mb(name: str) -> float:
    """Memory of this process in MB: "VmRSS" now, "VmHWM" the peak since it was reset."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1)) / 1024


def fuzz(folder: Path, samples: Path | None, inputs: int, seed: int, first: int = 0) -> list[str]:
    """Read so many damaged files, from number `first` on; returns what went wrong, in words."""
    found, wrong = targets(folder, samples), []
    for target in found:
        WHOLE.update(target.seeds)
    whole = [content for target in found for content in target.seeds.values()]
    for target in found:  # imports first, so that they count neither as time nor as memory
        for name, content in target.seeds.items():
            _outcome(target, name, content, emptied(folder / "at"))
    before = memory_mb("VmRSS")
    weights = [SHARES[target.name] for target in found]
    often = {
        target.name: [SLOWLY.get(name, 1) * OFTEN_BYTES / max(OFTEN_BYTES, len(c)) for name, c in target.seeds.items()]
        for target in found
    }
    for number in range(first, first + inputs):
        dice = random.Random(f"{seed} {number}")
        target = dice.choices(found, weights)[0]
        name = dice.choices(list(target.seeds), often[target.name])[0]
        content = mutated(target.seeds[name], name, dice, dice.choice(whole))
        Path("/proc/self/clear_refs").write_text("5")
        began = time.process_time()
        problem = _outcome(target, name, content, emptied(folder / "at"))
        seconds, used = time.process_time() - began, memory_mb("VmHWM") - before
        problem = problem or (f"took {seconds:.0f} s" if seconds > SECONDS else "")
        problem = problem or (f"took {used:.0f} MB" if used > MEGABYTES else "")
        if problem:
            wrong.append(f"{target.name}, {name}, input {number} of seed {seed}: {problem}")
    return wrong


def _outcome(target, name: str, content: bytes, place: Path) -> str:
    try:
        target.call(name, content, place)
    except Echo2ECGError as error:
        text = str(error)
        if len(text) > LETTERS:
            return f"a refusal of {len(text)} letters: {text[:80]}"
        if len(error.message) > 200 and error.about_a_file:
            return f"a refusal of a file of {len(error.message)} letters: {text[:80]}"
        return f"control characters in {text[:80]!r}" if CONTROLS.search(text) else ""
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:120]}"
    return ""


def sample_files() -> Path | None:
    """The folder of sample files of more formats, where it is at hand."""
    from tests.conftest import SHARED

    return SHARED / "data" / "samples" if (SHARED / "data" / "samples").is_dir() else None


@pytest.mark.slow
def test_damaged_files_give_an_answer_or_one_of_our_errors(tmp_path):
    wrong = fuzz(tmp_path, sample_files(), int(os.environ.get("ECHO2ECG_FUZZ_INPUTS", 3000)), seed=1)
    assert not wrong, "\n".join(wrong[:40])


@pytest.mark.endurance
def test_two_hundred_thousand_damaged_files_likewise(tmp_path):
    wrong = fuzz(tmp_path, sample_files(), int(os.environ.get("ECHO2ECG_FUZZ_INPUTS", 200_000)), seed=2)
    assert not wrong, f"{len(wrong)} in all\n" + "\n".join(wrong[:100])
