"""Uploaded bytes that wait in memory: so many a visitor, so many in all, and none for longer than some minutes.

Streamlit keeps what a visitor uploads until the visitor is gone, as often as asked; eight uploads of 199 MB then take
1.6 GB. Whoever would go beyond a limit is refused before a byte is read (413). What was read stays open on the page,
its file is let go at once; where reading waits too long for an answer, the file is asked for again.
"""

import logging
import threading
import time
from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from echo2ecg_core.memory import give_back

MB = 2**20
MOST_OF_A_VISITOR, MOST_IN_ALL = 400 * MB, 500 * MB
KEPT_S, LOOK_EVERY_S = 600.0, 30.0
WAY = "/_stcore/upload_file/"
TOO_MUCH = "Too many bytes wait here already. Remove a file, or try again in some minutes."
log = logging.getLogger("echo2ecg.uploads")

_lock = threading.Lock()
_coming: dict[tuple[str, str], int] = {}  # (session, file) -> bytes that are on their way
_came: dict[tuple[str, str], float] = {}  # (session, file) -> when it was there, on the monotonic clock


class BoundedUploads:
    """ASGI middleware round Streamlit's route of uploads; everything else passes untouched."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Let an upload pass where there is room for it."""
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] != "PUT" or WAY not in path:
            await self.app(scope, receive, send)
            return
        session, _, file = path.partition(WAY)[2].partition("/")
        announced = next((v for k, v in scope["headers"] if k == b"content-length"), b"")
        size = int(announced) if announced.isdigit() else MOST_OF_A_VISITOR  # nothing told: as much as one may
        if not _has_room(session, file, size):
            log.warning("An upload was refused: too many bytes wait.")
            await PlainTextResponse(TOO_MUCH, 413)(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            with _lock:
                _coming.pop((session, file), None)
                _came[session, file] = time.monotonic()


def _has_room(session: str, file: str, size: int) -> bool:
    """Whether so many bytes may come; they are reserved then."""
    with _lock:
        held = _held()
        held |= {key: max(size, held.get(key, 0)) for key, size in _coming.items()}
        held.pop((session, file), None)  # is replaced
        of_visitor = sum(n for (of, _), n in held.items() if of == session)
        if of_visitor + size > MOST_OF_A_VISITOR or sum(held.values()) + size > MOST_IN_ALL:
            return False
        _coming[session, file] = size
        return True


def _held() -> dict[tuple[str, str], int]:
    """Bytes of every file that waits, by session and file."""
    storage = _manager().file_storage
    return {(s, f): len(one.data) for s, files in list(storage.items()) for f, one in list(files.items())}


def _manager() -> MemoryUploadedFileManager:
    manager = Runtime.instance().uploaded_file_mgr
    assert isinstance(manager, MemoryUploadedFileManager)
    return manager


def let_go(files: Iterable[UploadedFile]) -> None:
    """Forget what this visitor uploaded: it has been read, and its uploader is emptied."""
    context = get_script_run_ctx()
    if context and isinstance(manager := context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file in files:
            manager.remove_file(context.session_id, file.file_id)


def forget_old(older_than_s: float = KEPT_S) -> None:
    """Forget the files that have waited longer, and what was known of files that are gone."""
    with _lock:
        held, now = _held(), time.monotonic()
        for key in held:
            if now - _came.setdefault(key, now) > older_than_s:
                _manager().remove_file(*key)
        for key in [key for key in _came if key not in held]:
            del _came[key]


def forget_now_and_then() -> None:
    """For a thread that lives as long as the server: forget old uploads and old readings, give free memory back.

    Streamlit would collect after every run of every visitor's script, while all others wait (`runner.postScriptGC`).
    """
    from pages.ui import resources
    from pages.ui.reopen import reopen

    while True:
        time.sleep(LOOK_EVERY_S)
        if Runtime.exists():
            forget_old()
        resources.forget_old_readings()
        reopen.forget_old()
        give_back()
