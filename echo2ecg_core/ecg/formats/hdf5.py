"""HDF5 files (.h5, .hdf5, MATLAB 7.3) through h5py, one recording at a time, so that archives of any size can be read.

CODE-15's layout (tracings (N, 4096, 12), 400 Hz, zero-padded, an empty last row) is recognised and its padding cut.
Datasets that keep their values in other files are never followed.
"""

import io
from collections.abc import Iterator

import numpy as np

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import MAX_FILE_BYTES, EcgFile
from echo2ecg_core.ecg.formats.array_layout import (
    CODE15_CANDIDATES,
    LEAD_KEYS,
    RATE_KEYS,
    UNIT_KEYS,
    has_lead_axis,
    recordings,
)
from echo2ecg_core.errors import ReadError, SignalError

MAX_OBJECTS = 1000
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
        datasets = _datasets(archive)
        name, tracings = _tracings(datasets, file.name)
        facts = _small_values(archive, datasets) | {key.lower(): value for key, value in tracings.attrs.items()}
        is_code15 = name.rsplit("/", 1)[-1] == "tracings" and tracings.shape[1:] == (4096, 12)
        rate = _first_number(facts) or (CODE15_RATE_HZ if is_code15 else told.sampling_rate_hz)
        candidates = CODE15_CANDIDATES if is_code15 else None
        for channels in recordings(tracings, rate, file.name, "HDF5", _names(facts), _unit(facts), candidates, told):
            if is_code15:
                _trim(channels)
            yield channels


def _datasets(archive) -> dict:
    """Numeric and text datasets that lie in this file itself, by path."""
    import h5py

    found = {}

    def visit(name: str, item) -> bool | None:
        if isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external:
            found[name] = item
        return True if len(found) >= MAX_OBJECTS else None

    archive.visititems(visit)
    return found


def _tracings(datasets: dict, file_name: str) -> tuple:
    """Path and dataset of the largest array with an axis of leads."""
    fitting = {name: item for name, item in datasets.items() if item.dtype.kind in "fiu" and has_lead_axis(item.shape)}
    if not fitting:
        shapes = ", ".join(f"{name} {item.shape}" for name, item in list(datasets.items())[:5])[:200]
        raise SignalError(
            f"No dataset in “{file_name}” has an axis of 12 leads: {shapes or 'the file has no dataset'}.",
            "Save the ECG as 12 rows or 12 columns.",
        )
    name = max(fitting, key=lambda path: fitting[path].size)
    item = fitting[name]
    if item.chunks and float(np.prod(item.chunks)) * item.dtype.itemsize > MAX_FILE_BYTES:
        raise ReadError(
            f"“{file_name}” stores its ECGs in blocks that are too large to open.",
            "Save the dataset with chunks of single recordings.",
        )
    return name, item


def _small_values(archive, datasets: dict) -> dict:
    """Attributes of the file and its single-valued or text datasets, by lower-case name."""
    values = {key.lower(): value for key, value in archive.attrs.items()}
    for name, item in datasets.items():
        key = name.rsplit("/", 1)[-1].lower()
        if key in RATE_KEYS + LEAD_KEYS + UNIT_KEYS and item.size <= 64:
            values[key] = item[()]
    return values


def _first_number(facts: dict) -> float | None:
    for key in RATE_KEYS:
        value = np.asarray(facts.get(key, ""))
        if value.size == 1 and value.dtype.kind in "fiu":
            return float(value.ravel()[0])
    return None


def _texts(value) -> list[str]:
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
            for item in np.asarray(value).ravel().tolist()]  # fmt: skip


def _names(facts: dict) -> list[str]:
    return next((_texts(facts[key]) for key in LEAD_KEYS if key in facts), [])


def _unit(facts: dict) -> str:
    return next((_texts(facts[key])[0] for key in UNIT_KEYS if key in facts and np.size(facts[key])), "")


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
