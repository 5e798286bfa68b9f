"""Bytes of uploads: bounded a visitor and in all, forgotten in time; what was read of them likewise."""

import asyncio
import gc
import tomllib
import weakref

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from echo2ecg_core import settings
from pages.ui.kept_readings import KeptReadings
from pages.ui.server import uploads

KB = 1024


@pytest.fixture
def manager(monkeypatch):
    manager = MemoryUploadedFileManager("/_stcore/upload_file")
    monkeypatch.setattr(uploads, "_manager", lambda: manager)
    monkeypatch.setattr(uploads, "MOST_OF_A_VISITOR", 400 * KB)
    monkeypatch.setattr(uploads, "MOST_IN_ALL", 1000 * KB)
    monkeypatch.setattr(uploads, "_coming", {})
    monkeypatch.setattr(uploads, "_came", {})
    return manager


def put(manager, session: str, file: str, size: int, *, told: bool = True, method: str = "PUT") -> int:
    """Status of an upload to a server that keeps what it lets in."""
    answers = []

    async def inner(scope, receive, send):
        manager.add_file(session, UploadedFileRec(file, "x", "y", bytes(size)))
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def send(message):
        answers.append(message)

    headers = [(b"content-length", str(size).encode())] if told else []
    scope = {
        "type": "http",
        "method": method,
        "path": f"/base/_stcore/upload_file/{session}/{file}",
        "headers": headers,
    }
    asyncio.run(uploads.BoundedUploads(inner)(scope, None, send))
    return answers[0]["status"]


def test_a_visitor_may_hold_so_many_bytes_and_no_more(manager):
    assert [put(manager, "a", str(n), 150 * KB) for n in range(4)] == [204, 204, 413, 413]
    assert put(manager, "a", "1", 250 * KB) == 204  # in the place of the one before
    assert put(manager, "b", "1", 400 * KB) == 204


def test_all_visitors_together_may_hold_so_many(manager):
    statuses = [put(manager, f"visitor {n}", "file", 199 * KB) for n in range(8)]
    assert statuses == [204] * 5 + [413] * 3 and manager._total_bytes == 5 * 199 * KB


def test_an_upload_that_tells_no_size_counts_as_the_largest(manager):
    assert put(manager, "a", "1", 10 * KB, told=False) == 204
    assert put(manager, "a", "2", 10 * KB, told=False) == 413
    assert put(manager, "a", "2", 10 * KB) == 204


def test_what_is_on_its_way_counts_and_other_requests_pass(manager):
    assert uploads._has_room("a", "1", 300 * KB) and not uploads._has_room("a", "2", 300 * KB)
    assert put(manager, "a", "1", 390 * KB, method="DELETE") == 204


def test_old_files_are_forgotten_and_new_ones_stay(manager, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(uploads.time, "monotonic", lambda: now[0])
    put(manager, "a", "old", 100 * KB)
    now[0] = 590.0
    put(manager, "a", "new", 100 * KB)
    uploads.forget_old(600)
    assert len(manager.get_files("a", ["old", "new"])) == 2
    now[0] = 601.0
    uploads.forget_old(600)
    assert [one.file_id for one in manager.get_files("a", ["old", "new"])] == ["new"]
    uploads.forget_old(600)
    assert list(uploads._came) == [("a", "new")]


def test_readings_are_kept_up_to_a_size_and_a_time():
    now, made = [0.0], []

    def get(key, size=100):
        return kept.get(key, lambda: made.append(key) or key.upper(), lambda value: size)

    kept = KeptReadings(1000, 60, clock=lambda: now[0])
    assert [get(f"k{n}") for n in range(12)] == [f"K{n}" for n in range(12)]
    assert kept.held_bytes() == 1000 and get("k11") == "K11" and len(made) == 12
    get("k0")
    assert made[-1] == "k0"  # the oldest had gone
    get("huge", 251)
    assert kept.held_bytes() == 1000  # more than a quarter is not kept
    now[0] = 61.0
    kept.forget_old()
    assert kept.held_bytes() == 0


def test_what_is_taken_is_given_once_and_what_is_put_again_counts_once():
    now = [0.0]
    kept = KeptReadings(1000, 60, clock=lambda: now[0])
    for value, size in (("first", 100), ("second", 200)):
        kept.put("handle", value, size)
    assert kept.held_bytes() == 200
    assert (kept.take("handle"), kept.take("handle"), kept.held_bytes()) == ("second", None, 0)
    kept.put("handle", "third", 100)
    now[0] = 61.0
    assert kept.take("handle") is None  # too late


def test_garbage_is_collected_now_and_then_because_streamlit_does_not_after_every_run(monkeypatch):
    """A collection of what all visitors left took a third of a page's processor time, with everybody waiting."""

    class Left:
        pass

    turns = iter([None])

    def awake_once(_):
        if next(turns, "ended") == "ended":
            raise InterruptedError

    monkeypatch.setattr(uploads.time, "sleep", awake_once)
    options = tomllib.loads((settings.PROJECT / ".streamlit" / "config.toml").read_text())
    assert options["runner"]["postScriptGC"] is False
    assert options["server"]["maxMessageSize"] <= 32  # else anybody fills the memory by messages, as by uploads
    one = Left()
    one.itself = one
    gone = weakref.ref(one)
    gc.disable()
    try:
        del one
        assert gone() is not None
        with pytest.raises(InterruptedError):
            uploads.forget_now_and_then()
        assert gone() is None
    finally:
        gc.enable()
