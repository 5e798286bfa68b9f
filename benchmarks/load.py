"""Many visitors at once, over Streamlit's own protocol: upload an ECG, read the report, look for studies, open the map.

    python benchmarks/load.py WORKSPACE [--sessions 25] [--rounds 3] [--train]
    python benchmarks/load.py WORKSPACE --alone [--rounds 10]

Serves the app on the workspace and connects as browsers do (websocket, uploads), each session with an ECG of its own
(pydicom's, with a little noise, so that nothing is cached) under a file name of its own. Every answer is read: an error
in words, a script that crashed, or a file name of another session counts as an error. One JSON line: interactions,
errors, seconds from upload to report and from page to page (median, 95th percentile), memory of the server before and
after, processor time
of the server, load of the machine. With --train a training is queued first, so that its worker keeps the cores busy.

With --alone one visitor comes, and the line tells what each action costs the server: milliseconds of processor time
(means, which what else runs on the machine hardly changes), runs of the script and bytes sent, and processor time of a
minute in which nobody does anything.
"""

import argparse
import asyncio
import io
import json
import os
import statistics
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from websockets.asyncio.client import connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: E402
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402

from tests.browser.running_app import running_app  # noqa: E402

PATIENCE_S = 240
PAGES = ("studies", "map", "report")


def own_ecg(number: int) -> bytes:
    """The sample's bytes with a noise of a few microvolts that no other session has."""
    sample = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm"))
    for group in sample.WaveformSequence:
        data = np.frombuffer(group.WaveformData, np.int16).copy()
        data += np.random.default_rng(number).integers(-2, 3, data.shape).astype(np.int16)
        group.WaveformData = data.tobytes()
    buffer = io.BytesIO()
    sample.save_as(buffer)
    return buffer.getvalue()


class Visitor:
    """One browser: what it sends, and what it was shown."""

    def __init__(self, number: int, address: str, all_names: list[str]):
        self.number, self.address, self.name = number, address, all_names[number]
        self.others = [name for name in all_names if name != self.name]
        self.widgets: dict[str, tuple] = {}
        self.errors: list[str] = []
        self.uploader, self.query, self.session_id = "", "", ""
        self.page_hash = ""
        self.hashes: dict[str, str] = {}
        self.runs = self.bytes = 0

    def connection(self) -> connect:
        """The websocket, to be entered."""
        return connect(
            self.address.replace("http", "ws") + "/_stcore/stream",
            subprotocols=["streamlit"], origin=self.address, max_size=None, open_timeout=PATIENCE_S,
        )  # fmt: skip

    async def live(self, rounds: int) -> tuple[list[float], list[float]]:
        """Upload and look around; returns seconds of uploads and of pages."""
        uploads, pages = [], []
        async with self.connection() as self.socket:
            await self.rerun()
            self.hashes["first"] = self.page_hash
            for turn in range(rounds):
                await self.go_to("first")
                began = time.monotonic()
                await self.upload(own_ecg(1000 * self.number + turn))
                uploads.append(time.monotonic() - began)
                for page in PAGES:
                    began = time.monotonic()
                    await self.go_to(page)
                    pages.append(time.monotonic() - began)
        return uploads, pages

    async def costs(self, pid: int, rounds: int) -> dict[str, dict[str, float]]:
        """What each action costs the server, means of all rounds but the first, which fills caches."""
        spent: dict[str, list] = {}

        async def counted(what: str, action) -> None:
            runs, sent, worked = self.runs, self.bytes, processor_s(pid)
            await action
            await asyncio.sleep(0.1)  # what follows the end of the script is part of it
            spent.setdefault(what, []).append((processor_s(pid) - worked, self.runs - runs, self.bytes - sent))

        async with self.connection() as self.socket:
            await self.rerun()
            self.hashes["first"] = self.page_hash
            for turn in range(rounds + 1):
                await counted("ecg", self.go_to("first"))
                await counted("upload", self.upload(own_ecg(turn)))
                for page in PAGES:
                    await counted(page, self.go_to(page))
                spent = {} if turn == 0 else spent
            await counted("nothing for a minute", asyncio.sleep(60))
        means = {what: np.mean(values, axis=0) for what, values in spent.items()}
        return {
            what: {"processor_ms": round(1000 * worked), "runs": round(runs, 1), "kb": round(sent / 1000)}
            for what, (worked, runs, sent) in means.items()
        }

    async def go_to(self, page: str) -> None:
        """Another page, by the hash that the navigation gave it."""
        self.page_hash = self.hashes.get(page, self.page_hash)
        self.widgets = {}
        await self.rerun()

    async def upload(self, content: bytes) -> None:
        """Ask where to put the file, put it there, tell the script; wait for the report."""
        asked = BackMsg()
        asked.file_urls_request.request_id = f"r{self.number}-{time.monotonic()}"
        asked.file_urls_request.file_names.append(self.name)
        asked.file_urls_request.session_id = self.session_id
        await self.socket.send(asked.SerializeToString())
        while True:
            message = await self.message()
            if message.WhichOneof("type") == "file_urls_response":
                place = message.file_urls_response.file_urls[0]
                break
        await asyncio.to_thread(self._put, place.upload_url, content)
        self.widgets = {self.uploader: (place, len(content))}
        shown = await self.rerun()
        for _ in range(3):  # opening the file empties the uploader, which runs the page once more
            if "LV ejection fraction" in shown:
                return
            self.widgets = {}
            shown = await self.rerun()
        self.errors.append("no report after an upload")

    def _put(self, url: str, content: bytes) -> None:
        border = b"echo2ecg-load"
        head = f'Content-Disposition: form-data; name="file"; filename="{self.name}"\r\n\r\n'.encode()
        body = b"--" + border + b"\r\n" + head + content + b"\r\n--" + border + b"--\r\n"
        request = urllib.request.Request(
            self.address + url, body, {"Content-Type": f"multipart/form-data; boundary={border.decode()}"}, method="PUT"
        )
        cookie = XSRF.get(self.address)
        if cookie:
            request.add_header("Cookie", f"_streamlit_xsrf={cookie}")
            request.add_header("X-Xsrftoken", cookie)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            if answer.status >= 300:
                self.errors.append(f"upload {answer.status}")

    async def rerun(self) -> str:
        """Run the page's script with the widgets as they are; returns all text that it showed."""
        asked = BackMsg()
        state = asked.rerun_script
        state.query_string, state.page_script_hash = self.query, self.page_hash
        for name, (place, size) in self.widgets.items():
            widget = state.widget_states.widgets.add(id=name)
            files = widget.file_uploader_state_value.uploaded_file_info
            info = files.add(name=self.name, size=size, file_id=place.file_id)
            info.file_urls.CopyFrom(place)
        await self.socket.send(asked.SerializeToString())
        shown = []
        while True:
            message = await self.message()
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.runs += 1
                self.session_id = message.new_session.initialize.session_id
                self.page_hash = message.new_session.page_script_hash
                shown = []
            elif kind == "navigation":
                self.hashes |= {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
            elif kind == "delta":
                text = str(message.delta)
                shown.append(text)
                self._look(message, text)
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    self.errors.append("a script did not compile")
                if message.script_finished in (
                    ForwardMsg.FINISHED_SUCCESSFULLY,
                    ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
                ):
                    return "\n".join(shown)

    def _look(self, message: ForwardMsg, text: str) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "file_uploader":
            self.uploader = element.file_uploader.id
        elif kind == "exception":
            self.errors.append(f"exception {element.exception.type}")
        elif kind == "alert" and "error" in element.alert.icon:
            self.errors.append(element.alert.body[:120])
        for name in self.others:
            if name in text:
                self.errors.append("another visitor's file name")

    async def message(self) -> ForwardMsg:
        message, content = ForwardMsg(), await asyncio.wait_for(self.socket.recv(), PATIENCE_S)
        self.bytes += len(content)
        message.ParseFromString(content)
        return message


XSRF: dict[str, str] = {}


def server_of(address: str) -> int:
    """Process id of the server that listens there."""
    port = address.rpartition(":")[2]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        words = entry.read_bytes().split(b"\0") if entry.exists() else []
        if port.encode() in words and b"streamlit" in words:
            return int(entry.parent.name)
    raise RuntimeError("the server was not found")


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def processor_s(pid: int) -> float:
    """Processor time of a process so far, which does not count what others take of the cores."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def crowd(address: str, sessions: int, rounds: int) -> tuple[list[Visitor], list]:
    """All visitors at once; of each its times, or what ended it."""
    names = [f"visitor-{number:03d}-{os.urandom(4).hex()}.dcm" for number in range(sessions)]
    visitors = [Visitor(number, address, names) for number in range(sessions)]
    return visitors, await asyncio.gather(*(one.live(rounds) for one in visitors), return_exceptions=True)


def summary(values: list[float]) -> dict:
    """Median and 95th percentile, in seconds."""
    if not values:
        return {}
    return {"median": round(statistics.median(values), 2), "p95": round(float(np.percentile(values, 95)), 2)}


@contextmanager
def served(workspace: Path) -> Iterator[tuple[str, int]]:
    """The app with its model loaded: its address and process id."""
    with running_app(workspace) as address:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{address}/healthz", timeout=10) as answer:
                    break
            except urllib.error.HTTPError:
                time.sleep(1)
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=30) as answer:
            cookies = answer.headers.get_all("Set-Cookie") or []
        XSRF[address] = next((c.split("=", 1)[1].split(";")[0] for c in cookies if c.startswith("_streamlit_xsrf")), "")
        yield address, server_of(address)


def alone(workspace: Path, rounds: int) -> dict:
    """One visitor: what each action costs the server."""
    with served(workspace) as (address, pid):
        one = Visitor(0, address, ["visitor.dcm"])
        costs = asyncio.run(one.costs(pid, rounds))
    return {"sessions": 1, "rounds": rounds, "errors": len(one.errors), "costs": costs}


def main(workspace: Path, sessions: int, rounds: int, train: bool) -> dict:
    """Serve, let everybody come, count."""
    with served(workspace) as (address, pid):
        if train:
            from echo2ecg_core.store import jobs
            from echo2ecg_core.store.database import Workspace

            jobs.queue(Workspace(workspace), "train", {"preset": "demo", "set": {}, "name": "beside the load"})
            jobs.start_worker(Workspace(workspace))
        before, worked, began = memory_mb(pid), processor_s(pid), time.monotonic()
        visitors, lives = asyncio.run(crowd(address, sessions, rounds))
        took_s, after, load = time.monotonic() - began, memory_mb(pid), os.getloadavg()[0]
        worked = processor_s(pid) - worked
    ended = [life for life in lives if not isinstance(life, BaseException)]
    errors = [e for one in visitors for e in one.errors]
    errors += [type(life).__name__ for life in lives if isinstance(life, BaseException)]
    uploads, pages = [s for u, _ in ended for s in u], [s for _, p in ended for s in p]
    return {
        "sessions": sessions,
        "interactions": len(uploads) + len(pages) + sessions,
        "errors": len(errors),
        "kinds_of_errors": sorted(set(errors))[:5],
        "upload_to_report_s": summary(uploads),
        "page_s": summary(pages),
        "memory_mb": [round(before), round(after)],
        "seconds": round(took_s),
        "processor_s": round(worked, 1),
        "training": train,
        "load_of_the_machine": round(load, 1),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--sessions", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--alone", action="store_true")
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(alone(asked.workspace, asked.rounds)))
        sys.exit()
    print(json.dumps(main(asked.workspace, asked.sessions, asked.rounds, asked.train)))
