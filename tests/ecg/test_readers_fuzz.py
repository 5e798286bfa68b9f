"""Damaged files of every format: each yields a record or one of our errors, quickly and within bounded memory.

The mutator is seeded and plain (truncate, flip, swap, splice, insert, overwrite lengths), so a failure can be
repeated: its message names the seed file, the number of the mutation and what was raised.
"""

import io
import random
import re
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError
from tests.fuzz.mutations import in_bytes

N_MUTATIONS = 2000
SECONDS_EACH = 5.0
MEGABYTES_EACH = 500
LONG_TEXT_BYTES = 150_000  # tables of numbers from here on are read slowly, and therefore damaged less often

FOLDERS = ("csv", "dicom", "edf", "ge_cardiosoft_xml", "ge_muse_xml", "hl7_aecg_xml", "mat_code15",
"philips_sierra_xml",
           "scp_ecg", "txt_cinc2011")  # fmt: skip


def ecg_wave() -> np.ndarray:
    """Twelve leads of one-second spikes, 4 s at 500 Hz, in mV."""
    beat = np.exp(-0.5 * ((np.arange(2000) % 500 - 250) / 8.0) ** 2)
    return (np.linspace(-0.5, 1.5, 12)[:, None] * beat + 0.01 * np.sin(np.arange(2000) / 30)).astype(np.float32)


def made_files() -> dict[str, bytes]:
    """Array formats, made here because there are no samples of them."""
    wave, files = ecg_wave(), {}
    buffer = io.BytesIO()
    np.save(buffer, wave)
    files["wave.npy"] = buffer.getvalue()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, ecg=wave, fs=500)
    files["wave.npz"] = buffer.getvalue()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        archive.create_dataset("tracings", data=np.stack([wave.T, wave.T]), chunks=(1, 2000, 12), compression="gzip")
        archive.attrs["fs"] = 500
    files["wave.h5"] = buffer.getvalue()
    buffer = io.BytesIO()
    torch.save({"ecg": torch.tensor(wave), "fs": 500}, buffer)
    files["wave.pt"] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/wave.npy", files["wave.npy"])
    files["wave.zip"] = buffer.getvalue()
    return files


def seeds(samples: Path) -> list[dict[str, bytes]]:
    """Uploads to mutate: one or two files each, the first of them is mutated (both in turn for WFDB)."""
    uploads = []
    for folder in FOLDERS:
        uploads += [{path.name: path.read_bytes()} for path in sorted((samples / "ecg" / folder).iterdir())[:4]]
    for header in ("wfdb_mat/A0001.hea", "wfdb_mat/JS20004.hea", "wfdb_dat/04827_lr.hea", "ludb_labelled/1.hea"):
        path = samples / "ecg" / header
        signal = next(path.with_suffix(suffix) for suffix in (".mat", ".dat") if path.with_suffix(suffix).is_file())
        pair = {path.name: path.read_bytes(), signal.name: signal.read_bytes()}
        uploads += [pair, dict(reversed(pair.items()))]
    return uploads + [{name: content} for name, content in made_files().items()]


def _is_long_text(upload: dict[str, bytes]) -> bool:
    name, content = next(iter(upload.items()))
    return name.endswith((".txt", ".csv")) and len(content) > LONG_TEXT_BYTES


def mutate(content: bytes, other: bytes, dice: random.Random) -> bytes:
    """One to three plain mutations."""
    for _ in range(dice.randint(1, 3)):
        content = in_bytes(content, dice, other)
    return content


def reset_peak() -> None:
    """Let the peak that the kernel remembers of this process start again from what it holds now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("The kernel of this machine does not tell the peak memory of one step.")


def memory_mb(name: str) -> float:
    """Memory of this process in MB: "VmRSS" now, "VmHWM" the peak since `reset_peak`."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1)) / 1024


def test_the_peak_of_one_step_is_seen_although_its_memory_is_free_again():
    reset_peak()
    before_mb = memory_mb("VmRSS")
    np.ones(200 * 2**17).sum()
    assert memory_mb("VmHWM") - before_mb > 190
    reset_peak()
    assert memory_mb("VmHWM") - before_mb < 100


@pytest.mark.slow
def test_two_thousand_damaged_files_give_a_record_or_one_of_our_errors(samples):
    uploads, dice = seeds(samples), random.Random(20261)
    for upload in uploads:  # imports and caches first, so that they count neither as time nor as growth
        try:
            read_ecg(upload, sampling_rate_hz=500)
        except Echo2ECGError:
            continue
    before_mb = memory_mb("VmRSS")
    weights = [0.25 if _is_long_text(upload) else 1 for upload in uploads]
    for number, upload in enumerate(dice.choices(uploads, weights, k=N_MUTATIONS)):
        upload = dict(upload)
        name = next(iter(upload))
        other = next(iter(dice.choice(uploads).values()))
        upload[name] = mutate(upload[name], other, dice)
        reset_peak()
        start = time.process_time()
        try:
            record = read_ecg(upload, sampling_rate_hz=500)
        except Echo2ECGError as error:
            assert error.message and "\n" not in error.message and len(error.message) < 600, (name, number)
        except BaseException as error:
            pytest.fail(f"mutation {number} of {name}: {type(error).__name__}: {error}")
        else:
            assert isinstance(record, EcgRecord) and record.signal_mv.shape[0] == 12, (name, number)
        seconds = time.process_time() - start
        assert seconds < SECONDS_EACH, f"mutation {number} of {name} took {seconds:.1f} s"
        used_mb = memory_mb("VmHWM") - before_mb
        assert used_mb < MEGABYTES_EACH, f"mutation {number} of {name} took {used_mb:.0f} MB"
