"""The form of a new run, ending in what it would take: pairs, patients, time, disk.

Not a Streamlit form, whose fields are silent until it is sent: the plan below follows every change. A field that
differs from the preset is handed over as `set`; the others stay the preset's.
"""

from contextlib import suppress
from html import escape

import streamlit as st

from echo2ecg_core.answers.readiness import abilities
from echo2ecg_core.counts import counted
from echo2ecg_core.errors import Echo2ECGError, ModelError
from echo2ecg_core.figures.notation import THIN, duration
from echo2ecg_core.store import jobs, kept_cohorts
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.training import runs
from echo2ecg_core.training.runs import Run
from echo2ecg_core.training.settings import TRAINING_PRESETS, TrainingSettings, training_settings
from pages.ui import resources
from pages.ui.admin_gate import asks
from pages.ui.errors import plain
from pages.ui.in_words import in_words

POOLINGS = {
    "attention": "Attention over all views",
    "mean": "Mean of all views",
    "cls": "CLS token",
    "single_view": "Single view",
}
OBJECTIVES = {"contrastive": "ECG with echo studies", "masked": "ECG alone, masked patches"}
PRECISIONS = {"bf16-mixed": "bf16", "32-true": "float32"}
TEMPERATURES = (0.05, 0.07, 0.1, 0.2, 0.5)
PLANNED_BY = (
    "objective",
    "batch_size",
    "epochs",
    "accumulate",
    "epoch_of",
    "within_days",
    "clip_encoder",
    "patients",
    "whole_patients",
    "bodies",
    "cohort_seed",
    "phantom",
    "cohort",
)
LIMITS = {
    "view_dropout": (0.0, 0.95),
    "within_days": (0, 60),
    "batch_size": (2, 65536),
    "epochs": (1, 10000),
    "lr": (1e-7, 1.0),
    "seed": (0, 2**31 - 1),
    "patients": (20, 100_000),
}  # of the fields; wider where a run that is cloned was
LONGEST_DAYS = 36500
_KEY = "train_"
_PRESET = "train_preset"


def draw(workspace: Workspace):
    """The fields; returns the place of the plan, which takes a moment and is therefore told last (`plan_and_start`)."""
    if _PRESET not in st.session_state:
        _fill("demo", {})
    with st.container(border=True, key="training_form"):
        st.html("<h2>New run</h2>")
        st.segmented_control("Preset", list(TRAINING_PRESETS), key=_PRESET, format_func=str.capitalize, required=True,
                             width="stretch", on_change=lambda: _fill(st.session_state[_PRESET], {}))  # fmt: skip
        _fields(workspace)
        return st.container(key="training_plan")


def plan_and_start(workspace: Workspace, place) -> None:
    """What the run would take, and the button that queues it."""
    chosen = chosen_settings()
    with place:
        feasible = _plan(workspace, st.session_state[_PRESET], chosen)
        if st.button("Start run", type="primary", icon=":material/play_arrow:", width="stretch", disabled=not feasible):
            _start(workspace, st.session_state[_PRESET], chosen)


@asks("train")
def _start(workspace: Workspace, preset: str, chosen: dict) -> None:
    jobs.queue(workspace, "train", {"preset": preset, "set": chosen, "name": ""})
    jobs.start_worker(workspace)
    st.rerun()


def clone(run: Run) -> None:
    """Put the settings of a run into the form (call before the form is drawn, or rerun)."""
    _fill(run.settings.get("preset", "demo"), run.settings.get("set", {}))


def chosen_settings() -> dict:
    """What the form says other than its preset: key -> value, as a training job takes it."""
    preset = _values(training_settings(st.session_state[_PRESET]))
    shown = {name: st.session_state[_KEY + name] for name in preset if _KEY + name in st.session_state}
    shown["same_patient_negatives"] = not st.session_state[_KEY + "own_patient_apart"]
    shown["temperature"], shown["learnable_temperature"] = st.session_state[_KEY + "heat"]
    return st.session_state[_KEY + "others"] | {name: value for name, value in shown.items() if value != preset[name]}


def _fill(preset: str, chosen: dict) -> None:
    """Set every field to a preset with some values changed; what has no field (set in a terminal) is kept and handed
    on."""
    st.session_state[_PRESET] = preset
    values = _values(training_settings(preset, chosen))
    st.session_state[_KEY + "others"] = {name: value for name, value in chosen.items() if name not in values}
    for name, value in values.items():
        st.session_state[_KEY + name] = value
    st.session_state[_KEY + "limits"] = {
        name: (min(low, values[name]), max(high, values[name])) for name, (low, high) in LIMITS.items()
    }
    st.session_state[_KEY + "own_patient_apart"] = not values["same_patient_negatives"]
    st.session_state[_KEY + "heat"] = (values["temperature"], values["learnable_temperature"])


def _values(told: TrainingSettings) -> dict:
    run, spec = told.run, told.spec
    return {"start_from": told.start_from, "pooling": spec.study.pooling, "objective": run.objective,
    "within_days": int(min(told.within_days, LONGEST_DAYS)),
            "batch_size": run.batch_size, "epochs": run.epochs, "lr": run.lr, "precision": run.precision,
            "seed": run.seed,
            "patients": told.patients, "cohort": told.cohort, "temperature": spec.temperature,
            "learnable_temperature": spec.learnable_temperature,
            "same_patient_negatives": run.same_patient_negatives, "view_dropout": run.view_dropout}  # fmt: skip


def _fields(workspace: Workspace) -> None:
    starts, limits = _starts(workspace), st.session_state[_KEY + "limits"]
    whole: dict[str, tuple[int, int]] = limits
    real: dict[str, tuple[float, float]] = limits
    if st.session_state[_KEY + "start_from"] not in starts:
        st.session_state[_KEY + "start_from"] = "random"
    st.selectbox("Start ECG encoder from", list(starts), format_func=in_words(starts), key=_KEY + "start_from")
    st.selectbox("Learns from", list(OBJECTIVES), format_func=in_words(OBJECTIVES), key=_KEY + "objective")
    st.selectbox("Studies pooled by", list(POOLINGS), format_func=in_words(POOLINGS), key=_KEY + "pooling")
    st.slider(
        "Clips left out of a step, at random",
        *real["view_dropout"],
        key=_KEY + "view_dropout",
        format="percent",
        step=0.05,
    )
    st.slider("ECG and echo at most apart, days", *whole["within_days"], key=_KEY + "within_days", format="± %d")
    left, right = st.columns(2, gap="small")
    left.number_input("Batch, pairs", *whole["batch_size"], key=_KEY + "batch_size")
    right.number_input("Epochs", *whole["epochs"], key=_KEY + "epochs")
    left.number_input("Learning rate", *real["lr"], key=_KEY + "lr", format="%.1e", step=1e-4)
    heat = (*((t, False) for t in TEMPERATURES), (0.07, True))
    options = list(dict.fromkeys((*heat, st.session_state[_KEY + "heat"])))
    right.selectbox(
        "Temperature", options, key=_KEY + "heat", format_func=lambda o: f"{o[0]:g} {'learnt' if o[1] else 'fixed'}"
    )
    left.selectbox("Precision", list(PRECISIONS), format_func=in_words(PRECISIONS), key=_KEY + "precision")
    right.number_input("Seed", *whole["seed"], key=_KEY + "seed")
    if training_settings(st.session_state[_PRESET]).patients:
        st.number_input("Simulated patients", *whole["patients"], key=_KEY + "patients", step=100)
    else:
        cohorts = ["", *kept_cohorts.names(workspace)]
        if st.session_state[_KEY + "cohort"] not in cohorts:  # of a cloned run, gone since
            cohorts.append(st.session_state[_KEY + "cohort"])
        st.selectbox("Learns from the cohort", cohorts, format_func=lambda c: c or "All cohorts", key=_KEY + "cohort")
    st.checkbox(
        "Pairs of one patient are not each other’s negatives (off: as published)", key=_KEY + "own_patient_apart"
    )


def _starts(workspace: Workspace) -> dict[str, str]:
    """What the ECG encoder can start from: id -> name; a damaged model is passed over."""
    starts = {"random": "Random weights"}
    for card in _models(workspace):
        with suppress(ModelError):
            if not abilities(card).startswith("Echo side"):
                starts[card.model_id] = f"{card.name} {card.model_id}"
    return starts


def _models(workspace: Workspace) -> list[ModelCard]:
    return ModelRegistry(workspace).models() if workspace.exists() else []


def _plan(workspace: Workspace, preset: str, chosen: dict) -> bool:
    """Tell what the run would take; False when it cannot be."""
    try:
        with st.spinner("Counting pairs …"):
            training_settings(preset, chosen)
            planned = {key: value for key, value in chosen.items() if key in PLANNED_BY}
            catalogue = workspace.version() if workspace.exists() else 0
            models = tuple((card.model_id, card.active) for card in _models(workspace))
            measured = sum(len(runs.read_metrics(run)) > 0 for run in runs.runs(workspace))
            state = catalogue, *models, measured
            plan = _planned(str(workspace.folder), state, preset, tuple(sorted(planned.items())))
    except Echo2ECGError as error:
        st.warning(f"{plain(error.message)} {plain(error.hint)}", icon=":material/info:")
        return False
    gigabytes = plan.disk_bytes / 1e9
    disk = f"{gigabytes:.0f}{THIN}GB" if gigabytes >= 10 else f"{gigabytes:.1f}{THIN}GB"
    notes = f"<small>{escape(' '.join(plan.notes))}</small>" if plan.notes else ""
    thing = "ECG" if chosen.get("objective") == "masked" else "pair"
    st.html(
        f"<div class='e2e-plan'><b>{counted(plan.pairs, thing)}</b> of {counted(plan.patients, 'patient')} · "
        "split by patient<br>"
        f"validation {counted(plan.validation_pairs, thing)}, {counted(plan.validation_patients, 'patient')}<br>"
        f"About <b>{duration(plan.seconds)}</b> on this machine · {disk} of disk{notes}</div>"
    )
    return True


@st.cache_data(ttl=3600, max_entries=64, show_spinner=False)
def _planned(folder: str, state: tuple, preset: str, chosen: tuple):
    """The plan; `state` makes a written catalogue (a corrected date changes the pairs), another active model or a run
    that measured this machine's speed a new key."""
    from echo2ecg_core.training.train import plan_training

    return plan_training(Workspace(folder), preset, dict(chosen))


def learns_from_phantoms(run: Run) -> bool:
    """True for a run on a phantom cohort, or in a workspace of simulated hearts."""
    try:
        told = training_settings(run.settings.get("preset", ""), run.settings.get("set"))
    except Echo2ECGError:
        return resources.holds_phantoms_only()
    return told.patients > 0 or resources.holds_phantoms_only()
