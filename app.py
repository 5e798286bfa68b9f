"""The frame: pages by section, sidebar, and the ASGI app that adds our own routes to Streamlit's.

`streamlit run app.py` finds `app` without running this file, imports it as a module for the server, and then runs it
once more as a script for every visitor and rerun; the last line tells the two apart.
"""

import os
import sys
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from echo2ecg_core import logs
from echo2ecg_core.settings import settings
from pages.ui.clips_route import CLIP_ROUTES
from pages.ui.login_return import ReturnToPage
from pages.ui.map.pictures_route import PICTURE_ROUTES
from pages.ui.server import uploads
from pages.ui.server.every_request import EveryRequest
from pages.ui.server.first_paint import FirstPaint
from pages.ui.server.proxies import behind_proxies
from pages.ui.server.routes import SERVER_ROUTES, GuardedMetrics
from pages.ui.server.sockets import CheckedSockets
from pages.ui.server.uploads import BoundedUploads

ASSETS = Path(__file__).parent / "assets"


def pages() -> dict[str, list]:
    """Every page by section; the first one opens at the root address."""
    return {
        "Explore": [
            st.Page("pages/ecg.py", title="ECG", icon=":material/ecg_heart:", default=True),
            st.Page("pages/studies.py", title="Similar studies", icon=":material/video_library:"),
            st.Page("pages/map.py", title="Map", icon=":material/scatter_plot:"),
            st.Page("pages/cohorts.py", title="Cohorts", icon=":material/group:"),
        ],
        "Evaluate": [
            st.Page("pages/report.py", title="Report", icon=":material/query_stats:"),
            st.Page("pages/about.py", title="About this model", icon=":material/info:"),
        ],
        "Admin": [
            st.Page("pages/archive.py", title="Import", url_path="import", icon=":material/upload_file:"),
            st.Page("pages/training.py", title="Training", icon=":material/model_training:"),
            st.Page("pages/models.py", title="Models", icon=":material/inventory_2:"),
            st.Page("pages/admin.py", title="Admin", icon=":material/admin_panel_settings:"),
        ],
    }


def frame() -> None:
    """Draw what surrounds every page, then the page the visitor chose."""
    from pages.ui import admin_gate, resources, session, sidebar, tour
    from pages.ui.errors import errors_in_words
    from pages.ui.reopen import reopen

    logs.session_id.set(session.short_id())
    st.set_page_config(
        page_title="Echo2ECG Explorer", page_icon=str(ASSETS / "logo.svg"), layout="wide", initial_sidebar_state=216
    )
    if st.query_params.get("screenshot") == "1":
        st.html(ASSETS / "screenshot.css")  # for a figure or a slide: the page without what surrounds it
    st.logo(str(ASSETS / "logo.svg"), size="large")
    page = st.navigation(pages())
    admin_gate.require_login()
    with resources.workspace().kept_open():
        with errors_in_words():
            sidebar.draw()
            with st.sidebar:
                reopen.across_reloads()
        with errors_in_words():
            tour.band(page)
            page.run()


@asynccontextmanager
async def lifespan(_app):
    """At the start of the server: fill an empty workspace with the demo (a job) and warm the networks up (a thread).

    Modules with caches are imported only now, because Streamlit's caches want a runtime.
    """
    from streamlit.runtime.pages_manager import PagesManager

    from pages.ui import admin_gate, resources

    logs.set_up(settings().log_format)
    if why := admin_gate.why_not_open_to_all(st.get_option("server.address")):
        print(f"Not started. {why}", file=sys.stderr, flush=True)
        os._exit(2)  # an exception here would leave a server that answers without its pages
    PagesManager.uses_pages_directory = (
        False  # else the first visitor who asks for a page by address gets it without this frame
    )
    threading.Thread(target=uploads.forget_now_and_then, name="uploads", daemon=True).start()
    threading.Thread(target=resources.prepare, name="prepare", daemon=True).start()
    yield


if __name__ == "__main__":
    frame()
else:
    app = st.App(
        __file__,
        lifespan=lifespan,
        routes=[*CLIP_ROUTES, *PICTURE_ROUTES, *SERVER_ROUTES],
        middleware=[
            *behind_proxies(),
            Middleware(EveryRequest),
            Middleware(GuardedMetrics),
            Middleware(CheckedSockets),
            Middleware(BoundedUploads),
            Middleware(ReturnToPage),
            Middleware(FirstPaint),
        ],
    )
