"""One training run while it goes on: state, progress, curves, machine, log; renewed every two seconds by a fragment."""

import math
import shutil
import time
from html import escape
from typing import Literal

import pandas as pd
import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.figures.notation import THIN, date, duration, number, observed
from echo2ecg_core.figures.training import Curve, curves_svg, round_axis
from echo2ecg_core.roles import ADMIN
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.training import runs
from echo2ecg_core.training.runs import Run
from pages.ui.admin_gate import asks, end_with_login
from pages.ui.errors import errors_in_words, plain
from pages.ui.sidebar import JOB_NAMES
from pages.ui.training import form as training_form
from pages.ui.training.curves.curves import show_curves

POLL_S = 2
PURPOSE = (
    "Align the ECG encoder with whole echo studies. Runs go on when this page or the server closes; a finished "
    "model stays inactive until you promote it."
)
Colour = Literal["gray", "blue", "orange"]
STATES: dict[str, tuple[str, str, Colour]] = {
    "queued": ("Waiting", ":material/hourglass_empty:", "gray"),
    "running": ("Running", ":material/progress_activity:", "blue"),
    "stopping": ("Stopping", ":material/stop_circle:", "gray"),
    "done": ("Done", ":material/check:", "gray"),
    "failed": ("Failed", ":material/error:", "orange"),
    "cancelled": ("Stopped", ":material/stop_circle:", "gray"),
}
ENDED_BADLY = ("failed", "cancelled")
MOST_POINTS = 300


def no_runs(workspace: Workspace) -> None:
    """What stands where the curves will be."""
    st.info(
        "No run yet. Choose a preset in the form: the box above Start run tells how long it takes on this machine.",
        icon=":material/model_training:",
    )
    _machine(workspace, pd.DataFrame())


def watch(workspace: Workspace, run: Run) -> None:
    """The panel of one run; while it is open it renews itself, and its end or a new epoch reruns the page."""
    done = len(_epochs(runs.read_metrics(run)))
    with st.container(key="watch"):
        st.fragment(_panel, run_every=POLL_S if run.is_open else None)(workspace, run.name, run.state, done)


def _panel(workspace: Workspace, name: str, state: str, epochs_before: int) -> None:
    end_with_login(ADMIN)
    with errors_in_words():
        jobs.tend(workspace)
        run = runs.run(workspace, name)
        metrics = runs.read_metrics(run)
        epochs = _epochs(metrics)
        if run.state != state or len(epochs) != epochs_before:
            st.rerun()
        _head(workspace, run)
        _progress(run, metrics, epochs)
        if run.state in ENDED_BADLY and run.job:
            st.warning(
                plain(run.job.message), icon=":material/error:" if run.state == "failed" else ":material/stop_circle:"
            )
        for note in run.settings.get("notes", ()):
            st.caption(plain(note))
        show_curves(_curves(run, metrics, epochs))
        _machine(workspace, metrics if run.is_open else pd.DataFrame())


def _head(workspace: Workspace, run: Run) -> None:
    label, icon, colour = STATES[run.state]
    with st.container(key="watch_head", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f"<div class='e2e-run'>{escape(run.name)}</div>", width="content")
        st.badge(label, icon=icon, color=colour)
        if training_form.learns_from_phantoms(run):
            st.badge("Synthetic", icon=":material/deployed_code:", help="It learns from simulated hearts.")
        st.html(f"<div class='e2e-facts'>{' · '.join(_facts(run))}</div>", width="content")
        st.space("stretch")
        with st.popover("Log", icon=":material/article:"):
            text = runs.log_tail(workspace, run)
            st.html(
                f"<pre class='e2e-log'>{escape(text)}</pre>" if text else "<p>Nothing has been logged yet.</p>",
                width=640,
            )
        if run.state in ("queued", "running") and run.job:
            st.button(
                "Stop",
                icon=":material/stop:",
                on_click=asks("stop a job")(jobs.cancel),
                args=(workspace, run.job.job_id),
                help="The last checkpoint is kept; Resume goes on from there.",
            )
        elif run.state in ENDED_BADLY and run.job:
            st.button("Resume", icon=":material/resume:", on_click=resume, args=(workspace, run.name))


@asks("resume a job")
def resume(workspace: Workspace, name: str) -> None:
    """Queue a failed or stopped run again; it goes on from its checkpoint."""
    runs.resume(workspace, name)
    jobs.start_worker(workspace)


def _facts(run: Run) -> list[str]:
    facts = [f"{escape(run.settings.get('preset', ''))} preset"]
    row = run.settings.get("started_at")
    facts += [f"started {date(pd.Timestamp(row).tz_convert(None).to_pydatetime())} UTC"] if row else []
    state = run.folder / "state.pt"
    if state.exists():
        facts.append(f"checkpoint {duration(max(1, time.time() - state.stat().st_mtime))} ago")
    return facts


def _progress(run: Run, metrics: pd.DataFrame, epochs: pd.DataFrame) -> None:
    """Bar, epoch of epochs, time gone and left."""
    planned = _planned_epochs(run, epochs)
    done = float(metrics.epoch.max()) if "epoch" in metrics and len(metrics) else 0.0
    share = min(1.0, done / planned) if planned else 0.0
    left = f"Epoch <b>{math.ceil(done)}</b> of {planned:g} · {observed(share)}"
    if not done or not planned or (run.is_open and share == 1):  # data are prepared, or readouts fitted
        left = escape(run.job.message if run.job and run.state not in ENDED_BADLY else "")  # else told below
    if run.job and (not done or run.is_open and run.job.progress):
        share = run.job.progress  # of the whole work: preparing, epochs, readouts
    right, job = "", run.job
    if run.state == "running" and job:
        gone = f"{duration(time.time() - job.started_at)} gone · " if job.started_at else ""
        left_s = runs.left_s(metrics, float(run.settings.get("readouts_s", 0.0)))
        if metrics.empty and job.started_at and job.progress > 0.02:  # shares follow expected seconds
            left_s = (time.time() - job.started_at) * (1 - job.progress) / job.progress
        right = gone + (f"<b>{duration(left_s)} left</b>" if left_s else "time left not known yet")
    elif len(epochs) and "seconds" in epochs:
        right = f"{duration(float(epochs.seconds.sum()))} in training"
    st.html(
        f"<div class='e2e-bar' role='progressbar' aria-label='Progress' aria-valuenow='{100 * share:.0f}'><i "
        f"style='width:{100 * share:.1f}%'></i></div>"
        f"<div class='e2e-progress'><span>{left}</span><span>{right}</span></div>"
    )


def _curves(run: Run, metrics: pd.DataFrame, epochs: pd.DataFrame) -> list[str]:
    """Loss, recall at 10 where studies are learnt from, learning rate, gradient norm and, where it is learnt,
    temperature."""
    x_max = max(_planned_epochs(run, epochs), 1.0)
    steps = metrics[metrics.kind == "step"]
    series = {key: _series(epochs, steps, key) for key in ("loss", "lr", "grad_norm", "temperature")}
    validation, recall = (_line(epochs, key) for key in ("validation_loss", "recall@10"))
    keys = (
        f"<span><svg class='key s0'><path d='M0 2H18'/></svg> train <b>{_last(series['loss'], 2)}</b> "
        f"<svg class='key s1'><path d='M0 2H18'/></svg> validation <b>{_last(validation, 2)}</b></span>"
    )
    masked = run.settings.get("parameters", {}).get("objective") == "masked"
    figures = [
        _figure(
            "Masked loss" if masked else "Contrastive loss",
            keys,
            [Curve(*series["loss"]), Curve(*validation, series=1)],
            x_max,
            alt=f"Loss: training {_last(series['loss'], 2)}, validation {_last(validation, 2)}",
        )
    ]
    if not masked:  # an ECG alone is not searched with
        figures.append(_recall(epochs, recall, x_max))
    figures += [_learning_rate(series["lr"], x_max), _single("Gradient norm", series["grad_norm"], 2, x_max)]
    if run.settings.get("spec", {}).get("learnable_temperature"):
        figures.append(_single("Temperature", series["temperature"], 3, x_max))
    return figures


def _learning_rate(rates: tuple, x_max: float) -> str:
    """In the power of ten of its largest value, once there is one."""
    exponent = math.floor(math.log10(max([*rates[1], 1e-12])) + 1e-9) if len(rates[1]) else 0
    unit = 10.0**exponent
    shown = number(rates[1][-1] / unit, 1) if len(rates[1]) else "–"
    return _figure(
        f"Learning rate, 10{_superscript(exponent)}" if exponent else "Learning rate",
        f"<b>{shown}</b>",
        [Curve(*rates)],
        x_max,
        height=150,
        from_zero=True,
        unit=unit,
        alt=f"Learning rate, now {shown} times ten to the {exponent}",
    )


def _single(title: str, values: tuple, decimals: int, x_max: float) -> str:
    """One curve from zero up, with its last value."""
    last = _last(values, decimals)
    alt = f"{title}, now {last}"
    return _figure(title, f"<b>{last}</b>", [Curve(*values)], x_max, height=150, from_zero=True, alt=alt)


def _recall(epochs: pd.DataFrame, recall: tuple, x_max: float) -> str:
    """Recall at 10 with the best epoch ringed and the line of chance."""
    chance = min(1.0, 10 / float(epochs.candidates.iloc[-1])) if "candidates" in epochs and len(epochs) else None
    facts, mark = "", None
    if len(recall[1]):
        best = max(range(len(recall[1])), key=lambda i: recall[1][i])
        mark = (recall[0][best], recall[1][best])
        facts = f"<span><b>{number(mark[1], 2)}</b> best, epoch {mark[0]:g}"
        facts += (
            f" · chance {number(chance, 2)}, {counted(int(epochs.candidates.iloc[-1]), 'study', 'studies')}</span>"
            if chance
            else "</span>"
        )
    values = [*recall[1], *([chance] if chance else [])]
    axis = round_axis(values or [0, 1], from_zero=True)
    drawn = curves_svg(
        [Curve(*recall)],
        x_max,
        axis,
        level=chance,
        mark=mark,
        alt=f"Recall at 10 in validation: best {number(mark[1], 2) if mark else 'not known yet'}",
    )
    return f"<figcaption><b>Recall at 10, validation</b>{facts}</figcaption>{drawn}"


def _figure(
    title: str,
    facts: str,
    curves: list[Curve],
    x_max: float,
    *,
    alt: str,
    height: int = 190,
    from_zero: bool = False,
    unit: float = 1.0,
) -> str:
    axis = round_axis([y for curve in curves for y in curve.y], from_zero=from_zero, lines=4 if height > 160 else 3)
    drawn = curves_svg(curves, x_max, axis, alt=alt, height=height, unit=unit)
    return f"<figcaption><b>{title}</b>{facts}</figcaption>{drawn}"


def _machine(workspace: Workspace, metrics: pd.DataFrame) -> None:
    """GPU where there is one, throughput, temperature, free disk, queue."""
    last = metrics.ffill().iloc[-1].to_dict() if len(metrics) else {}
    blocks = []
    if _known(last, "gpu_load"):
        blocks.append(("GPU load", f"<b>{observed(last['gpu_load'])}</b>", last["gpu_load"]))
    if _known(last, "gpu_memory_gb"):
        total = last["gpu_memory_total_gb"]
        blocks.append(
            ("GPU memory", f"<b>{last['gpu_memory_gb']:.0f}</b> of {total:.0f}{THIN}GB", last["gpu_memory_gb"] / total)
        )
    if _known(last, "pairs_per_s"):
        best = metrics.pairs_per_s.max()
        blocks.append(
            ("Throughput", f"<b>{last['pairs_per_s']:,.0f}</b> pairs/s", last["pairs_per_s"] / best if best else 0)
        )
    if _known(last, "temperature"):
        blocks.append(("Temperature", f"<b>{last['temperature']:.3g}</b>", None))
    folder = next(p for p in (workspace.folder, *workspace.folder.parents) if p.exists())
    disk = shutil.disk_usage(folder)
    blocks.append(
        ("Disk free", f"<b>{disk.free / 1e9:,.0f}</b> of {disk.total / 1e9:,.0f}{THIN}GB", disk.free / disk.total)
    )
    blocks.append(("Queue", f"<span class='queue'>{_queue(workspace)}</span>", None))
    st.html(
        "<div class='e2e-machine'>"
        + "".join(
            f"<dl><dt>{name}</dt><dd>{text}{'' if share is None else _thin_bar(share)}</dd></dl>"
            for name, text, share in blocks
        )
        + "</div>"
    )


def _thin_bar(share: float) -> str:
    return f"<div class=e2e-bar style=height:3px><i style=width:{100 * min(1.0, share):.0f}%></i></div>"


def _queue(workspace: Workspace) -> str:
    waiting = [j for j in jobs.jobs(workspace, open_only=True) if j.state == "queued"] if workspace.exists() else []
    if not waiting:
        return "nothing waiting"
    names = ", ".join(
        f"{JOB_NAMES.get(j.kind, j.kind).lower()} ({runs.run_name(j.job_id)})"
        if j.kind == "train"
        else JOB_NAMES.get(j.kind, j.kind).lower()
        for j in reversed(waiting)
    )
    return f"{len(waiting)} waiting: {escape(names)}"


def _planned_epochs(run: Run, epochs: pd.DataFrame) -> float:
    if len(epochs) and "epochs" in epochs:
        return float(epochs.epochs.iloc[-1])
    return float({**run.settings.get("parameters", {}), **run.settings.get("set", {})}.get("epochs", 0) or 0)


def _epochs(metrics: pd.DataFrame) -> pd.DataFrame:
    """The epoch rows, an epoch that was repeated after a resume once."""
    rows = metrics[metrics.kind == "epoch"]
    return rows.drop_duplicates("epoch", keep="last").sort_values("epoch") if "epoch" in rows else rows


def _series(epochs: pd.DataFrame, steps: pd.DataFrame, key: str) -> tuple[list, list]:
    """A curve by epochs; by steps before the second epoch, and for the learning rate, which changes within one."""
    by_epochs = not len(steps) or key != "lr" and len(epochs) >= 2
    return _line(epochs if by_epochs else steps.iloc[:: max(1, len(steps) // MOST_POINTS)], key)


def _line(rows: pd.DataFrame, key: str) -> tuple[list, list]:
    if key not in rows:
        return [], []
    known = rows[rows[key].notna()].sort_values("epoch")
    return known.epoch.tolist(), known[key].astype(float).tolist()


def _last(series: tuple[list, list], decimals: int) -> str:
    return number(series[1][-1], decimals) if len(series[1]) else "–"


def _known(values: dict, key: str) -> bool:
    return key in values and not pd.isna(values[key])


def _superscript(exponent: int) -> str:
    return f"{exponent}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
