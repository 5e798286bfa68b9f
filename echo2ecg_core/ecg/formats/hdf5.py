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
from echo2ecg_core.ecg.formats.array_layout import CODE15_CANDIDATES, by_field
from echo2ecg_core.ecg.formats.containers import Container, block_bytes
from echo2ecg_core.ecg.formats.facts import MOST_TEXTS
from echo2ecg_core.errors import ReadError

MAX_OBJECTS = 20_000
MOST_LETTERS = 10_000  # of a text of MATLAB's
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
            text = _matlab_text(archive, item)
            values.update(by_field(name, item) if text is None else {name: text})
        for key, value in item.attrs.items():
            if not isinstance(value, h5py.Empty):
                values[f"{name}/{key}" if name else key] = np.asarray(value)
        return True if len(values) >= MAX_OBJECTS else None

    visit("", archive)
    archive.visititems(visit)
    return values, len(values) < MAX_OBJECTS


def _matlab_text(archive, item) -> np.ndarray | None:
    """The text, or the cell array of texts, that a dataset of MATLAB 7.3 holds as numbers or as references to such
    datasets; None of any other dataset."""
    import h5py

    if h5py.check_ref_dtype(item.dtype) is h5py.Reference and 0 < item.size <= MOST_TEXTS:
        found = [archive[ref] if ref else None for ref in np.asarray(item[()]).ravel()]
        parts = [_letters(one) if isinstance(one, h5py.Dataset) else None for one in found]
        texts = [text for text in parts if text is not None]
        return np.array(texts) if len(texts) == item.size else None
    text = _letters(item)
    return None if text is None else np.array(text)


def _letters(item) -> str | None:
    """The row of letters in a dataset of MATLAB's class char."""
    is_text = item.attrs.get("MATLAB_class") in (b"char", "char") and item.dtype.kind == "u"
    if not is_text or item.size > MOST_LETTERS or item.is_virtual or item.external:
        return None
    return "".join(chr(code) for code in np.asarray(item[()]).ravel().tolist()).strip()


def _check_blocks(item, file_name: str) -> None:
    """Refuse a dataset of which one block is more than is read."""
    if block_bytes(item) > MAX_FILE_BYTES:
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
