"""Damage that knows the format: fields of a header, tags, members, cells and arrays are changed, not only bytes.

Every mutation is drawn from a seeded dice, so that the number of an input is enough to make it again. What a format's
own mutation cannot parse any more is damaged as bytes.
"""

import io
import json
import random
import re
import struct
import zipfile

import h5py
import numpy as np
import pydicom
from pydicom.dataset import Dataset

LENGTHS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80", b"\x01\0\0\0", b"\0\0\x10\0")
NUMBERS = ("0", "-1", "1e309", "nan", "9" * 30, "2147483648", "1e-320", "0x10", "1,5", "12 34", "", "١٢", "0" * 5000)
TEXTS = ("", "\0", "=1+1", "A" * 5000, "\x1b[31m", "Ω" * 300, "../../etc/passwd", "<b>&", "\r\n\r\n", "\u202eabc",
         "%s%n", "null", "[]", "{}", "'\"", "\ud7ff")  # fmt: skip


def mutated(content: bytes, name: str, dice: random.Random, other: bytes) -> bytes:
    """A file with one to three changes: two in three times by its structure, else in its bytes."""
    for _ in range(dice.randint(1, 3)):
        by_structure = next((change for ends, change in BY_STRUCTURE.items() if name.endswith(ends)), None)
        if by_structure and dice.random() < 0.66:
            try:
                content = by_structure(content, dice)
                continue
            except Exception:  # its parser gave up on what was damaged before
                pass
        content = in_bytes(content, dice, other)
    return content


def in_bytes(content: bytes, dice: random.Random, other: bytes) -> bytes:
    """Truncated, flipped, swapped, spliced with another file, filled, or with a length overwritten."""
    data = bytearray(content)
    size = max(1, len(data))
    # most decisions are made in the first kilobytes, so half of the mutations strike there
    place = dice.randrange(min(size, 2048)) if dice.random() < 0.5 else dice.randrange(size)
    kind = dice.choice(("truncate", "flip", "flip", "swap", "splice", "insert", "lengths", "digits", "fill"))
    if kind == "truncate":
        del data[place:]
    elif kind == "flip":
        for at in range(place, min(size, place + dice.choice((1, 2, 16, 200)))):
            data[at : at + 1] = bytes([dice.randrange(256)])
    elif kind == "swap":
        to, n = dice.randrange(size), dice.choice((4, 64, 1024))
        data[place : place + n], data[to : to + n] = data[to : to + n], data[place : place + n]
    elif kind == "splice":
        data[place:] = other[dice.randrange(max(1, len(other))) :]
    elif kind == "insert":
        data[place:place] = dice.randbytes(dice.choice((1, 7, 512)))
    elif kind == "fill":
        data[place : place + 64] = bytes([dice.choice((0, 255, 32))]) * 64
    elif kind == "lengths":
        data[place : place + 4] = dice.choice(LENGTHS)
    else:
        data[place : place + 1] = b"9999999999"
    return bytes(data)


def in_dicom(content: bytes, dice: random.Random) -> bytes:
    """A tag with another value, another VR, doubled into a sequence, or gone."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    inner = [dataset, *(item for element in dataset if element.VR == "SQ" for item in element.value), dataset.file_meta]
    place = dice.choice(inner)
    element = place[dice.choice(list(place.keys()))]
    kind = dice.choice(("drop", "number", "text", "bytes", "sequence", "many"))
    if kind == "drop":
        del place[element.tag]
    elif kind == "sequence":
        place.add_new(element.tag, "SQ", [Dataset(), Dataset()])
    else:
        values = {"bytes": dice.randbytes(dice.choice((0, 2, 64))), "many": ["1"] * dice.choice((2, 50))}
        value = values.get(kind, dice.choice(NUMBERS if kind == "number" else TEXTS))
        vr = {"bytes": "OB", "many": "IS"}.get(kind) or dice.choice(("LO", "UT", "DS", "UI"))
        pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
        place.add(pydicom.DataElement(element.tag, vr, value, validation_mode=pydicom.config.IGNORE))
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=False)
    return buffer.getvalue()


def in_text(content: bytes, dice: random.Random) -> bytes:
    """A number, a word, a line or an XML element with another value, doubled, moved or gone."""
    text = content.decode("latin-1")
    kind = dice.choice(("number", "word", "line", "element", "double", "encoding"))
    if kind == "line":
        lines = text.split("\n")
        at, to = dice.randrange(len(lines)), dice.randrange(len(lines))
        lines[at], lines[to] = lines[to], dice.choice((lines[at], "", lines[at] * 3))
        return "\n".join(lines).encode("latin-1")
    if kind == "encoding":
        return dice.choice((text.encode("utf-16"), b"\xef\xbb\xbf" + content, content.replace(b"\n", b"\r")))
    pattern = {"number": r"-?\d+(?:\.\d+)?", "word": r"[A-Za-z]{2,}", "element": r">[^<]{1,200}<", "double": r"\S+"}
    places = list(re.finditer(pattern[kind], text[:200_000]))
    if not places:
        return in_bytes(content, dice, content)
    found = dice.choice(places)
    value = dice.choice(NUMBERS if kind == "number" else TEXTS)
    new = {"element": f">{value}<", "double": found[0] * dice.choice((2, 200))}.get(kind, value)
    return (text[: found.start()] + new + text[found.end() :]).encode("latin-1", "replace")


def in_zip(content: bytes, dice: random.Random) -> bytes:
    """A member with another name, another method, doubled, gone, or damaged inside."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = dice.randrange(len(members))
    name, inner = members[at]
    kind = dice.choice(("name", "double", "drop", "inside", "inside", "empty"))
    if kind == "name":
        members[at] = (dice.choice((*TEXTS[1:], f"{name}/", "/" + name, "a" * 300, name.upper(), "..\\x")), inner)
    elif kind == "double":
        members.append((name + dice.choice(("", "/x")), inner))
    elif kind == "drop":
        del members[at]
    else:
        members[at] = (name, mutated(inner, name, dice, inner) if kind == "inside" else b"")
    buffer = io.BytesIO()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(buffer, "w", dice.choices(methods, (3, 3, 1, 1))[0]) as archive:
        for name, inner in members:
            archive.writestr(name or "x", inner)
    return buffer.getvalue()


def in_npy(content: bytes, dice: random.Random) -> bytes:
    """A header with another shape, type or order, whatever follows it."""
    shape = dice.choice(("()", "(0, 12)", "(12,)", "(12, 99999999999)", "(1, 1, 1, 12, 9)", "(-1, 12)", "(2, 3)"))
    kind = dice.choice(("<f4", "|O", "<U9", "|S3", "<c16", "<M8[s]", "|b1", ">f8", "<f2", "|V7", "<i8"))
    header = f"{{'descr': '{kind}', 'fortran_order': {dice.choice(('True', 'False', '7'))}, 'shape': {shape}, }}"
    version = dice.choice((b"\x01\x00", b"\x02\x00", b"\x09\x00"))
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header) + 1)
    return b"\x93NUMPY" + version + length + header.encode() + b"\n" + content[128:]


def in_hdf5(content: bytes, dice: random.Random) -> bytes:
    """A data set of another shape, type or content, or an attribute of another kind."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as archive:
        name = dice.choice(list(archive.keys()))
        kind = dice.choice(("attribute", "shape", "text", "group", "nan"))
        if kind == "attribute":
            archive.attrs[dice.choice(("fs", "units", "leads"))] = dice.choice((*NUMBERS, np.zeros((2, 2)), np.nan))
        else:
            del archive[name]
            values = {"shape": np.zeros(dice.choice(((0,), (12,), (1, 1), (3, 4, 5), (12, 0)))), "text": "A" * 99}
            if kind == "group":
                archive.create_group(name).create_group(name)
            else:
                archive[name] = values.get(kind, np.full((12, 600), np.nan))
    return buffer.getvalue()


def in_safetensors(content: bytes, dice: random.Random) -> bytes:
    """A JSON header with another type, shape or place of a tensor."""
    n = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + n])
    entry = header[dice.choice([k for k in header if k != "__metadata__"])]
    key = dice.choice(("dtype", "shape", "data_offsets"))
    entry[key] = dice.choice(("F128", [2**40], [-1], [], None, [0, 2**62], "I8", {}, [9, 3]))
    text = json.dumps(header).encode()
    return struct.pack("<Q", dice.choice((len(text), 2**63, 0))) + text + content[8 + n :]


BY_STRUCTURE = {
    ".dcm": in_dicom, ".xml": in_text, ".csv": in_text, ".hea": in_text, ".yaml": in_text, ".mha": in_text,
    ".json": in_text, ".txt": in_text, ".zip": in_zip, ".xlsx": in_zip, ".npz": in_zip, ".pt": in_zip, ".npy": in_npy,
    ".h5": in_hdf5, ".safetensors": in_safetensors,
}  # fmt: skip
