"""NumPy files (.npy, .npz). Nothing is ever unpickled; large .npy files on disk are read through a memory map.

In an .npz the largest array with a lead axis is the ECG, with those that are called like it (containers.py).
"""

import io
import zipfile
from collections.abc import Iterator

import numpy as np

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import MAX_FILE_BYTES, EcgFile, check_unpacked_size
from echo2ecg_core.ecg.formats.array_layout import by_field, flat_shape, lead_axis, recordings
from echo2ecg_core.ecg.formats.containers import Container
from echo2ecg_core.errors import ReadError

_KINDS = "fiuUS"  # of arrays of numbers and texts


def recognises(head: bytes) -> bool:
    """Whether a file is a NumPy array file."""
    return head.startswith(b"\x93NUMPY")


def recognises_npz(names: list[str]) -> bool:
    """Whether the member names of a zip are those of an .npz file."""
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_npy(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recordings of an .npy file.

    Raises:
        ReadError: If it holds Python objects or is shorter than its header says.
    """
    with file.opener() as stream:
        shape, dtype = _npy_header(stream, file.name)
        n_bytes = stream.tell() + int(np.prod([float(size) for size in shape])) * dtype.itemsize
    if n_bytes > file.size:
        raise ReadError(
            f"“{file.name}” is cut short: its header announces {n_bytes:,} bytes, it has {file.size:,}.",
            "Copy the file again.",
        )
    if dtype.names and len(shape) == 1:
        with file.opener() as stream:
            fields = by_field("", np.load(io.BytesIO(stream.read(MAX_FILE_BYTES)), allow_pickle=False))
        yield from Container(fields, file.name).recordings("NPY", told=told)
        return
    lead_axis(flat_shape(shape))
    if dtype.kind in "US":
        raise ReadError(f"“{file.name}” holds text, not numbers.", "Save a numeric array with 12 rows or 12 columns.")
    if file.path is not None:
        array = np.load(file.path, mmap_mode="r", allow_pickle=False)
    else:
        array = np.load(io.BytesIO(file.read()), allow_pickle=False)
    yield from recordings(array, told.sampling_rate_hz, file.name, "NPY", told=told)


def read_npz(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recordings of the largest fitting array in an .npz file.

    Raises:
        ReadError: If it holds Python objects, or unpacks to more than is read.
        SignalError: If no array has a lead axis.
    """
    check_unpacked_size(file)
    with zipfile.ZipFile(io.BytesIO(file.read())) as archive:
        arrays = {name.removesuffix(".npy"): _member(archive, name, file.name) for name in archive.namelist()}
    arrays = {path: part for name, array in arrays.items() for path, part in by_field(name, array).items()}
    known = {name: array for name, array in arrays.items() if array.dtype.kind in _KINDS}
    yield from Container(known, file.name).recordings("NPZ", told=told)


def _member(archive: zipfile.ZipFile, name: str, file_name: str) -> np.ndarray:
    """One array; moments as seconds."""
    with archive.open(name) as stream:
        _npy_header(stream, file_name, _KINDS + "bcmMV")
    with archive.open(name) as stream:
        array = np.load(io.BytesIO(stream.read()), allow_pickle=False)
    if array.dtype.kind == "M":
        array = array - array.ravel()[:1]
    return array.astype("m8[ns]").astype(np.int64) * 1e-9 if array.dtype.kind == "m" else array


def _npy_header(stream, file_name: str, kinds: str = _KINDS) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array that follows, without reading it."""
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise ReadError(
            f"“{file_name}” holds pickled Python objects, which are never opened.",
            "Save a plain numeric array with numpy.save(..., allow_pickle=False).",
        )
    if dtype.kind not in kinds and not dtype.names:
        raise ReadError(
            f"“{file_name}” holds no numbers: its array is of type {str(dtype)[:30]}.",
            "Save a plain numeric array with 12 rows or 12 columns.",
        )
    return shape, dtype
