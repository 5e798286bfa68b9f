"""One echo study as a viewer shows it: clips by their weight, and a beat of the patient's ECG to orient by.

The weight is the share of a clip in the study's vector (attention pooling of the active model); without a model the
order is that of the view list. The beat is not simultaneous with the clips: it is lead II of the patient's ECG nearest
in time, one median beat from R wave to R wave.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.answers.loaded_model import LoadedModel
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.store.catalog import Catalog, ClipRow, StudyRow
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.times import moments
from echo2ecg_core.store.vectors import load_vectors

BEAT_SAMPLES = 160


@dataclass(frozen=True)
class StudyView:
    """A study, its clips in the order of showing, their weights (0..1; empty: not known) and one beat scaled 0..1 or
    None."""

    study: StudyRow
    clips: tuple[ClipRow, ...]
    weights: dict[str, float]
    beat: tuple[float, ...] | None


def view_study(study_id: str, workspace: Workspace, model: LoadedModel | None = None) -> StudyView:
    """Everything the player needs of a study.

    Raises:
        StoreError: There is no such study.
    """
    catalog = Catalog(workspace)
    study, clips = catalog.study(study_id), catalog.clips_of(study_id)
    weights = weigh_clips(study_id, workspace, model) if model else {}
    order = {
        view: place
        for place, view in enumerate(("A4C", "A2C", "Parasternal_Long", "A3C", "Parasternal_Short", "Subcostal"))
    }
    clips.sort(key=lambda c: (-weights.get(c.clip_id, 0.0), order.get(c.view or "", len(VIEWS)), c.clip_id))
    return StudyView(study, tuple(clips), weights, _beat_of(study, catalog))


def weigh_clips(study_id: str, workspace: Workspace, model: LoadedModel) -> dict[str, float]:
    """Share (0..1) of each clip in its study's vector; empty when the clips have no vectors yet or the model no echo
    side."""
    from echo2ecg_core.answers.embed import clip_encoder_id

    if "study" not in model.spec.parts:
        return {}
    vectors = load_vectors(workspace.vectors, "clip", clip_encoder_id(model))
    ids = [clip.clip_id for clip in Catalog(workspace).clips_of(study_id)]
    if not ids or vectors.missing(ids):
        return {}
    return dict(zip(ids, (float(w) for w in model.view_weights(vectors.rows(ids))), strict=True))


def median_beat(record: EcgRecord, r_times_s: tuple[float, ...]) -> tuple[float, ...] | None:
    """One beat of lead II from R wave to R wave: the median over all beats, each stretched to one length.

    Args:
        record: The ECG.
        r_times_s: Times of its R waves in seconds.

    Returns:
        BEAT_SAMPLES values scaled 0..1, or None with fewer than two R waves or a flat lead.
    """
    lead = record.signal_mv[LEADS.index("II")]
    seconds = np.arange(record.n_samples) / record.sampling_rate_hz
    share = np.linspace(0, 1, BEAT_SAMPLES)
    beats = [
        np.interp(start + share * (end - start), seconds, lead)
        for start, end in zip(r_times_s, r_times_s[1:], strict=False)
    ]
    if not beats:
        return None
    beat = np.median(beats, axis=0)
    span = np.ptp(beat)
    if not np.isfinite(span) or span < 1e-6:
        return None
    return tuple(float(v) for v in np.round((beat - beat.min()) / span, 3))


def _beat_of(study: StudyRow, catalog: Catalog) -> tuple[float, ...] | None:
    from echo2ecg_core.ecg.measure import measure_ecg

    ecgs = catalog.ecgs()
    own = ecgs[ecgs.patient_id == study.patient_id]
    if own.empty:
        return None
    gap = (moments(own.ecg_time) - moments([study.study_date])[0]).abs()
    record = catalog.ecg_record(own.ecg_id[gap.idxmin() if gap.notna().any() else own.index[0]])
    return median_beat(record, tuple(measure_ecg(record).r_times_s))
