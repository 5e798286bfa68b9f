"""One echo study as a viewer shows it: clips by their weight, and the patient's ECG to orient by.

The weight is the share of a clip in the study's vector (attention pooling of the active model); without a model the
order is that of the view list. The ECG is lead II of the patient's ECG nearest in time, as recorded; it was not taken
with the clips, so a viewer lays it R wave on R wave and says how many days lie between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.answers.loaded_model import LoadedModel
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.rows import ClipRow, StudyRow
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.store.times import moments
from echo2ecg_core.store.vectors import load_vectors

FLAT_MV = 1e-3
STRIP_HZ = 250.0  # enough for a trace a thousand pixels wide


@dataclass(frozen=True)
class EcgStrip:
    """Lead II of an ECG for a strip under the clips.

    Attributes:
        ecg_id: The ECG.
        days_apart: Days between ECG and study, None where a day is not known.
        samples_mv: (n,) millivolts at `rate_hz`.
        rate_hz: Samples a second.
        r_times_s: Times of at least two R waves in seconds after the first sample.
    """

    ecg_id: str
    days_apart: float | None
    samples_mv: tuple[float, ...]
    rate_hz: float
    r_times_s: tuple[float, ...]


@dataclass(frozen=True)
class StudyView:
    """A study, its clips in the order of showing, their weights (0..1; empty: not known) and its ECG or None;
    `vectors_of` names the clip encoder of every clip that came in as a vector, without a picture to show."""

    study: StudyRow
    clips: tuple[ClipRow, ...]
    weights: dict[str, float]
    ecg: EcgStrip | None
    vectors_of: tuple[str, ...] = ()

    @property
    def no_pictures(self) -> str:
        """What stands in place of a player, "" where there is something to play."""
        if self.clips:
            return ""
        if not self.vectors_of:
            return "No pictures for this study: no clip of it is here."
        n = len(self.vectors_of)
        return f"No pictures for this study: {n} clip{'s' * (n != 1)} of it came in as vectors."


def view_study(study_id: str, workspace: Workspace, model: LoadedModel | None = None) -> StudyView:
    """Everything the player needs of a study.

    Raises:
        StoreError: There is no such study.
    """
    catalog = Catalog(workspace)
    study, known = catalog.study(study_id), catalog.clips_of(study_id)
    clips = [clip for clip in known if clip.has_picture]
    weights = weigh_clips(study_id, workspace, model) if model else {}
    order = {
        view: place
        for place, view in enumerate(("A4C", "A2C", "Parasternal_Long", "A3C", "Parasternal_Short", "Subcostal"))
    }
    clips.sort(key=lambda c: (-weights.get(c.clip_id, 0.0), order.get(c.view or "", len(VIEWS)), c.clip_id))
    vectors_of = tuple(clip.encoder for clip in known if clip.encoder is not None)
    return StudyView(study, tuple(clips), weights, _ecg_of(study, catalog), vectors_of)


def weigh_clips(study_id: str, workspace: Workspace, model: LoadedModel) -> dict[str, float]:
    """Share (0..1) of each clip in its study's vector; empty when they have no vectors yet, the model has no echo side,
    or takes their mean."""
    from echo2ecg_core.answers.embed import clip_encoder_id

    if "study" not in model.spec.parts or model.spec.study.pooling == "mean":
        return {}
    vectors = load_vectors(workspace.vectors, "clip", clip_encoder_id(model))
    ids = [clip.clip_id for clip in Catalog(workspace).clips_of(study_id)]
    if not ids or vectors.missing(ids):
        return {}
    return dict(zip(ids, (float(w) for w in model.view_weights(vectors.rows(ids))), strict=True))


def own_study(record: EcgRecord, workspace: Workspace) -> str | None:
    """The study of an ECG's own patient to lay beside others: the one it is labelled by, else the latest; None where
    this recording is not one of the workspace or its patient has no study."""
    known = snapshot(workspace)
    row = known.ecg_of_recording(record.content_hash)
    if row < 0:
        return None
    labelled_by = known.own_study[row]
    if labelled_by < 0:
        own = np.flatnonzero(known.studies.patient_id == known.ecgs.patient_id.iat[row])
        if not len(own):
            return None
        days = known.study_days[own]
        labelled_by = own[np.argmax(np.where(np.isnat(days), np.datetime64(0, "D"), days))]
    return known.studies.study_id.iat[labelled_by]


def face_to_face(left: Sequence[ClipRow], right: Sequence[ClipRow]) -> list[tuple[ClipRow | None, ClipRow | None]]:
    """Clips of two studies in rows of the same view, in the order of the left one; what has no partner stands alone."""
    rest, rows = list(right), []
    for clip in left:
        partner = next((c for c in rest if c.view is not None and c.view == clip.view), None)
        if partner is not None:
            rest.remove(partner)
        rows.append((clip, partner))
    rows.sort(key=lambda row: row[1] is None)  # stable: rows that compare come first
    return rows + [(None, clip) for clip in rest]


def ecg_strip(record: EcgRecord, r_times_s: Sequence[float], days_apart: float | None = None) -> EcgStrip | None:
    """Lead II of a record, thinned to STRIP_HZ; None with fewer than two R waves or a flat lead.

    Args:
        record: The ECG; its `source` names it.
        r_times_s: Times of its R waves in seconds.
        days_apart: Days between it and the study.
    """
    lead = record.signal_mv[LEADS.index("II")]
    if len(r_times_s) < 2 or not np.isfinite(np.ptp(lead)) or np.ptp(lead) < FLAT_MV:
        return None
    seconds = np.arange(record.n_samples) / record.sampling_rate_hz
    rate = min(STRIP_HZ, record.sampling_rate_hz)
    at = np.arange(0, seconds[-1], 1 / rate)
    samples = np.round(np.interp(at, seconds, lead), 3)
    return EcgStrip(
        record.source, days_apart, tuple(samples.tolist()), rate, tuple(round(float(t), 3) for t in r_times_s)
    )


def _ecg_of(study: StudyRow, catalog: Catalog) -> EcgStrip | None:
    from echo2ecg_core.ecg.measure import measure_ecg

    ecgs = catalog.ecgs()
    own = ecgs[ecgs.patient_id == study.patient_id]
    if own.empty:
        return None
    gap = (moments(own.ecg_time) - moments([study.study_date])[0]).abs()
    known = gap.notna().any()
    nearest = gap.idxmin() if known else own.index[0]
    record = catalog.ecg_record(own.ecg_id[nearest])
    days = gap[nearest].total_seconds() / 86400 if known else None
    return ecg_strip(record, measure_ecg(record).r_times_s, days)
