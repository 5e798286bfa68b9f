"""Contents of the catalog's rows, in files named by the sha256 of what they hold: a playable clip or a packed ECG.

The name says what must be inside, so a reader can tell a damaged file from a whole one, and storing the same content
again mends it.
"""

import hashlib
import io
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime

import numpy as np

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.database import HALF_WRITTEN, Workspace, write_all_atomically

OLDEST_HALF_S = 3600.0


def blob_name(content: bytes, suffix: str) -> str:
    """Where content lies below the folder of blobs."""
    digest = hashlib.sha256(content).hexdigest()
    return f"{digest[:2]}/{digest}{suffix}"


def store_blobs(workspace: Workspace, contents: Sequence[bytes], suffix: str) -> list[str]:
    """Keep contents and return their names; a file that is there and whole stays, a damaged one is replaced."""
    names = [blob_name(content, suffix) for content in contents]
    lacking = {
        workspace.blobs / name: content
        for name, content in zip(names, contents, strict=True)
        if not is_whole(workspace, name)
    }
    write_all_atomically(lacking)
    return names


def drop_half_written(workspace: Workspace) -> None:
    """Delete what processes that were killed have left behind; what is younger than an hour may be at work."""
    for path in workspace.blobs.glob(f"*/{HALF_WRITTEN}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > OLDEST_HALF_S:
                path.unlink()


def is_whole(workspace: Workspace, name: str) -> bool:
    """True when the file is there and holds what its name says."""
    path = workspace.blobs / name
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    except OSError:
        return False


def read_blob(workspace: Workspace, name: str, what: str) -> bytes:
    """The content of a file, checked against its name.

    Args:
        what: Whose it is, for the sentence: "ECG 'E-1'".

    Raises:
        StoreError: the file is missing, cannot be read or holds something else.
    """
    path = workspace.blobs / name
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise StoreError(f"The file of {what} is missing in the workspace.", MEND) from error
    except OSError as error:
        raise StoreError(f"The file of {what} cannot be read ({error.strerror}).", "Check the disk.") from error
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise StoreError(f"The file of {what} is damaged ({len(content):,} bytes that are not its own).", MEND)
    return content


MEND = "`check --repair` reads it again where its archive is still there; otherwise import the archive again."


def pack_record(record: EcgRecord) -> bytes:
    """An ECG as .npz: its signal in mV, float32 (12, n), and its facts as JSON."""
    facts = {k: v for k, v in asdict(record).items() if k not in ("signal_mv", "source")}
    facts["recorded_at"] = record.recorded_at.isoformat() if record.recorded_at else None
    buffer = io.BytesIO()
    np.savez(
        buffer, signal_mv=np.asarray(record.signal_mv, np.float32), facts=np.array(json.dumps(facts, sort_keys=True))
    )
    return buffer.getvalue()


def unpack_record(content: bytes, source: str) -> EcgRecord:
    """The ECG that `pack_record` made, with `source` as its name."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        facts = json.loads(str(archive["facts"]))
        signal_mv = archive["signal_mv"]
    facts["recorded_at"] = datetime.fromisoformat(facts["recorded_at"]) if facts["recorded_at"] else None
    facts = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    return EcgRecord(signal_mv=signal_mv, source=source, **facts)
