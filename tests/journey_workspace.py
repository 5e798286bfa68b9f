"""A workspace for browser tests: simulated hearts with real clips, ECGs and vectors of a real, untrained network.

Everything a page touches is genuine but the numbers: the network's weights are random, its readouts fitted to them.
"""

import dataclasses
from pathlib import Path

import numpy as np

from echo2ecg_core.answers.embed import embed_clips, embed_ecgs, embed_studies
from echo2ecg_core.answers.loaded_model import load_active_model
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.echo.video import encode_mp4
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE

VIEWS = ("A4C", "A2C", "Parasternal_Long", "A3C", "Parasternal_Short", "Subcostal")


def journey_workspace(folder: Path, n_patients: int = 12) -> Workspace:
    """Patients with one ECG and one study of three to six views each, embedded by an untrained demo network."""
    from echo2ecg_core.phantom.ecg import simulate_ecg
    from echo2ecg_core.phantom.echo import render_clip
    from echo2ecg_core.phantom.heart import draw_heart

    workspace = Workspace(folder)
    catalog = Catalog(workspace)
    for i in range(n_patients):
        rng = np.random.default_rng(100 + i)
        heart = draw_heart(rng)
        patient_id, study_id = f"P-{i:04d}", f"S-{i:04d}"
        catalog.add_patient(
            patient_id, split="test", cohort="journey", synthetic=True, sex="female" if i % 2 else "male"
        )
        catalog.add_study(
            study_id,
            patient_id,
            study_date="2026-01-05",
            age_years=40 + i,
            phenotypes=heart.labels(),
            findings=heart.findings(),
        )
        signal = simulate_ecg(heart, rng)
        record = EcgRecord(
            signal, 500.0, "phantom", f"E-{i:04d}", sex="female" if i % 2 else "male", age_years=40.0 + i
        )
        catalog.add_ecg(f"E-{i:04d}", patient_id, record, ecg_time="2026-01-05")
        for view in VIEWS[: 6 if i % 2 == 0 else 3]:
            clip = dataclasses.replace(render_clip(heart, view, rng).to_clip(), view_confidence=0.9)
            catalog.add_clip(
                study_id,
                encode_mp4(clip),
                fps=clip.fps,
                n_frames=clip.n_frames,
                format=clip.format,
                view=clip.view,
                view_confidence=clip.view_confidence,
                spacing_mm=clip.spacing_mm,
                r_wave_times_s=clip.r_wave_times_s,
            )
    registry = ModelRegistry(workspace)
    registry.promote(registry.register(untrained_model(folder / "untrained")).model_id)
    model = load_active_model(workspace)
    embed_ecgs(workspace, model)
    embed_clips(workspace, model)
    embed_studies(workspace, model)
    return workspace


MADE_UP = ("lvef", "lvedv", "ivsd")


def untrained_model(folder: Path) -> Path:
    """A checkpoint of the demo networks with random weights and readouts fitted to made-up labels."""
    import torch
    from safetensors.numpy import save_file

    from echo2ecg_core.answers.loaded_model import LoadedModel
    from echo2ecg_core.models.checkpoint import save_checkpoint
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.models.echo_encoder import clip_encoder_of
    from echo2ecg_core.models.readouts import LabelledVectors, Readouts
    from echo2ecg_core.models.specs import PRESETS

    torch.manual_seed(0)
    spec = PRESETS["demo"]
    echo2ecg, clip_encoder = Echo2ECG(spec).eval(), clip_encoder_of(spec.clip_encoder).eval()
    told = {"name": "untrained", "synthetic": True, "test": {"phenotypes": {n: {"r2": 0.3} for n in MADE_UP}}}
    save_checkpoint(folder, {"echo2ecg": echo2ecg, "clip_encoder": clip_encoder}, spec, told)
    noise = np.random.default_rng(0).normal(size=(400, 1, 12, spec.ecg_input.n_samples)).astype(np.float32)
    made = LoadedModel(None, echo2ecg, clip_encoder, None, spec, None, {}).embed_ecgs(noise.cumsum(-1) * 0.02)
    rng = np.random.default_rng(1)
    labels = {"lvef": rng.normal(58, 9, 400), "lvedv": rng.normal(110, 25, 400), "ivsd": rng.normal(0.9, 0.15, 400)}

    def part(rows: slice) -> LabelledVectors:
        own = {name: values[rows] for name, values in labels.items()}
        return LabelledVectors(made.embedding[rows], made.outside[rows], own, np.arange(400)[rows])

    readouts = Readouts.fit(part(slice(200)), part(slice(200, 400)))
    save_file(readouts.tensors(), folder / READOUTS_FILE)
    return folder
