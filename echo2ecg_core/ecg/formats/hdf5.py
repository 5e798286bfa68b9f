"""HDF5 files (.h5, .hdf5, MATLAB 7.3) through h5py, one recording at a time, so that archives of any size can be read.

CODE-15's layout (tracings (N, 4096, 12), 400 Hz, zero-padded, an empty last row) is recognised and its padding cut.
Datasets that keep their values in other files are never followed.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import MAX_FILE_BYTES, EcgFile
from echo2ecg_core.ecg.formats.array_layout import CODE15_CANDIDATES
from echo2ecg_core.ecg.formats.containers import Container
from echo2ecg_core.errors import ReadError

MAX_OBJECTS = 20_000
CODE15_RATE_HZ = 400.0


def recognises(head: bytes) -> bool:
    """Whether a file is HDF5, with MATLAB's 512-byte preface or without."""
    return head.startswith(b"\x89HDF\r\n\x1a\n") or head[512:520] == b"\x89HDF\r\n\x1a\n"


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recordings of an HDF5 file.

    Raises:
        SignalError: If no dataset has an axis of leads.
        SamplingRateNeeded: If neither file nor caller tells the sampling rate.
    """
    import h5py

    source = str(file.path) if file.path is not None else io.BytesIO(file.read())
    with h5py.File(source, "r", locking=False) as archive:
        values, is_whole = _values(archive)
        container = Container(values, file.name)
        name, shape = container.main
        _check_blocks(values.get(name), file.name)
        is_code15 = name.rsplit("/", 1)[-1] == "tracings" and shape[1:] == (4096, 12)
        rate, candidates = (CODE15_RATE_HZ, CODE15_CANDIDATES) if is_code15 else (None, None)
        for channels in container.recordings("HDF5", candidates, told, rate):
            if is_code15:
                _trim(channels)
            if not is_whole:
                channels.notes.append(f"Only the first {MAX_OBJECTS:,} datasets of the file were looked at.")
            yield channels


def _values(archive) -> tuple[dict[str, Any], bool]:
    """Datasets that lie in this file itself and attributes, by path; and whether that is all of them."""
    import h5py

    values: dict[str, Any] = {}

    def visit(name: str, item) -> bool | None:
        if isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external and item.shape is not None:
            values[name] = item
        for key, value in item.attrs.items():
            if not isinstance(value, h5py.Empty):
                values[f"{name}/{key}" if name else key] = np.asarray(value)
        return True if len(values) >= MAX_OBJECTS else None

    visit("", archive)
    archive.visititems(visit)
    return values, len(values) < MAX_OBJECTS


def _check_blocks(item, file_name: str) -> None:
    """Refuse a dataset of which one block is more than is read."""
    chunks = getattr(item, "chunks", None)
    if chunks and float(np.prod(chunks)) * item.dtype.itemsize > MAX_FILE_BYTES:
        raise ReadError(
            f"“{file_name}” stores its ECGs in blocks that are too large to open.",
            "Save the dataset with chunks of single recordings.",
        )


def _trim(channels: Channels) -> None:
    """Cut the zero padding at both ends."""
    signal = np.asarray(channels.samples_mv)  # (leads, n)
    moving = np.flatnonzero(np.any(signal != 0, axis=0))
    n_samples = signal.shape[1]
    if moving.size and moving[-1] - moving[0] + 1 < n_samples:
        channels.samples_mv = signal[:, moving[0] : moving[-1] + 1]
        channels.notes.append(
            f"Zero padding at the ends was cut: {moving[-1] - moving[0] + 1} of {n_samples} samples remain."
        )
