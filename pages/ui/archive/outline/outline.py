"""A picture on which a person draws what stays of it: a Streamlit component (v2), script and style beside this file.

The picture goes to this one browser with the component's data, never through an address that others could ask for.
"""

import base64
import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

HERE = Path(__file__).parent
JPEG_QUALITY = 92


@lru_cache(maxsize=1)
def _component():
    """The component, registered once per process."""
    return st.components.v2.component(
        "echo2ecg_outline", css=(HERE / "outline.css").read_text(), js=(HERE / "outline.js").read_text()
    )


def draw_outline(
    name: str, picture: np.ndarray, outlines: list[list[list[float]]], on_outlines: Callable[[object], None]
) -> None:
    """Draw the picture with handles on its outlines.

    Args:
        name: Of what is drawn on; another one begins anew.
        picture: (h, w, 3) uint8.
        outlines: Polygons of x, y in pixels to begin with.
        on_outlines: Called with what the browser says the outlines are now, which may be anything.
    """
    key = f"outline_{name}"
    h, w = picture.shape[:2]

    def changed() -> None:
        on_outlines(st.session_state[key]["outlines"])

    data = {"name": name, "picture": _data_url(picture), "width": w, "height": h, "outlines": outlines}
    _component()(key=key, data=data, default={"outlines": None}, on_outlines_change=changed)


def _data_url(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
