"""Training: how is a model made? A form that tells what a run takes, the run while it goes on, and all runs."""

import streamlit as st

from echo2ecg_core.training import runs
from pages.ui import admin_gate, panels, resources
from pages.ui.errors import errors_in_words
from pages.ui.training import form as training_form
from pages.ui.training import panels as training_panels
from pages.ui.training import runs_table

admin_gate.require_admin()
workspace = resources.workspace()
actions = panels.admin_head("Training", training_panels.PURPOSE)
runs_table.clone_if_asked(workspace)
shown = plan_place = None
left, right = st.columns((322, 826), gap=28)
with left, errors_in_words():
    plan_place = training_form.draw(workspace)
with right, errors_in_words():
    shown = runs_table.watched(workspace)
    if shown is None:
        training_panels.no_runs(workspace)
    else:
        training_panels.watch(workspace, runs.run(workspace, shown))
with errors_in_words():
    runs_table.table(workspace)
if shown is not None:
    with actions:
        runs_table.export(workspace, shown)
if plan_place is not None:
    with errors_in_words():
        training_form.plan_and_start(workspace, plan_place)
