"""The routes of clips and pictures: only with the key of a living session, by byte range, and
refusals in words that name no path."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette

from pages.ui import session_key
from pages.ui.clips_route import CLIP_ROUTES
from pages.ui.map.pictures_route import PICTURE_ROUTES
from tests.small_workspace import small_workspace

FILM = bytes(range(256)) * 40


@dataclass
class Answer:
    status_code: int = 0
    headers: dict = field(default_factory=dict)
    content: bytes = b""

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass
class Browser:
    """Asks an ASGI app without a network."""

    app: Starlette

    def get(self, address: str, headers: dict | None = None) -> Answer:
        path, _, query = address.partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
        }
        answer = Answer()

        async def receive():
            if answer.status_code:
                await asyncio.Event().wait()  # the browser stays and says nothing more
            return {"type": "http.request", "body": b""}

        async def send(message):
            if message["type"] == "http.response.start":
                answer.status_code = message["status"]
                answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            answer.content += message.get("body", b"")

        asyncio.run(self.app(scope, receive, send))
        return answer


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("route"), n_patients=3, mp4=FILM)


@pytest.fixture
def browser(workspace, monkeypatch):
    """A client with two keys: "mine" of a connected session, "gone" of one that has left."""
    monkeypatch.setattr(session_key, "_connected", lambda session_id: session_id == "here")
    monkeypatch.setattr(
        session_key,
        "_grants",
        {"mine": session_key._Grant("here", workspace), "gone": session_key._Grant("left", workspace)},
    )
    return Browser(Starlette(routes=[*CLIP_ROUTES, *PICTURE_ROUTES]))


@pytest.fixture(scope="module")
def clip_id(workspace):
    from echo2ecg_core.store.catalog import Catalog

    return Catalog(workspace).clips_of("S-0000")[0].clip_id


def test_a_living_key_gets_the_whole_film_and_nothing_is_kept_by_the_browser(browser, clip_id):
    answer = browser.get(f"/clips/{clip_id}.mp4?key=mine")
    assert answer.status_code == 200 and answer.content[: len(FILM)] == FILM
    assert answer.headers["content-type"] == "video/mp4" and answer.headers["cache-control"] == "private, no-store"


def test_a_byte_range_gets_exactly_these_bytes(browser, clip_id):
    answer = browser.get(f"/clips/{clip_id}.mp4?key=mine", headers={"Range": "bytes=100-299"})
    assert answer.status_code == 206 and answer.content == FILM[100:300]
    assert answer.headers["content-range"].startswith("bytes 100-299/")


@pytest.mark.parametrize("query", ["", "?key=", "?key=guess", "?key=gone"])
def test_without_the_key_of_a_living_session_nothing_is_served(browser, clip_id, query):
    answer = browser.get(f"/clips/{clip_id}.mp4{query}")
    assert answer.status_code == 403
    assert answer.text == "This address belongs to a session that has ended. Reload the page."


def test_a_key_counts_as_long_as_the_login_of_its_session(browser, clip_id, monkeypatch):
    monkeypatch.setattr(session_key, "_until", {})
    monkeypatch.setattr(session_key, "get_script_run_ctx", lambda: SimpleNamespace(session_id="here"))
    for seconds, status in ((3600.0, 200), (0.0, 403), (float("inf"), 200)):  # logged in, out, and in without an end
        session_key.serve_for(seconds)
        assert browser.get(f"/clips/{clip_id}.mp4?key=mine").status_code == status


@pytest.mark.parametrize("clip", ["C000000000000000", "..%2f..%2fcatalog", "' OR 1=1 --"])
def test_an_unknown_clip_is_refused_in_words_without_a_path(browser, workspace, clip):
    answer = browser.get(f"/clips/{clip}.mp4?key=mine")
    assert answer.status_code == 404 and str(workspace.folder) not in answer.text
    assert "There is no clip" in answer.text or answer.text == "Not Found"


def test_a_missing_file_is_told_without_its_path(browser, workspace, clip_id):
    from echo2ecg_core.store.catalog import Catalog

    path = Catalog(workspace).clip_path(clip_id)
    content = path.read_bytes()
    path.unlink()
    answer = browser.get(f"/clips/{clip_id}.mp4?key=mine")
    path.write_bytes(content)
    assert (
        answer.status_code == 404
        and "missing in the workspace" in answer.text
        and str(workspace.folder) not in answer.text
    )


def test_a_clip_is_saved_under_the_name_of_its_study_and_view(browser, workspace, clip_id):
    from echo2ecg_core.store.catalog import Catalog

    view = Catalog(workspace).clip(clip_id).view
    answer = browser.get(f"/clips/{clip_id}.mp4?key=mine&save=1")
    assert answer.status_code == 200 and answer.content == browser.get(f"/clips/{clip_id}.mp4?key=mine").content
    assert answer.headers["content-disposition"] == f'attachment; filename="S-0000_{view}_{clip_id}_synthetic.mp4"'


def test_a_gif_needs_the_key_too_and_a_clip_that_cannot_be_decoded_is_told_in_words(browser, clip_id):
    assert browser.get(f"/clips/{clip_id}.gif").status_code == 403
    answer = browser.get(f"/clips/{clip_id}.gif?key=mine&save=1")  # this workspace's files are no films
    assert answer.status_code == 404 and "cannot be decoded" in answer.text


def test_a_picture_of_an_ecg_is_served_with_words_and_kept_by_nobody_but_the_server(browser):
    answer = browser.get("/pictures?key=mine&kind=ECG&id=E-0001")
    assert answer.status_code == 200 and answer.content.startswith(b"<svg ")
    assert answer.headers["content-type"] == "image/svg+xml" and answer.headers["cache-control"] == "private, no-store"
    assert unquote(answer.headers["x-words"]) == "2.5 s of each lead, 25 mm/s, 10 mm/mV"
    dark = browser.get("/pictures?key=mine&kind=ECG&id=E-0001&dark=1")
    assert dark.status_code == 200 and dark.content != answer.content


@pytest.mark.parametrize("key", ["", "key=", "key=guess", "key=gone"])
@pytest.mark.parametrize("kind", ["ECG", "study"])
def test_a_picture_needs_the_key_too(browser, key, kind):
    answer = browser.get(f"/pictures?kind={kind}&id=E-0001&{key}")
    assert answer.status_code == 403
    assert answer.text == "This address belongs to a session that has ended. Reload the page."


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("kind=ECG&id=nobody", "no ecg 'nobody'"),
        ("kind=ECG&id=../../catalog", "no ecg"),
        ("kind=study&id=nobody", "no study 'nobody'"),
        ("kind=study", "no study ''"),
        ("", "no study ''"),
        ("kind=study&id=S-0000", "cannot be decoded"),  # this workspace's files are no films
    ],
)
def test_a_picture_that_is_not_there_is_refused_in_words_without_a_path(browser, workspace, query, said):
    answer = browser.get(f"/pictures?key=mine&{query}")
    assert answer.status_code == 404 and said in answer.text and str(workspace.folder) not in answer.text
    assert answer.headers["cache-control"] == "private, no-store"
