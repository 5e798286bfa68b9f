"""Files as the readers get them: from a folder, from memory, or out of a zip, always with a bounded size.

An `EcgFile` knows its companions (the .dat of a .hea) by bare name only, so that no header can reach out of the
folder, the upload or the archive it came with. Zip members are opened one at a time and never unpacked to disk.
"""

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from echo2ecg_core.errors import ReadError

HEAD_BYTES = 4096
MAX_FILE_BYTES = 256 * 2**20
MAX_ARCHIVE_BYTES = 2**30
MAX_ARCHIVE_MEMBERS = 20_000
MAX_COMPRESSION = 200
# what open() and a damaged zip member raise
UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError,
              NotImplementedError, RuntimeError, IndexError, OverflowError)  # fmt: skip


@dataclass(frozen=True)
class EcgFile:
    """One file that may hold an ECG.

    Attributes:
        name: Base name.
        size: Bytes.
        opener: Opens the file for reading bytes.
        companion: Finds a file by bare name in the same folder, upload or archive folder, or None.
        path: Where the file lies on disk, None when it is in memory or in a zip.
    """

    name: str
    size: int
    opener: Callable[[], IO[bytes]]
    companion: Callable[[str], "EcgFile | None"]
    path: Path | None = None

    def head(self) -> bytes:
        """The first bytes, enough to recognise the format.

        Raises:
            ReadError: If the file cannot be opened or unpacked.
        """
        return self._bytes(HEAD_BYTES)

    def read(self, limit: int = MAX_FILE_BYTES) -> bytes:
        """The whole content.

        Raises:
            ReadError: If the file is larger than `limit` bytes, or cannot be opened or unpacked.
        """
        if self.size > limit:
            raise ReadError(
                f"“{self.name}” has {self.size / 2**20:,.1f} MB; at most {limit / 2**20:g} MB of this format are read.",
                "Give a single 12-lead recording, usually below 1 MB.",
            )
        return self._bytes(limit)

    def _bytes(self, limit: int) -> bytes:
        try:
            with self.opener() as stream:
                return stream.read(limit)
        except UNREADABLE as error:
            raise ReadError(
                f"“{self.name}” cannot be read from its disk or archive.",
                "Check the permissions of the file, or pack the archive again.",
            ) from error


def base_name(name: str) -> str:
    """The last part of a path in either notation, printable and not longer than 120 characters."""
    last = str(name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return "".join(letter if letter.isprintable() else "?" for letter in last)[:120] or "ECG"


def _is_bare(name: str) -> bool:
    return bool(name) and name == base_name(name) and name not in (".", "..")


def file_on_disk(path: Path) -> EcgFile:
    """The file at a path; its companions lie in the same folder.

    Raises:
        ReadError: If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise ReadError(f"“{base_name(path.name)}” {what}.", "Give the path of an ECG file.")

    def companion(name: str) -> EcgFile | None:
        beside = path.parent / name
        return file_on_disk(beside) if _is_bare(name) and beside.is_file() else None

    return EcgFile(base_name(path.name), path.stat().st_size, lambda: path.open("rb"), companion, path)


def files_in_memory(contents: Mapping[str, bytes]) -> list[EcgFile]:
    """Files uploaded together, in the order given; each is a companion of the others in its folder."""
    shelf: dict[str, EcgFile] = {}
    for key, content in contents.items():
        data = bytes(content)
        inner = str(key).replace("\\", "/")
        shelf[inner] = EcgFile(base_name(inner), len(data), partial(io.BytesIO, data), _beside(shelf, inner))
    return list(shelf.values())


def zip_names(file: EcgFile) -> list[str]:
    """The member names of a zip, empty when the file is none or cannot be opened."""
    if not file.head().startswith(b"PK"):
        return []
    try:
        with file.opener() as stream, zipfile.ZipFile(stream) as archive:
            return archive.namelist()
    except UNREADABLE:
        return []


def check_unpacked_size(file: EcgFile, limit: int = MAX_FILE_BYTES) -> None:
    """Refuse a zip-based file (.npz, .pt) that would unpack to more than `limit` bytes.

    Raises:
        ReadError: If the sizes its members announce add up to more.
    """
    with file.opener() as stream, zipfile.ZipFile(stream) as archive:
        total = sum(info.file_size for info in archive.infolist())
    if total > limit:
        raise ReadError(
            f"“{file.name}” would unpack to {total / 2**20:,.0f} MB; at most {limit // 2**20} MB are read.",
            "Save fewer recordings in one file.",
        )


def files_in_zip(archive_file: EcgFile) -> list[EcgFile]:
    """The members of a zip in name order, without folders and the litter of operating systems.

    Raises:
        ReadError: If the zip is damaged, encrypted, leads out of its folder, or would unpack to too much.
    """
    source: io.BytesIO | Path | None = archive_file.path
    if source is None:
        source = io.BytesIO(archive_file.read(MAX_ARCHIVE_BYTES))
    try:
        archive = zipfile.ZipFile(source)
    except UNREADABLE as error:
        raise ReadError(
            f"“{archive_file.name}” begins like a zip archive but cannot be opened.", "Pack the files again."
        ) from error
    try:
        members = [info for info in archive.infolist() if not info.filename.endswith(("/", "\\")) and info.filename]
    except UNREADABLE as error:
        raise ReadError(
            f"“{archive_file.name}” begins like a zip archive but cannot be opened.", "Pack the files again."
        ) from error
    _check_archive(archive_file, members)
    shelf: dict[str, EcgFile] = {}
    for info in sorted(members, key=lambda info: info.filename):
        inner = info.filename.replace("\\", "/")
        if not _is_litter(inner):
            opened = partial(archive.open, info)
            shelf[inner] = EcgFile(base_name(inner), info.file_size, opened, _beside(shelf, inner))
    return list(shelf.values())


def _beside(shelf: Mapping[str, EcgFile], inner: str) -> Callable[[str], EcgFile | None]:
    """A finder of companions in the same folder of an upload or archive."""
    folder = inner.rpartition("/")[0]

    def companion(name: str) -> EcgFile | None:
        return shelf.get(f"{folder}/{name}" if folder else name) if _is_bare(name) else None

    return companion


def _is_litter(inner: str) -> bool:
    return inner.startswith("__MACOSX/") or PurePosixPath(inner).name.startswith(".")


def _check_archive(archive_file: EcgFile, members: list[zipfile.ZipInfo]) -> None:
    """Refuse hostile archives before any member is opened."""
    if len(members) > MAX_ARCHIVE_MEMBERS:
        raise ReadError(
            f"The zip “{archive_file.name}” has {len(members):,} files; at most {MAX_ARCHIVE_MEMBERS:,} are read.",
            "Import large archives as a folder.",
        )
    if any(info.filename == "xl/workbook.xml" for info in members):
        raise ReadError(
            f"“{archive_file.name}” is an Excel workbook; a text table is needed.", "Save the sheet as CSV."
        )
    for info in members:
        parts = info.filename.replace("\\", "/").split("/")
        if parts[0] == "" or ".." in parts or parts[0].endswith(":"):
            raise ReadError(
                f"The zip “{archive_file.name}” holds a path that leads out of its folder.",
                "Pack the files again with plain names.",
            )
        if info.flag_bits & 0x1:
            raise ReadError(f"The zip “{archive_file.name}” is encrypted.", "Unpack it and give the ECG files.")
    total = sum(info.file_size for info in members)
    packed = max(1, sum(info.compress_size for info in members))
    if total > MAX_ARCHIVE_BYTES or (total > 2**24 and total / packed > MAX_COMPRESSION):
        raise ReadError(
            f"The zip “{archive_file.name}” would unpack to {total / 2**20:,.0f} MB from {packed / 2**20:,.1f} MB.",
            f"Give an archive of at most {MAX_ARCHIVE_BYTES // 2**20} MB of ECG files.",
        )


def inflates_beyond(packed: bytes, window_bits: int, limit: int) -> int:
    """How many bytes a deflated stream unpacks to, counted in pieces; stops soon after `limit`.

    Args:
        packed: The compressed bytes.
        window_bits: zlib's window parameter: positive with a zlib header, negative for a raw stream.
        limit: Where counting stops.
    """
    inflater, size = zlib.decompressobj(window_bits), 0
    while packed and not inflater.eof and size <= limit:
        size += len(inflater.decompress(packed, 2**22))
        packed = inflater.unconsumed_tail
    return size
