"""One ECG out of a file that holds many: a row of EchoNext's arrays, a tracing of CODE-15's HDF5 parts, a tensor of a
PyTorch list.

The arrays are read through a memory map or chunk by chunk, so a file may be larger than memory.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from echo2ecg_core.ecg.channels import MAX_VALUES, twelve_lead_record
from echo2ecg_core.ecg.formats.array_layout import CODE15_CANDIDATES, recordings
from echo2ecg_core.ecg.readers import read_next
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import ReadError

RATE_HZ = 400.0  # of CODE-15
ASSUMED_PT_HZ = 400.0  # default of the published code that writes lists of tensors


def rows_of(path: Path) -> int | None:
    """How many ECGs an .npy array holds; None where it cannot be read."""
    try:
        return len(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, TypeError):
        return None


def npy_row(path: Path, row: int) -> EcgRecord:
    """ECG number `row` of an .npy array (N, 1, 2500, 12) as EchoNext stores it, in mV again.

    Raises:
        ReadError: the file cannot be read, or has no such row.
        SignalError: it holds no signal.
    """
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        tracing = np.asarray(rows[row : row + 1])
    except (OSError, ValueError) as error:
        raise ReadError("The array of ECGs cannot be read.", "Download the file again.") from error
    return _record(recordings(tracing, None, path.name, "NPY"), path, len(tracing))


def code15_row(path: Path, row: int) -> EcgRecord:
    """Tracing number `row` of a CODE-15 part, without its zero padding.

    Raises:
        ReadError: the file cannot be read, or has no such row.
        SignalError: it holds no signal.
    """
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as archive:
            tracing = np.asarray(archive["tracings"][row : row + 1])
    except (OSError, KeyError, ValueError) as error:
        raise ReadError("The part of CODE-15 cannot be read.", "Download the file again.") from error
    filled = np.flatnonzero(tracing.any(axis=(0, 2)))
    tracing = tracing[:, filled[0] : filled[-1] + 1] if filled.size else tracing
    return _record(recordings(tracing, RATE_HZ, path.name, "HDF5", candidates=CODE15_CANDIDATES), path, len(tracing))


def pt_row(path: Path, row: int) -> EcgRecord:
    """ECG number `row` of a list of ("ecg", tensor (leads, samples)).

    Raises:
        ReadError: the file cannot be read, or has no such row.
        SignalError: it holds no signal.
    """
    rows = load_tensors(path)
    one: Any = rows[row] if isinstance(rows, list | tuple) and row < len(rows) else None
    tensor: Any = one[1] if isinstance(one, list | tuple) and len(one) == 2 else one
    if not hasattr(tensor, "shape") or len(tensor.shape) != 2 or tensor.numel() > MAX_VALUES:
        raise ReadError("This list holds no ECG (leads, samples) at a place.", "Prepare the file again.")
    return _record(recordings(tensor.float().numpy()[None], ASSUMED_PT_HZ, path.name, "PyTorch"), path, 1)


def load_tensors(path: Path) -> Any:
    """What a PyTorch file holds, mapped and not read; tensors, numbers and texts only.

    Raises:
        ReadError: it is damaged, or holds something else.
    """
    return _mapped(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)  # of a list with many ECGs, one after another
def _mapped(path: Path, changed_ns: int) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # whatever the foreign parser raises
        raise ReadError(
            f"The PyTorch file cannot be read ({type(error).__name__}): it is damaged, of before PyTorch 1.6, or holds "
            "more than tensors, numbers and texts.",
            "Save it again with torch.save.",
        ) from error


def _record(found, path: Path, n_rows: int) -> EcgRecord:
    channels = read_next(found, path.name) if n_rows else None
    if channels is None:
        raise ReadError("The table names a row that the array does not have.", "Download table and array together.")
    return twelve_lead_record(channels, path.name)
