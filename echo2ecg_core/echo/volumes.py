"""Echo pictures in the formats of image research: NIfTI (.nii, .nii.gz) and MetaImage (.mhd with its data file, .mha).

Both name the horizontal axis first and the third axis is time (CAMUS writes its half sequences so); a third axis as
long and as finely divided as the others would be a volume and is set aside. Neither tells its frame rate reliably, so
what lies beside them (CAMUS: Info_4CH.cfg) has to; here it is assumed and said.
"""

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np

from echo2ecg_core.echo.clip import EchoClip, still_note
from echo2ecg_core.echo.video import MAX_DECODED_BYTES
from echo2ecg_core.errors import ReadError, SetAside

ASSUMED_FPS = 30.0
MOST_SIDE = 4096
ELEMENTS = {
    "MET_UCHAR": "u1", "MET_CHAR": "i1", "MET_USHORT": "u2", "MET_SHORT": "i2", "MET_UINT": "u4", "MET_INT": "i4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


def is_nifti(content: bytes) -> bool:
    """True for NIfTI-1 files, compressed or not."""
    return content[344:348] == b"n+1\0" or (content[:2] == b"\x1f\x8b" and _first(content, 348)[344:348] == b"n+1\0")


def is_metaimage(content: bytes) -> bool:
    """True for MetaImage headers."""
    head = content[:2000]
    return b"DimSize" in head and b"ElementType" in head and b"ElementDataFile" in head


def clip_from_nifti(content: bytes, name: str) -> EchoClip:
    """The picture (w, h) or film (w, h, t) of a NIfTI file.

    Raises:
        ReadError: damaged, too large or of another shape.
        SetAside: a volume.
    """
    import nibabel

    try:
        raw = _unpacked(content) if content[:2] == b"\x1f\x8b" else content
        image = nibabel.Nifti1Image.from_bytes(raw)
        sides = tuple(int(n) for n in image.shape)
        _check_shape(sides)
        values = np.asarray(image.dataobj)
        zooms = [float(z) for z in image.header.get_zooms()]
    except ReadError:
        raise
    except Exception as fault:
        raise ReadError("This NIfTI file is damaged: its header or data cannot be read.", "Copy it again.") from fault
    if len(sides) == 3 and sides[2] >= min(sides[:2]) / 2 and zooms[2] == zooms[0]:
        raise SetAside("This NIfTI file holds a 3-D volume, no film of one plane.", "Export the cut planes as clips.")
    return _clip(values, zooms[:2], "NIfTI", name)


def clip_from_metaimage(content: bytes, name: str, folder: Path | None) -> EchoClip:
    """The picture or film of a MetaImage header and its data, which lie in the same file or beside it in `folder`.

    Raises:
        ReadError: damaged, too large, or the data file is missing.
    """
    header, data = _metaimage_header(content)
    try:
        sides = tuple(int(n) for n in header["DimSize"].split())
        kind, data_file = np.dtype(ELEMENTS[header["ElementType"]]), header["ElementDataFile"]
        spacing = [float(v) for v in header.get("ElementSpacing", header.get("ElementSize", "0 0")).split()]
    except (KeyError, ValueError) as fault:
        raise ReadError(
            f"This MetaImage header is incomplete or odd ({type(fault).__name__}).", "Export it again."
        ) from fault
    _check_shape(sides)
    if data_file != "LOCAL":
        data = _data_file(folder, data_file)
    size = math.prod(sides) * kind.itemsize
    if header.get("CompressedData", "False") == "True":
        try:
            data = zlib.decompressobj().decompress(data, size)
        except zlib.error as fault:
            raise ReadError(
                "The data of this MetaImage cannot be unpacked: they are damaged.", "Copy it again."
            ) from fault
    if len(data) < size:
        raise ReadError(f"This MetaImage is cut short: {size} bytes announced, {len(data)} found.", "Copy it again.")
    big = header.get("BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "False")) == "True"
    values = np.frombuffer(data[:size], kind.newbyteorder(">" if big else "<")).reshape(sides[::-1])
    return _clip(values.T, spacing[:2], "MetaImage", name)


def _metaimage_header(content: bytes) -> tuple[dict[str, str], bytes]:
    """Lines "Key = value" up to ElementDataFile, and what follows them."""
    header, at = {}, 0
    while "ElementDataFile" not in header:
        end = content.find(b"\n", at)
        line = content[at : end if end >= 0 else len(content)].decode("latin-1")
        key, _, value = line.partition("=")
        header[key.strip()] = value.strip()
        if end < 0:
            break
        at = end + 1
    return header, content[at:]


def _data_file(folder: Path | None, name: str) -> bytes:
    """The data beside a header; only a plain name in the same folder is followed."""
    if folder is None or Path(name).name != name or not (folder / name).is_file():
        raise ReadError("The data file that this MetaImage header names is not beside it.", "Give both files together.")
    if (folder / name).stat().st_size > MAX_DECODED_BYTES:
        raise ReadError("The data of this MetaImage are too large for one clip.", "Cut it to a few heart beats.")
    return (folder / name).read_bytes()


def _check_shape(sides: tuple[int, ...]) -> None:
    """Refuse what is no picture (w, h) and no film (w, h, t) of bearable size."""
    if len(sides) not in (2, 3) or min(sides) < 1 or max(sides[:2]) > MOST_SIDE:
        shape = " x ".join(map(str, sides))
        raise ReadError(f"This file holds an array of {shape}: expected width x height or width x height x time.")
    if math.prod(sides) * 3 > MAX_DECODED_BYTES:
        raise ReadError(f"This clip is too large: it takes more than {MAX_DECODED_BYTES / 1e9:.0f} GB.", "Cut it.")


def _clip(values: np.ndarray, spacing: list[float], kind: str, name: str) -> EchoClip:
    """Gray levels (w, h[, t]) as a clip; 8-bit values stay, others are scaled to the file's own range and said so."""
    film = np.atleast_3d(values).transpose(2, 1, 0)  # (t, h, w)
    notes: list[str] = []
    low, high = float(np.nanmin(film)), float(np.nanmax(film))
    if not np.isfinite((low, high)).all():
        raise ReadError("This picture holds values that are no numbers.", "Export it again.")
    if low < 0 or high > 255:
        film = (film - low) * (255 / max(high - low, 1e-9))
        notes.append(f"Gray levels from {low:g} to {high:g} were scaled to 0 to 255.")
    gray = film.round().astype(np.uint8)
    if len(gray) > 1:
        notes.append(f"The file does not tell its frame rate: assumed {ASSUMED_FPS:.0f} frames per second.")
    x_mm, y_mm = (*spacing, 0.0, 0.0)[:2]
    square = x_mm > 0 and abs(x_mm - y_mm) <= 0.02 * y_mm
    frames = np.repeat(gray[..., None], 3, axis=3)
    return EchoClip(
        frames, ASSUMED_FPS, kind, name, spacing_mm=y_mm if square else None, notes=(*notes, *still_note(len(frames)))
    )


def _first(content: bytes, count: int) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(content, count)
    except zlib.error:
        return b""


def _unpacked(content: bytes) -> bytes:
    """A gzip's content, refused when it inflates beyond what a clip may take."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        raw = file.read(4 * MAX_DECODED_BYTES // 3 + 1)
    if len(raw) > 4 * MAX_DECODED_BYTES // 3:
        raise ReadError("This NIfTI file inflates to more than one clip may take.", "Cut it to a few heart beats.")
    return raw
