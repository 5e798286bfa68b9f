"""MATLAB files of version 4 to 7 (.mat); version 7.3 is HDF5 and read there.

Our own small parser of the published file format (numeric and text arrays, structures and cells): scipy's
compiled one crashes the whole process on damaged files. CODE-15 excerpts ("feats" beside "curr_sample_rate") are
documented in units of 1e-4 V, yet their amplitude can be that of mV: amplitude decides.
"""

import math
import re
import zlib
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np

from echo2ecg_core.ecg.channels import MAX_VALUES, NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import MAX_FILE_BYTES, EcgFile, inflates_beyond
from echo2ecg_core.ecg.formats.array_layout import CODE15_CANDIDATES
from echo2ecg_core.ecg.formats.containers import Container
from echo2ecg_core.errors import ReadError

MAX_VARIABLES = 2000
MAX_DEPTH = 4
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
}
_STORED_V4 = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}

Value: TypeAlias = "np.ndarray | dict[str, Value]"


def recognises(head: bytes) -> bool:
    """Whether a file is a MATLAB file of version 4, 5, 6 or 7."""
    return head.startswith(b"MATLAB 5.0 MAT-file") or _version4_header(head, 0) is not None


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recordings of a MATLAB file: its largest matrix with 12 or 8 rows or columns, and those like it.

    Raises:
        ReadError: If it would unpack to too much.
        SignalError: If no variable has an axis of leads.
    """
    content = file.read()
    variables = _version5(file, content) if content.startswith(b"MATLAB 5.0") else _version4(content)
    arrays: dict[str, np.ndarray] = {}
    for name, value in variables:
        arrays |= _by_path(name, value)
        if len(arrays) > MAX_VARIABLES:
            break
    container = Container(arrays, file.name)
    candidates = CODE15_CANDIDATES if "feats" in container and "curr_sample_rate" in container else None
    yield from container.recordings("MATLAB", candidates, told)


def _by_path(path: str, value: "Value") -> dict[str, np.ndarray]:
    """A variable as arrays by path: fields of structures and elements of cells have paths of their own."""
    if isinstance(value, np.ndarray):
        return {path: value}
    found: dict[str, np.ndarray] = {}
    for name, part in value.items():
        found |= _by_path(f"{path}/{name}", part)
    return found


def _version4_header(data: bytes, position: int) -> tuple[str, np.dtype, tuple[int, int], int] | None:
    """Name, type, shape and start of the values of a version 4 variable; None when there is none."""
    head = data[position : position + 20]
    if len(head) < 20:
        return None
    kind, rows, columns, imaginary, name_length = (int(word) for word in np.frombuffer(head, dtype="<u4"))
    stored = _STORED_V4.get(kind // 10)
    if kind % 10 or stored is None or imaginary or not 2 <= name_length <= 64 or rows * columns > MAX_VALUES:
        return None
    name = data[position + 20 : position + 20 + name_length]
    if not re.fullmatch(rb"[A-Za-z]\w*\0", name):
        return None
    return name[:-1].decode("ascii"), np.dtype("<" + stored), (rows, columns), position + 20 + name_length


def _version4(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """The real matrices of a version 4 file."""
    position = 0
    while (header := _version4_header(data, position)) is not None:
        name, dtype, shape, start = header
        position = start + math.prod(shape) * dtype.itemsize
        if position > len(data):
            raise ReadError(f"The MATLAB file is cut short inside its variable “{name}”.", "Copy the file again.")
        yield name, np.frombuffer(data[start:position], dtype=dtype).reshape(shape, order="F")


def _version5(file: EcgFile, content: bytes) -> Iterator[tuple[str, Value]]:
    """The variables of a version 5 to 7 file; those of kinds that cannot hold an ECG are left out."""
    order = ">" if content[126:128] == b"MI" else "<"
    budget = MAX_FILE_BYTES
    for kind, payload in _elements(content[128:], order):
        if kind == _COMPRESSED:
            budget -= inflates_beyond(payload, zlib.MAX_WBITS, budget)
            if budget < 0:
                raise ReadError(
                    f"“{file.name}” would unpack to more than {MAX_FILE_BYTES // 2**20} MB.",
                    "Save a single ECG in the file.",
                )
            kind, payload = next(_elements(zlib.decompress(payload), order), (0, b""))
        variable = _matrix(payload, order) if kind == _MATRIX else None
        if variable is not None:
            yield variable


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Data elements one after another, as type and payload."""
    position = 0
    byte_order: Literal["big", "little"] = "big" if order == ">" else "little"
    while position + 8 <= len(data):
        kind = int.from_bytes(data[position : position + 4], byte_order)
        size = int.from_bytes(data[position + 4 : position + 8], byte_order)
        if kind >> 16:  # a small element keeps size, type and up to four bytes of data in eight bytes
            kind, size, start = kind & 0xFFFF, min(kind >> 16, 4), position + 4
            position += 8
        else:
            start = position + 8
            position = start + size + (-size % 8 if kind != _COMPRESSED else 0)
        yield kind, data[start : start + size]


def _matrix(payload: bytes, order: str, depth: int = 0) -> tuple[str, Value] | None:
    """Name and value of an array element; structures and cells become dictionaries of their fields and elements."""
    parts = list(_elements(payload, order))
    if len(parts) < 4 or len(parts[0][1]) < 8:
        return None
    kind = int(np.frombuffer(parts[0][1][:4], dtype=order + "u4")[0]) & 0xFF
    shape = tuple(np.frombuffer(parts[1][1], dtype=order + "i4").tolist())
    name = parts[2][1].decode("latin-1")
    if kind in (_STRUCT, _CELL):
        if depth >= MAX_DEPTH:
            return None
        return name, (_fields if kind == _STRUCT else _cells)(parts[3:], order, depth + 1)
    if kind != _CHAR and kind not in _NUMERIC:
        return None
    stored, raw = parts[3]
    dtype = np.dtype(order + _STORED[stored])
    values = np.frombuffer(raw, dtype=dtype, count=len(raw) // dtype.itemsize)
    if min(shape, default=0) < 0 or math.prod(shape) != values.size:
        raise ReadError(
            f"The MATLAB file is damaged: its variable “{name[:40]}” has the shape {shape} but {values.size} values.",
            "Save the file again.",
        )
    if kind == _CHAR:
        rows = values.reshape(shape, order="F").reshape(max(1, shape[0]) if values.size else 0, -1)
        texts = ["".join(map(chr, row.tolist())).strip() for row in rows[:MAX_VARIABLES]]
        return name, np.array(texts[0] if len(texts) == 1 else texts or "")
    return name, values.reshape(shape, order="F")


def _fields(parts: list[tuple[int, bytes]], order: str, depth: int) -> dict[str, Value]:
    """The fields of a structure: width of the names, the names, then one array a field; of an array of structures one
    after another, by number."""
    width = int(np.frombuffer(parts[0][1], dtype=order + "i4")[0]) if parts else 0
    names = [parts[1][1][start : start + width].split(b"\0")[0].decode("latin-1")
             for start in range(0, len(parts[1][1]), max(1, width))] if len(parts) > 1 else []  # fmt: skip
    structures: dict[str, Value] = {}
    for number in range((len(parts) - 2) // len(names) if names else 0):
        one: dict[str, Value] = {}
        first = 2 + number * len(names)
        for field_name, (_, payload) in zip(names, parts[first : first + len(names)], strict=False):
            variable = _matrix(payload, order, depth)
            if variable is not None:
                one[field_name] = variable[1]
        structures[str(number)] = one
        if len(structures) > MAX_VARIABLES:
            break
    only = structures.get("0")
    if len(structures) == 1 and isinstance(only, dict):
        return only
    return structures | _columns(structures, names)


def _columns(structures: dict[str, Value], names: list[str]) -> dict[str, Value]:
    """Fields of an array of structures in which each holds one text or number, as EEGLAB names its channels."""
    found: dict[str, Value] = {}
    for name in names:
        values = [one.get(name) if isinstance(one, dict) else None for one in structures.values()]
        singles = [value for value in values if isinstance(value, np.ndarray) and value.size == 1]
        if len(singles) == len(values) and len({value.dtype.kind for value in singles}) == 1:
            found[name] = np.array([value.item() for value in singles])
    return found


def _cells(parts: list[tuple[int, bytes]], order: str, depth: int) -> Value:
    """The elements of a cell array by number; texts alone as one array of texts."""
    found: dict[str, Value] = {}
    for number, (_, payload) in enumerate(parts[:MAX_VARIABLES]):
        variable = _matrix(payload, order, depth)
        if variable is not None:
            found[str(number)] = variable[1]
    texts = [value for value in found.values() if isinstance(value, np.ndarray) and value.dtype.kind == "U"]
    if found and len(texts) == len(found) and all(text.size == 1 for text in texts):
        return np.array([str(text) for text in texts])
    return found
