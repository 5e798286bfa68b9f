"""Any echo file to an EchoClip, recognised by its content: DICOM ultrasound, videos, NIfTI, MetaImage.

File names are not trusted, nothing about the patient is read, and sizes are checked before anything is decoded.
"""

from pathlib import Path

from echo2ecg_core.echo.clip import EchoClip, still_note
from echo2ecg_core.echo.dicom import clip_from_dicom
from echo2ecg_core.echo.video import MAX_DECODED_BYTES, decode_video
from echo2ecg_core.echo.volumes import clip_from_metaimage, clip_from_nifti, is_metaimage, is_nifti
from echo2ecg_core.errors import ReadError

WHAT_WE_READ = "Give a DICOM ultrasound file, a clip as AVI, MP4, MKV, WMV or GIF, or NIfTI or MetaImage."
HEAD_BYTES = 8192
OTHER_STARTS = (
    b"%PDF",
    b"PK\x03\x04",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"<htm",
    b"<!DO",
    b"<?xm",
)  # those that hold no words
VIDEO_STARTS = {b"\x1a\x45\xdf\xa3": "Matroska", b"\x30\x26\xb2\x75": "WMV", b"GIF8": "GIF"}


def read_clip(source: str | Path | bytes, name: str | None = None) -> EchoClip:
    """The clip in an echo file.

    Args:
        source: Path or the file's bytes.
        name: File name to remember when `source` is bytes.

    Returns:
        The clip; what was assumed stands in its notes. Stills become clips of one frame.

    Raises:
        ReadError: No known format, no picture, not ultrasound, damaged, or larger than MAX_DECODED_BYTES.
    """
    name = Path(name).name if name else ("clip" if isinstance(source, bytes) else Path(source).name)
    container = _container(source if isinstance(source, bytes) else _head(Path(source)))
    if container == "DICOM":
        return clip_from_dicom(source if isinstance(source, bytes) else Path(source), name)
    content = source if isinstance(source, bytes) else _file_bytes(Path(source))
    if container == "NIfTI":
        return clip_from_nifti(content, name)
    if container == "MetaImage":
        return clip_from_metaimage(content, name, None if isinstance(source, bytes) else Path(source).parent)
    frames, fps, known = decode_video(content)
    return EchoClip(
        frames=frames,
        fps=fps,
        format=container,
        source=name,
        view=known.get("view"),
        spacing_mm=known.get("spacing_mm"),
        r_wave_times_s=tuple(known.get("r_wave_times_s", ())),
        synthetic=known.get("synthetic", False),
        notes=still_note(len(frames)),
    )


def _head(path: Path) -> bytes:
    """What tells the container."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as fault:
        raise _cannot_open(fault) from fault


def _cannot_open(fault: OSError) -> ReadError:
    return ReadError(f"The file cannot be opened: {fault.strerror}.", "Check that it is there.")


def _file_bytes(path: Path) -> bytes:
    """The file's content, refused when it is missing or too large to be one clip."""
    try:
        size = path.stat().st_size
        if size > MAX_DECODED_BYTES:
            raise ReadError(
                f"This file is too large for one clip: {size / 1e9:.1f} GB, at most {MAX_DECODED_BYTES / 1e9:.0f} GB.",
                "Cut it to a few heart beats.",
            )
        return path.read_bytes()
    except OSError as fault:
        raise _cannot_open(fault) from fault


def _container(content: bytes) -> str:
    """The container's name by the first bytes."""
    if content[128:132] == b"DICM" or content[:4] in (b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x02\x00\x00\x00"):
        return "DICOM"
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        return "AVI"
    if content[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return "MP4"
    if content[:4] in VIDEO_STARTS:
        return VIDEO_STARTS[content[:4]]
    if is_nifti(content):
        return "NIfTI"
    if is_metaimage(content):
        return "MetaImage"
    known = f"a file that begins with {content[:4]!r}" if content.startswith(OTHER_STARTS) else "a file of another kind"
    found = known if content else "an empty file"
    raise ReadError(
        f"This is no echo clip we can read: expected DICOM, a video, NIfTI or MetaImage, found {found}.", WHAT_WE_READ
    )
