"""MATLAB files up to version 7 (.mat) through scipy; version 7.3 is HDF5 and read there.

CODE-15 excerpts ("feats" beside "curr_sample_rate") are documented in units of 1e-4 V, yet their amplitude can be
that of mV: amplitude decides. A compressed file is measured before it is unpacked.
"""

import io
import re
import zlib
from collections.abc import Iterator

import numpy as np

from echo2ecg_core.ecg.arrays import CODE15_CANDIDATES, named_arrays
from echo2ecg_core.ecg.channels import MAX_VALUES, Channels
from echo2ecg_core.ecg.files import MAX_FILE_BYTES, EcgFile, inflates_beyond
from echo2ecg_core.errors import ReadError

MAX_VARIABLES = 100
_COMPRESSED = 15
_NUMBERS = {"double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"}


def recognises(head: bytes) -> bool:
    """Whether a file is a MATLAB file of version 4, 5, 6 or 7."""
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        return True
    # version 4: type (little-endian, numeric), rows, columns, imaginary flag, length of the name, name
    words = np.frombuffer(head[:20], dtype="<u4") if len(head) > 24 else []
    if not len(words) or words[0] not in (0, 10, 20, 30, 40, 50) or words[3] > 1 or not 2 <= words[4] <= 64:
        return False
    return re.fullmatch(rb"[A-Za-z]\w*\0", head[20 : 20 + int(words[4])]) is not None


def read(file: EcgFile, sampling_rate_hz: float | None = None) -> Iterator[Channels]:
    """The recordings of a MATLAB file: its largest matrix with 12 or 8 rows or columns.

    Raises:
        ReadError: If it would unpack to too much.
        SignalError: If no variable has an axis of leads.
    """
    import scipy.io

    content = file.read()
    _check_inflation(file, content)
    variables = scipy.io.whosmat(io.BytesIO(content))
    if len(variables) > MAX_VARIABLES or sum(float(np.prod(shape)) for _, shape, _ in variables) > 8 * MAX_VALUES:
        raise ReadError(f"“{file.name}” claims {len(variables)} variables that are too large to read.",
                        "Save a single ECG in the file.")
    wanted = [name for name, _, kind in variables if kind in _NUMBERS | {"char", "struct"}]
    loaded = scipy.io.loadmat(io.BytesIO(content), variable_names=wanted, chars_as_strings=True)
    arrays = {}
    for name, value in loaded.items():
        if name.startswith("__"):
            continue
        if value.dtype.names and value.size == 1:  # a struct such as CPSC-2018's ECG.data
            arrays |= {key: value.flat[0][key] for key in value.dtype.names}
        else:
            arrays[name] = value
    arrays = {name: value for name, value in arrays.items() if isinstance(value, np.ndarray)}
    candidates = CODE15_CANDIDATES if "feats" in arrays and "curr_sample_rate" in arrays else None
    yield from named_arrays(arrays, sampling_rate_hz, file.name, "MATLAB", candidates)


def _check_inflation(file: EcgFile, content: bytes) -> None:
    """Refuse compressed variables that would unpack to more than a file may have."""
    if not content.startswith(b"MATLAB 5.0"):
        return
    order = "big" if content[126:128] == b"MI" else "little"
    position, budget = 128, MAX_FILE_BYTES
    while position + 8 <= len(content):
        kind = int.from_bytes(content[position : position + 4], order)
        size = int.from_bytes(content[position + 4 : position + 8], order)
        if kind == _COMPRESSED:
            budget -= inflates_beyond(content[position + 8 : position + 8 + size], zlib.MAX_WBITS, budget)
            if budget < 0:
                raise ReadError(f"“{file.name}” would unpack to more than {MAX_FILE_BYTES // 2**20} MB.",
                                "Save a single ECG in the file.")
        position += 8 + size
