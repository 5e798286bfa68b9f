"""What one visitor chose on the report; each key behind a typed function. The keys are also names in the address."""

import streamlit as st

MODEL_KEY = "model"
FINDING_KEY = "finding"
READOUT_KEY = "readout"
SPLIT_KEY = "split"
VALUE_KEY = "value"
BESIDE_KEY = "beside"
TAB_KEY = "report_tab"
FIGURE_KEY = "report_figure"


def beside() -> list[str]:
    """Ids of the models set beside the chosen one."""
    return list(st.session_state.get(BESIDE_KEY) or [])


def choose(model_id: str) -> None:
    """Show the report of this model."""
    st.session_state[MODEL_KEY] = model_id
