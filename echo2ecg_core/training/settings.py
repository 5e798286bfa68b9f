"""Presets of a training and what may be set on top, for page and terminal alike; no torch here.

`paper` is the published recipe to the number, on the patients of the workspace. `demo` makes the shipped model: the
recipe scaled down to a CPU, on a phantom cohort that is simulated for it. Both want an ECG encoder to start from
(`start_from`): the paper's was OTiS, the shipped model's was trained by masking.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from echo2ecg_core.ecg.augment_spec import AugmentationSpec
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.specs import PRESETS, ModelSpec
from echo2ecg_core.training.parameters import RunParameters


@dataclass(frozen=True)
class TrainingSettings:
    """One training.

    Attributes:
        preset: Where the settings began: "paper" or "demo".
        spec: The networks.
        run: How they are trained.
        within_days: Largest distance between an ECG and its study.
        start_from: "random", or the id of a model whose weights are the start, as far as the sizes are the same.
        clip_encoder: "active": that of the active model, or where it has none of the newest that has; "new": trained
            first, on the phantom cohort; or the id of a model; or the name of an encoder whose clip vectors came in.
        patients: Size of the phantom cohort; 0: the patients of the workspace.
        whole_patients: The first so many of a phantom cohort are rendered whole (see prepare_phantom.py).
        bodies: In how many other bodies each training patient's ECGs are simulated too.
        cohort_seed: Of the phantom cohort.
        phantom: Its version, 1, 2 or 3.
        cohort: Learn from the ECGs of this cohort of the workspace only, one that came in or a kept one; "": all.
        unlabelled: More ECGs for an objective that reads no echo: cohorts of the workspace, `deepfake:N`
            (unlabelled.py).
    """

    preset: str
    spec: ModelSpec
    run: RunParameters
    within_days: float = 7.0
    start_from: str = "random"
    clip_encoder: str = "active"
    patients: int = 0
    whole_patients: int = 0
    bodies: int = 0
    cohort_seed: int = 0
    phantom: int = 2
    cohort: str = ""
    unlabelled: str = ""


MILD = AugmentationSpec(gain_std=0.1, time_flip_probability=0.0, sign_flip_probability=0.0, jitter_strength=0.3)
TRAINING_PRESETS = {
    "paper": TrainingSettings("paper", PRESETS["base"], RunParameters()),
    "demo": TrainingSettings(
        "demo",
        PRESETS["demo"],
        RunParameters(
            epochs=16,
            warmup_epochs=1.6,
            batch_size=32,
            lr=1e-3,
            weight_decay=0.05,
            layer_decay=1.0,
            epoch_of="patients",
            clip_norm=1.0,
            same_patient_negatives=False,
            augmentation=MILD,
        ),
        patients=2000,
        cohort_seed=2026,
        phantom=2,
    ),
}
PHANTOMS = (1, 2, 3)
RUN_KEYS = tuple(f.name for f in fields(RunParameters) if f.name != "augmentation")
SPEC_KEYS = ("temperature", "learnable_temperature", "pooling", "windows")
OWN_KEYS = (
    "within_days",
    "start_from",
    "clip_encoder",
    "patients",
    "whole_patients",
    "bodies",
    "cohort_seed",
    "phantom",
    "cohort",
    "unlabelled",
)
KEYS = (*RUN_KEYS, *SPEC_KEYS, *OWN_KEYS)


def training_settings(preset: str, overrides: Mapping[str, object] | None = None) -> TrainingSettings:
    """A preset with some values set.

    Args:
        preset: "paper" or "demo".
        overrides: Key of `KEYS` -> value, as text or as what it is.

    Raises:
        Echo2ECGError: no such preset or key, or a value that cannot be.
    """
    if preset not in TRAINING_PRESETS:
        raise Echo2ECGError(
            f"There is no training preset {preset!r}; known: {', '.join(TRAINING_PRESETS)}.", "Choose one of them."
        )
    settings = TRAINING_PRESETS[preset]
    for key, value in (overrides or {}).items():
        settings = _with(settings, key, value)
    if settings.phantom not in PHANTOMS:
        raise Echo2ECGError(
            f"phantom={settings.phantom}: there is no such version of the simulated hearts.",
            f"Choose one of {', '.join(map(str, PHANTOMS))}.",
        )
    if settings.unlabelled and settings.run.objective != "masked":
        raise Echo2ECGError(
            f"unlabelled={settings.unlabelled}: ECGs without labels are learnt from by masking only.",
            "Add objective=masked; an alignment with echo studies may then start from that model (start_from=ID).",
        )
    if settings.unlabelled and not settings.patients:
        raise Echo2ECGError(
            f"unlabelled={settings.unlabelled}: with patients=0 every ECG of the workspace is learnt from already.",
            "Leave it out, or set patients to a simulated cohort that they are added to.",
        )
    return settings


def _with(settings: TrainingSettings, key: str, value: object) -> TrainingSettings:
    if key in RUN_KEYS:
        return replace(settings, run=replace(settings.run, **{key: _typed(key, value, getattr(settings.run, key))}))
    if key in OWN_KEYS:
        return replace(settings, **{key: _typed(key, value, getattr(settings, key))})
    spec = settings.spec
    if key == "pooling":
        return replace(settings, spec=replace(spec, study=replace(spec.study, pooling=str(value))))
    if key == "windows":
        return replace(settings, spec=replace(spec, ecg_input=replace(spec.ecg_input, windows=str(value))))
    if key in SPEC_KEYS:
        return replace(settings, spec=replace(spec, **{key: _typed(key, value, getattr(spec, key))}))
    raise Echo2ECGError(f"There is nothing called {key!r} to set.", f"Settable: {', '.join(KEYS)}.")


def _typed(key: str, value: object, present: object):
    """`value` as the kind of thing that `present` is."""
    text = str(value).strip()
    try:
        if key == "clip_norm":
            return None if text.lower() in ("none", "") else float(text)
        if isinstance(present, bool):
            return {
                "true": True,
                "1": True,
                "yes": True,
                "on": True,
                "false": False,
                "0": False,
                "no": False,
                "off": False,
            }[text.lower()]
        if isinstance(present, int) and not isinstance(present, bool) and key != "warmup_epochs":
            return int(text)
        return float(text) if isinstance(present, float | int) else text
    except (ValueError, KeyError) as error:
        kind = (
            "true or false"
            if isinstance(present, bool)
            else "a whole number"
            if isinstance(present, int)
            else "a number"
        )
        raise Echo2ECGError(f"{key} has to be {kind}; found {text!r}.", f"For example {key}={present}.") from error
