"""Whether an ECG is good enough to predict from, lead by lead and as a whole, with the reason in words.

Some bad leads make a recording limited: it is shown and predicted with the note. It is unusable when no heartbeat
is found, or when too few limb or chest leads carry a signal for as long as the model's window: the networks read all
twelve, and the chest leads cannot be derived. A recording of more than a minute is judged minute by minute.
"""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from echo2ecg_core.ecg.beats import LOWEST_RATE_HZ, at_working_rate
from echo2ecg_core.ecg.common_beats import CommonBeats, beats_in
from echo2ecg_core.ecg.electrodes import limb_lead_plausibility, misplaced_leads, paced_beats
from echo2ecg_core.ecg.faults import BLOCK_S, Faults, find_faults
from echo2ecg_core.ecg.lead_agreement import apart_in_time, changed_gain, unexpected
from echo2ecg_core.ecg.preprocess import without_offset
from echo2ecg_core.ecg.record import LEADS, EcgRecord

NEEDED_S = 2.5  # one window of the model
NEEDED_LIMB, NEEDED_CHEST = 4, 5  # of six each: one lost arm electrode spoils two of I, II, III; one V lead, one
MISPLACED = 0.5  # confidence from which leads that are not what they are called limit a recording
MINUTE_S = 60.0
NEGLIGIBLE_S = {  # shorter faults leave a lead good; one noisy beat is common
    "missing": 0.5,
    "flat": 0.5,
    "saturated": 0.5,
    "jumping": 0.5,
    "noise": 2.0,
    "disconnected": 0.5,
}
MOST_CLAUSES = 3
PACED = "Pacing spikes precede the complexes; intervals and estimates may not apply."
VERDICTS = ("good", "limited", "unusable")
RULE = (
    f"At least {NEEDED_LIMB} of the 6 limb leads and {NEEDED_CHEST} of the 6 chest leads must carry a signal for "
    f"{NEEDED_S} s."
)


@dataclass(frozen=True)
class LeadQuality:
    """One lead: "good", "limited" (parts are bad) or "unusable", and what is wrong, such as "noise for 6 of 10 s"."""

    verdict: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Minute:
    """One minute of a longer recording: where it begins and ends, its verdict and the reason."""

    start_s: float
    end_s: float
    verdict: str
    reason: str


@dataclass(frozen=True)
class Quality:
    """The quality of a recording.

    Attributes:
        verdict: "good", "limited" (predict with a note) or "unusable" (do not predict).
        reason: Sentences for the person; empty when good.
        leads: Lead name -> LeadQuality.
        notes: Sentences on what is no fault of the signal: pacing spikes, swapped electrodes.
        minutes: Of a recording longer than a minute, each minute; () of a shorter one. Unusable ones are left out of
            the estimate.
        score: 0 to 1, higher is better; ranks recordings, not a probability.
        found: The beats of the first usable minute, for who measures it; None where there are none.
    """

    verdict: str
    reason: str
    leads: dict[str, LeadQuality]
    notes: tuple[str, ...] = ()
    score: float = field(default=0.0)
    minutes: tuple[Minute, ...] = ()
    found: CommonBeats | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict:
        """Returns the quality as JSON holds it."""
        leads = {lead: {"verdict": one.verdict, "reasons": list(one.reasons)} for lead, one in self.leads.items()}
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "leads": leads,
            "notes": list(self.notes),
            "score": round(self.score, 3),
        } | ({"minutes": [asdict(minute) for minute in self.minutes]} if self.minutes else {})


def judge_quality(record: EcgRecord) -> Quality:
    """Returns the quality of a record, of a long one over all its minutes."""
    signal = record.signal_mv
    if record.units != "mV" and signal.size:
        heights = np.ptp(np.where(np.isfinite(signal), signal, 0.0), axis=1)
        signal = signal / max(np.median(heights), 1e-9)  # the usual lead becomes 1 mV high
    return judge_signal(signal, record.sampling_rate_hz)


def judge_signal(signal_mv: np.ndarray, sampling_rate_hz: float) -> Quality:
    """Returns the quality of a signal.

    Args:
        signal_mv: (12, n) millivolts, NaN where nothing was recorded; an offset carries nothing.
        sampling_rate_hz: Its rate.
    """
    level = without_offset(signal_mv)
    length = int(MINUTE_S * sampling_rate_hz)
    if signal_mv.shape[1] <= length:
        return _judge_minute(signal_mv, level, sampling_rate_hz)
    starts = [0, *range(length, signal_mv.shape[1] - int(NEEDED_S * sampling_rate_hz), length)]
    ends = [*starts[1:], signal_mv.shape[1]]
    judged: list[Quality] = []
    for a, b in zip(starts, ends, strict=True):
        one = _judge_minute(signal_mv[:, a:b], level[:, a:b], sampling_rate_hz)
        is_measured = one.verdict != "unusable" and not any(earlier.found for earlier in judged)
        judged.append(one if is_measured else replace(one, found=None))
    minutes = tuple(
        Minute(a / sampling_rate_hz, b / sampling_rate_hz, one.verdict, one.reason)
        for a, b, one in zip(starts, ends, judged, strict=True)
    )
    return _over_minutes(judged, minutes)


def usable_parts(record: EcgRecord, quality: Quality) -> list[EcgRecord]:
    """The stretches of a record that an estimate may use: all of it, or what remains without its unusable minutes."""
    usable = [minute.verdict != "unusable" for minute in quality.minutes]
    if all(usable) or not any(usable):
        return [record]
    parts: list[list[float]] = []
    for minute, is_usable in zip(quality.minutes, usable, strict=True):
        if is_usable and parts and parts[-1][1] == minute.start_s:
            parts[-1][1] = minute.end_s
        elif is_usable:
            parts.append([minute.start_s, minute.end_s])
    rate = record.sampling_rate_hz
    return [replace(record, signal_mv=record.signal_mv[:, round(a * rate) : round(b * rate)]) for a, b in parts]


def _over_minutes(judged: list[Quality], minutes: tuple[Minute, ...]) -> Quality:
    """The quality of a long recording: that of its usable minutes, with the unusable ones named."""
    used = [one for one in judged if one.verdict != "unusable"]
    if not used:
        return replace(judged[0], reason=f"No minute of {len(judged)} is usable. {judged[0].reason}", minutes=minutes)
    leads = {}
    for lead in LEADS:
        worst = max((one.leads[lead] for one in used), key=lambda quality: VERDICTS.index(quality.verdict))
        reasons = dict.fromkeys(reason for one in used for reason in one.leads[lead].reasons)
        leads[lead] = LeadQuality(worst.verdict, tuple(reasons)[:2])
    sentences = [
        f"{_minutes(numbers)} of {len(judged)}: {reason}{' Left out of the estimate.' if verdict == 'unusable' else ''}"
        for (verdict, reason), numbers in _alike(minutes).items()
        if verdict != "good"
    ]
    notes = tuple(dict.fromkeys(note for one in used for note in one.notes))
    verdict = "limited" if sentences else "good"
    score = float(np.mean([one.score for one in judged]))
    found = next((one.found for one in judged if one.found), None)
    return Quality(verdict, " ".join(sentences[:MOST_CLAUSES]), leads, notes, score, minutes, found)


def _alike(minutes: tuple[Minute, ...]) -> dict[tuple[str, str], list[int]]:
    """Numbers of the minutes by verdict and reason, worst verdict first; many reasons of a verdict become its first."""
    found: dict[tuple[str, str], list[int]] = {}
    for verdict in reversed(VERDICTS):
        same = [(number, minute.reason) for number, minute in enumerate(minutes, start=1) if minute.verdict == verdict]
        reasons = list(dict.fromkeys(reason for _, reason in same))
        for number, reason in same:
            found.setdefault((verdict, reason if len(reasons) < MOST_CLAUSES else reasons[0]), []).append(number)
    return found


def _minutes(numbers: list[int]) -> str:
    """Returns "Minute 3", "Minutes 2 to 5" or "Minutes 1, 4 and 5"."""
    if len(numbers) == 1:
        return f"Minute {numbers[0]}"
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"Minutes {numbers[0]} to {numbers[-1]}"
    return f"Minutes {_join([str(number) for number in numbers])}"


def _judge_minute(signal_mv: np.ndarray, level: np.ndarray, sampling_rate_hz: float) -> Quality:
    """The quality of at most about a minute, as recorded and without offsets."""
    duration_s = signal_mv.shape[1] / sampling_rate_hz
    if duration_s < NEEDED_S or sampling_rate_hz < LOWEST_RATE_HZ:
        size = f"lasts {duration_s:.1f} s at {sampling_rate_hz:g} Hz"
        reason = f"The recording {size}; at least {NEEDED_S} s at {LOWEST_RATE_HZ:g} Hz are needed."
        return Quality("unusable", reason, {lead: LeadQuality("unusable", ("too short",)) for lead in LEADS})
    working, rate_hz = at_working_rate(signal_mv, sampling_rate_hz)
    found = beats_in(working, rate_hz)
    faults = find_faults(level.astype(np.float64), sampling_rate_hz, working, found.beats if found else None)
    leads = {lead: _judge_lead(faults, row, duration_s) for row, lead in enumerate(LEADS)}
    plausibility, notes = (1.0, ()) if found is None else _electrodes(found)
    verdict, reason = _judge_whole(leads, found is not None, notes)
    return Quality(verdict, reason, leads, notes, _score(faults, plausibility), found=found)


def _judge_lead(faults: Faults, row: int, duration_s: float) -> LeadQuality:
    whole_s = faults.any.shape[1] * BLOCK_S
    bad_s = {kind: blocks[row].sum() * BLOCK_S for kind, blocks in faults.blocks.items()}
    felt = [kind for kind in bad_s if bad_s[kind] > NEGLIGIBLE_S[kind]]
    worst = sorted(felt, key=bad_s.__getitem__, reverse=True)[:2]
    reasons = [
        kind if bad_s[kind] >= 0.95 * whole_s else f"{kind} for {bad_s[kind]:.0f} of {duration_s:.0f} s"
        for kind in worst
    ]
    if _longest_run(~faults.any[row]) * BLOCK_S < NEEDED_S:
        return LeadQuality("unusable", tuple(reasons) or (f"bad but for less than {NEEDED_S} s",))
    return LeadQuality("limited" if reasons else "good", tuple(reasons))


def _longest_run(mask: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _electrodes(found: CommonBeats) -> tuple[float, tuple[str, ...]]:
    """Returns the plausibility of the leads and notes on electrodes and pacing."""
    beats, waves, notes = found.beats, found.waves, []
    paced = paced_beats(beats)
    if paced:
        notes.append(PACED)
    if told := apart_in_time(found) or changed_gain(beats):  # no swap can be looked for then
        return 0.0, (*notes, told)
    if waves is None or not beats.leads[[*range(6), -1]].all():
        return 1.0, tuple(notes)
    plausibility, swapped = limb_lead_plausibility(beats.median, waves, paced=paced)
    if swapped:  # what chest leads are compared with is wrong then
        notes.append(f"The limb leads look as if the electrodes of {swapped} were swapped.")
    elif told := unexpected(found):
        plausibility, notes = 0.0, [*notes, told]
    elif beats.leads.all():
        confidence, misplaced = misplaced_leads(beats.median, waves, paced=paced)
        if misplaced is not None and confidence >= MISPLACED:
            notes.append(misplaced)
            plausibility = min(plausibility, 1 - confidence)
    return plausibility, tuple(notes)


def _judge_whole(leads: dict[str, LeadQuality], has_beats: bool, notes: tuple[str, ...]) -> tuple[str, str]:
    faults = _describe(leads)
    if not has_beats:
        return "unusable", f"No heartbeat was found. {faults} {RULE}"
    usable = [leads[lead].verdict != "unusable" for lead in LEADS]
    if sum(usable[:6]) < NEEDED_LIMB or sum(usable[6:]) < NEEDED_CHEST:
        return "unusable", f"{faults} {RULE}"
    limiting = [note for note in notes if note != PACED]
    if faults or limiting:
        return "limited", " ".join([faults, *limiting]).strip()
    return "good", ""


def _describe(leads: dict[str, LeadQuality]) -> str:
    """Returns one sentence such as "Lead V3 is flat and V5 is noise for 6 of 10 s."; empty when all leads are good."""
    groups = _group({lead: " and ".join(quality.reasons) for lead, quality in leads.items()})
    if len(groups) > MOST_CLAUSES:  # name only the worst of each lead, without its duration
        groups = _group(
            {lead: quality.reasons[0].split(" for ")[0] for lead, quality in leads.items() if quality.reasons}
        )
    if not groups:
        return ""
    first = next(iter(groups.values()))
    if len(first) == len(leads):
        return f"All {len(leads)} leads are {next(iter(groups))}."
    clauses = [f"{_join(names)} {'is' if len(names) == 1 else 'are'} {reason}" for reason, names in groups.items()]
    return f"{'Lead' if len(first) == 1 else 'Leads'} {_join(clauses)}."


def _group(reasons: dict[str, str]) -> dict[str, list[str]]:
    """Returns reason -> leads, without the leads that have none."""
    groups: dict[str, list[str]] = {}
    for lead, reason in reasons.items():
        if reason:
            groups.setdefault(reason, []).append(lead)
    return groups


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _score(faults: Faults, plausibility: float) -> float:
    """Returns 0 to 1: half from the worst lead and half from the mean, less where limb leads look swapped."""
    broken = faults.blocks["saturated"] | faults.blocks["jumping"]  # spoils what surrounds it, too
    clean = np.clip(1 - faults.any.mean(axis=1) - 2 * broken.mean(axis=1), 0, 1)
    audible = 1 / (1 + 10.0 ** (-faults.snr_db / 5))
    leads = clean * audible
    in_place = 1 / (1 + np.exp(-plausibility / 0.1))
    return float((leads.min() + leads.mean()) / 2 * in_place)
