"""What every page stands under: heading, badges, and the head of the admin pages."""

from html import escape

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.store import jobs
from pages.ui import help, resources


def badges(synthetic: bool, record: EcgRecord | None = None) -> None:
    """Research use only, and the synthetic marks of the open ECG and of the active model."""
    st.badge("Research use only", icon=":material/experiment:", color="gray")
    if record is not None and record.is_simulated:
        st.badge("Synthetic", icon=":material/ecg_heart:", help="A simulated ECG: there is no patient.")
    if synthetic:
        st.badge("Synthetic model", icon=":material/deployed_code:", help="Trained on simulated hearts only.")


def title(heading: str, name: str = "") -> None:
    """Heading of a page and, beside it, its help and what is open."""
    open_file = f'<span title="{escape(name)}">{escape(name)}</span>' if name else ""
    st.html(f'<div class="e2e-title"><h1>{escape(heading)}</h1>{open_file}</div>', width="content")
    help.button(heading)


def scrolling(table: str, name: str) -> str:
    """HTML of a table that scrolls inside itself where the page is narrow, by keyboard too."""
    return f'<div class="e2e-scroll" tabindex="0" role="region" aria-label="{escape(name)}">{table}</div>'


def figures(values: dict[str, str], key: str) -> None:
    """Numbers side by side under their labels; Streamlit's metric would load the code of its small charts."""
    told = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in values.items())
    st.container(key=key).html(f"<dl class='e2e-counts'>{told}</dl>")


def why_no_model(so: str = "") -> str:
    """That there is no model, what follows from it, and whether one is on its way; else who can bring one."""
    workspace = resources.workspace()
    on_its_way = workspace.exists() and jobs.jobs(workspace, open_only=True)
    way = (
        "The sidebar shows what is being prepared; this page follows by itself."
        if on_its_way
        else "An admin can train one, import weights on the Models page, or run `echo2ecg demo` in a terminal."
    )
    return f"No model yet{f', {so}' if so else ''}. {way}"


def admin_head(heading: str, purpose: str):
    """Title, badges and one grey line; returns the place of the actions."""
    with st.container(key="page_head", horizontal=True, vertical_alignment="center", gap="small"):
        title(heading)
        st.badge("Admin", icon=":material/lock:", color="gray")
        badges(synthetic=False)
        if resources.holds_phantoms_only():
            st.badge("Synthetic", icon=":material/deployed_code:", help="The workspace holds simulated hearts only.")
        st.space("stretch")
        place = st.container(width="content")
    st.html(f"<div class='e2e-facts'>{purpose}</div>")
    return place
