"""Charts on the page: a Streamlit component that holds ready inline SVG, because `st.html` takes none.

The pictures come from figures/evaluation.py as they are printed; text is in the page's own font and can be selected.
"""

from functools import lru_cache
from html import escape
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


@lru_cache(maxsize=1)
def _component():
    """The component, registered once per process."""
    return st.components.v2.component(
        "echo2ecg_report_charts", css=(HERE / "charts.css").read_text(), js=(HERE / "charts.js").read_text()
    )


def show_charts(drawn: list[tuple[str, str, str]], *, key: str) -> None:
    """Show charts side by side; they wrap where the page is narrow.

    Args:
        drawn: (heading, grey words beside it, SVG element) of each chart.
        key: Name of this row of charts on the page.
    """
    figures = "".join(
        f"<figure><h2>{escape(title)} <span>{escape(note)}</span></h2>{svg}</figure>" for title, note, svg in drawn
    )
    _component()(key=key, data={"html": figures})
