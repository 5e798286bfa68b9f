"""The equations of the limb leads as a judge: order found, scales undone, contradictions told beside the estimate."""

import io
import itertools
import re
import warnings

import numpy as np
import pytest

from echo2ecg_core.ecg import limb_leads, stored_samples
from echo2ecg_core.ecg.channels import Channels, twelve_lead_record
from echo2ecg_core.ecg.quality import judge_quality
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import SignalError

RATE_HZ = 500


def heart(seed=0, noise_mv=0.004):
    """(12, 5000) mV: a vector that turns in the frontal plane, so that no two limb leads are alike."""
    rng = np.random.default_rng(seed)
    phase_s = np.arange(5000) / RATE_HZ % 0.8

    def wave(centre_s, width_s):
        return np.exp(-0.5 * ((phase_s - centre_s) / width_s) ** 2)

    x = 0.8 * wave(0.3, 0.012) - 0.2 * wave(0.33, 0.012) + 0.2 * wave(0.55, 0.04) + 0.08 * wave(0.14, 0.02)
    y = 0.5 * wave(0.305, 0.012) + 0.3 * wave(0.32, 0.01) + 0.15 * wave(0.56, 0.04) + 0.1 * wave(0.15, 0.02)
    one, two = x, x / 2 + y * np.sqrt(3) / 2
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    shares = zip(np.linspace(-0.5, 1.2, 6), np.linspace(1, 0, 6), strict=True)
    chest = [a * x + b * y - 0.2 * wave(0.33, 0.02) for a, b in shares]
    return np.stack(limb + chest) + noise_mv * rng.standard_normal((12, 5000))


def as_table(signal, names=(), scale=1.0):
    lines = [",".join(names)] if names else []
    return "\n".join(lines + [",".join(f"{v * scale:.4f}" for v in row) for row in signal.T]).encode()


PLACES = {
    "limb then chest": [*range(6), *range(6, 12)],
    "chest then limb": [*range(6, 12), *range(6)],
    "eight leads first": [0, 1, *range(6, 12), 2, 3, 4, 5],
    "augmented first": [3, 4, 5, 0, 1, 2, *range(6, 12)],
}


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_table_without_names_is_read_in_the_order_in_which_the_equations_hold(place):
    truth = heart()
    for augmented in itertools.permutations((3, 4, 5)):
        exchanged = [augmented[row - 3] if row in (3, 4, 5) else row for row in PLACES[place]]
        record = read_ecg(as_table(truth[exchanged]), sampling_rate_hz=RATE_HZ)
        assert np.abs(record.signal_mv - truth).max() < 1e-3, exchanged
        assert record.doubts == ()
        standard = exchanged == list(range(12))
        assert any("equations of the limb leads" in note for note in record.notes) is not standard


@pytest.mark.parametrize("place", [list(range(12))[::-1], [6, 0, 7, 1, 8, 2, 9, 3, 10, 4, 11, 5]])
def test_limb_leads_in_an_unusual_order_leave_that_of_the_chest_leads_in_doubt(place):
    record = read_ecg(as_table(heart()[place]), sampling_rate_hz=RATE_HZ)
    assert np.abs(record.signal_mv[:6] - heart()[:6]).max() < 1e-3
    assert any("so the chest leads may, too" in doubt for doubt in record.doubts)


@pytest.mark.parametrize("two", [(0, 2), (1, 2), (3, 5), (4, 2)])
def test_any_two_limb_leads_tell_the_others(two):
    truth = heart(noise_mv=0.0)
    rows = [*two, *range(6, 12)]
    record = read_ecg(as_table(truth[rows], [LEADS[row] for row in rows]), sampling_rate_hz=RATE_HZ)
    assert np.abs(record.signal_mv - truth).max() < 1e-3
    assert f"derived from leads {LEADS[min(two)]} and {LEADS[max(two)]}." in " ".join(record.notes)


@pytest.mark.parametrize(
    ("row", "samples"), [(0, slice(0, 0)), (0, slice(None, None, 500)), (5, slice(None))],
    ids=["nothing", "a sample each second", "a lead"],
)  # fmt: skip
def test_missing_samples_keep_no_misnamed_lead_from_being_found(row, samples):
    signal = heart()
    signal[row, samples] = np.nan
    assert not read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ).doubts
    names = ["I", "III", "II", *LEADS[3:]]
    assert "limb leads" in " ".join(read_ecg(as_table(signal, names), sampling_rate_hz=RATE_HZ).doubts)


def test_leads_of_one_wave_of_which_two_are_rescaled_are_not_said_to_be_scaled_one_by_one_but_to_contradict():
    wave = heart()[0]
    signal = np.stack([share * wave for share in (0.7, 1.0, 0.3, -0.85, 0.2, 0.65, *np.linspace(0.25, 1.35, 6))])
    assert not read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ).doubts
    signal[0] *= 4
    (doubt,) = read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ).doubts
    assert "Lead I is 4 times" in doubt
    signal[4] *= 3
    (doubt,) = read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ).doubts
    assert "contradict each other" in doubt and "A lead may be" in doubt


@pytest.mark.parametrize("copies", [(6, 7), (6, 7, 8, 9, 10, 11), (1, 11)])
def test_chest_leads_that_are_copies_of_another_lead_are_a_doubt(copies):
    signal = heart()
    signal[list(copies)] = signal[copies[0]]
    (doubt,) = read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ).doubts
    assert "very same samples" in doubt and all(LEADS[row] in doubt for row in copies)
    signal[list(copies)] += 1e-3 * np.arange(len(copies))[:, None] * signal[0]
    assert not read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ).doubts


def test_a_recording_that_was_filled_up_with_itself_is_told_and_drawn_beats_are_not():
    signal = heart() + 0.005 * np.random.default_rng(3).standard_normal(heart().shape)
    signal[2:6] = (
        signal[1] - signal[0],
        -(signal[0] + signal[1]) / 2,
        signal[0] - signal[1] / 2,
        signal[1] - signal[0] / 2,
    )
    piece, rest = signal[:, : int(2.6 * RATE_HZ)], signal[:, : int(0.8 * RATE_HZ)]
    filled = np.hstack([piece, piece, piece, rest])
    (doubt,) = read_ecg(as_table(filled, LEADS), sampling_rate_hz=RATE_HZ).doubts
    assert doubt.startswith("What is stored from 2.6 to 8.6 s is a copy of what is stored from 0 to 6 s")
    still = np.hstack([signal, np.zeros((12, 4 * RATE_HZ))])
    for other in (signal, still, heart()):
        assert not read_ecg(as_table(other, LEADS), sampling_rate_hz=RATE_HZ).doubts


def test_copies_are_found_whatever_the_bits_of_a_missing_sample_or_of_a_zero():
    signal = heart()
    signal[6, :3], signal[6, 5] = np.nan, 0.0
    signal[7] = signal[6]
    signal[7, :3], signal[7, 5] = -np.float64(np.nan), -0.0
    assert signal[6].tobytes() != signal[7].tobytes()
    (doubt,) = stored_samples.copies(signal)
    assert doubt.startswith("V1 and V2 hold the very same samples")
    signal[7, 3] = np.nan
    assert stored_samples.copies(signal) == []


@pytest.mark.parametrize(("unit", "scale"), [("mV", 1000.0), ("V", 1.0), ("mV", 200.0), ("µV", 1.0)])
def test_a_unit_that_makes_no_ecg_of_the_values_is_a_doubt(unit, scale):
    names = [f"{lead} ({unit})" for lead in LEADS]
    record = read_ecg(as_table(heart(), names, scale), sampling_rate_hz=RATE_HZ)
    assert any("as no ECG is" in doubt for doubt in record.doubts)
    assert not any("as no ECG is" in doubt for doubt in read_ecg(as_table(heart(), LEADS), sampling_rate_hz=500).doubts)


def test_an_ecg_lower_or_higher_than_nearly_all_in_the_unit_that_is_told_is_a_doubt():
    names = [f"{lead} (mV)" for lead in LEADS]
    for scale in (0.1, 6.0):
        doubts = read_ecg(
            as_table(heart() / np.ptp(heart(), axis=1).mean(), names, scale), sampling_rate_hz=RATE_HZ
        ).doubts
        assert any("the unit or gain that the file tells may be wrong" in doubt for doubt in doubts)


@pytest.mark.parametrize("scaled", [lambda x: x / np.abs(x).max(), lambda x: (x - x.min()) / np.ptp(x)])
def test_values_that_end_at_exactly_one_may_have_been_scaled_to_it(scaled):
    record = read_ecg(as_table(scaled(heart()), LEADS), sampling_rate_hz=RATE_HZ)
    assert any("scaled to it" in doubt for doubt in record.doubts)


def test_the_cabrera_sequence_with_its_inverted_avr_is_read():
    truth = heart()
    cabrera = np.concatenate([truth[[4, 0]], -truth[3:4], truth[[1, 5, 2]], truth[6:]])
    record = read_ecg(as_table(cabrera), sampling_rate_hz=RATE_HZ)
    assert np.abs(record.signal_mv - truth).max() < 1e-3
    assert any("aVL, I, aVR, II, aVF, III" in note and "upside down" in note for note in record.notes)


def test_an_offset_or_a_damaged_second_does_not_hide_the_order():
    signal = heart()[PLACES["eight leads first"]] + np.arange(12)[:, None]
    signal[9, 1000:1500] += 3 * np.random.default_rng(1).standard_normal(500)
    order = limb_leads.best_order(signal, RATE_HZ)
    assert order.columns == (0, 1, 8, 9, 10, 11) and not order.negative_avr


def test_an_order_that_nothing_confirms_is_a_doubt():
    rng = np.random.default_rng(3)
    unrelated = heart() + 0.5 * rng.standard_normal((12, 5000))
    record = read_ecg(as_table(unrelated), sampling_rate_hz=RATE_HZ)
    assert any("hold in no order" in doubt for doubt in record.doubts)
    eight = read_ecg(as_table(heart()[[0, 1, *range(6, 12)]]), sampling_rate_hz=RATE_HZ)
    assert any("I, II, V1, V2, V3, V4, V5, V6" in doubt for doubt in eight.doubts)


def test_named_leads_keep_their_names_and_the_misfit_is_told_with_the_names_that_would_fit():
    swapped = heart()[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
    record = read_ecg(as_table(swapped, LEADS), sampling_rate_hz=RATE_HZ)
    assert np.abs(record.signal_mv - swapped).max() < 1e-3
    (doubt,) = record.doubts
    assert "aVL differs from I − II/2" in doubt and "if I, II, III, aVR, aVF, aVL were" in doubt


def test_leads_scaled_one_by_one_are_called_so_and_have_no_voltage():
    signal = heart()
    own = signal / np.ptp(signal, axis=1, keepdims=True)
    record = read_ecg(as_table(own, LEADS), sampling_rate_hz=RATE_HZ)
    assert record.units == "normalised"
    assert "not comparable between leads" in record.doubts[0] and "no voltage" in record.doubts[0]


@pytest.mark.parametrize("height_uv", [400, 1500])
def test_gains_that_scale_each_lead_by_itself_are_undone_where_the_counts_fit_each_other(height_uv):
    microvolts = np.round(heart(noise_mv=0.001) * height_uv)
    gains = np.ptp(microvolts, axis=1)
    header = Channels(LEADS, microvolts / gains[:, None], RATE_HZ, "WFDB", counts_per_mv=list(gains))
    record = twelve_lead_record(header, "record")
    assert np.abs(record.signal_mv - microvolts / 1000).max() < 1e-6
    assert record.doubts == () and "each lead by itself" in record.notes[0]


def test_one_gain_that_differs_from_the_others_leaves_these_as_the_header_has_them():
    counts = np.round(heart(noise_mv=0.001) * 200)
    gains = np.full(12, 200.0)
    gains[2] = 400.0
    header = Channels(LEADS, counts / gains[:, None], RATE_HZ, "WFDB", counts_per_mv=list(gains))
    record = twelve_lead_record(header, "record")
    assert np.abs(record.signal_mv - counts / 200).max() < 0.01
    assert record.doubts[0].startswith("Lead III is 0.5 times")


def test_a_contradiction_that_nothing_explains_is_told():
    signal = heart()
    signal[2] = 0.4 * np.random.default_rng(5).standard_normal(5000)
    record = read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ)
    assert record.doubts[0].startswith("The limb leads contradict each other: III differs from II − I by")


def with_lead(row, samples, rows=range(12)):
    """The record of a heart's leads, as they are named, with one of them changed."""
    signal = heart()
    signal[row] = samples
    rows = list(rows)
    return twelve_lead_record(Channels([LEADS[i] for i in rows], signal[rows], RATE_HZ, "CSV"), "a")


@pytest.mark.parametrize("factor", [0.1, 0.8, 10.0, -0.5])
@pytest.mark.parametrize("row", range(6))
def test_one_limb_lead_of_another_scale_is_named_and_brought_to_the_scale_of_the_others(row, factor):
    record = with_lead(row, factor * heart()[row])
    assert record.units == "mV" and np.abs(record.signal_mv - heart()).max() < 0.02
    (doubt,) = record.doubts
    lead, told = re.match(r"Lead (\w+) is (\S+) times what the other limb leads say", doubt).groups()
    assert lead == LEADS[row] and float(told) == pytest.approx(factor, rel=0.01) and "a chest lead" in doubt


@pytest.mark.parametrize("row", [0, 1, 2, 4, 5])
def test_any_limb_lead_that_is_upside_down_is_turned_and_told(row):
    record = with_lead(row, -heart()[row])
    assert np.abs(record.signal_mv - heart()).max() < 1e-6
    assert record.doubts[0].startswith(f"Lead {LEADS[row]} is stored upside down")


@pytest.mark.parametrize("row", range(6))
def test_the_one_limb_lead_that_is_another_signal_is_named(row):
    (doubt,) = with_lead(row, 0.4 * np.random.default_rng(5).standard_normal(5000)).doubts
    assert doubt.endswith(f"so lead {LEADS[row]} may be misnamed, damaged or rescaled.")


def test_no_lead_is_named_where_the_others_do_not_check_each_other():
    """Leads computed from I and II agree with them whatever these are; of three leads any may be the odd one."""
    (doubt,) = with_lead(0, 0.5 * heart()[0], [0, 1, 2, *range(6, 12)]).doubts
    assert "A lead may be" in doubt or "Every lead is scaled" in doubt
    record = with_lead(0, 0.5 * heart()[0], [0, 1, 2, 4, *range(6, 12)])
    assert re.match(r"Lead I is 0\.(5|50\d|49\d) times", record.doubts[0])
    assert np.abs(record.signal_mv - heart()).max() < 0.03


def test_two_limb_leads_of_other_scales_are_not_blamed_on_one():
    signal = heart()
    signal[[2, 4]] *= [[0.5], [3.0]]
    record = read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ)
    assert "not comparable between leads" in record.doubts[0] and record.units == "normalised"


def test_an_inverted_avr_is_turned():
    signal = heart()
    signal[3] *= -1
    record = read_ecg(as_table(signal, LEADS), sampling_rate_hz=RATE_HZ)
    assert np.abs(record.signal_mv[3] - heart()[3]).max() < 1e-3 and record.doubts == ()


def test_flat_limb_leads_are_no_contradiction():
    signal = heart()
    signal[[0, 2]] = 0
    assert limb_leads.misfits(signal, RATE_HZ) == {}
    assert (
        limb_leads.misfits(np.zeros((12, 5000)), RATE_HZ) == {}
        and limb_leads.best_order(np.zeros((12, 5000)), 500) is None
    )


@pytest.mark.slow
def test_every_ludb_record_reads_in_true_microvolts(samples):
    """All headers scale each lead to 1.0 mV peak to peak; the stored 16-bit counts are microvolts."""
    headers = sorted((samples / "ecg" / "ludb_labelled").glob("*.hea"))
    assert len(headers) > 50
    for path in headers:
        counts = np.frombuffer(path.with_suffix(".dat").read_bytes(), "<i2").reshape(-1, 12).T
        record = read_ecg(path)
        heights = np.ptp(record.signal_mv, axis=1)
        assert np.abs(heights - np.ptp(counts.astype(float), axis=1) / 1000).max() < 1e-3, path.stem
        assert record.doubts == () and max(limb_leads.misfits(record.signal_mv, 500).values()) < 0.05


@pytest.mark.slow
def test_the_real_tables_of_cinc_2011_have_avf_before_avl(samples):
    """Column 5 is aVF and column 6 aVL in set-a, whatever is written about it: the equations say so."""
    read = found = 0
    for path in sorted((samples / "ecg" / "txt_cinc2011").glob("*.txt")):
        try:
            record = read_ecg(path, sampling_rate_hz=500)
        except Exception as error:
            assert "flat" in str(error)
            continue
        read += 1
        found += any("aVR, aVF, aVL, V1" in note for note in record.notes)
        assert max(limb_leads.misfits(record.signal_mv, 500).values()) < 0.05
    assert read >= 9 and found == read


def damaged(how) -> np.ndarray:
    signal = heart()
    with np.errstate(all="ignore"):
        how(signal)
    return signal


DAMAGE = {
    "a lead of infinities": lambda x: x.__setitem__(1, np.inf),
    "infinities of both signs": lambda x: x.__setitem__((slice(0, 2), slice(0, None, 7)), [[np.inf], [-np.inf]]),
    "a lead beyond any number": lambda x: x.__setitem__(0, 1e300),
    "all beyond any number": lambda x: x.__imul__(1e308),
    "one sample": lambda x: x.__setitem__((slice(None), slice(1, None)), np.nan),
    "gaps everywhere": lambda x: x.__setitem__((slice(None), slice(0, None, 2)), np.nan),
}


@pytest.mark.parametrize("how", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("rows", [list(range(12)), [0, 1, *range(6, 12)]], ids=["twelve", "eight"])
def test_damaged_samples_bring_no_warning_of_a_library_to_the_terminal(how, rows):
    array = io.BytesIO()
    np.save(array, damaged(how)[rows])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for unit in (None, "mV"):
            try:
                record = read_ecg(array.getvalue(), sampling_rate_hz=RATE_HZ, unit=unit)
            except SignalError:
                continue
            judge_quality(record)


@pytest.mark.parametrize("share", [0.1, 0.7, 0.95])
def test_a_lost_sample_that_shifts_the_leads_from_there_on_is_told_wherever_it_is(share):
    frames = heart().T.ravel()
    at = int(share * 5000) * 12 + 3
    shifted = np.concatenate([frames[:at], frames[at + 1 :], frames[-1:]]).reshape(-1, 12).T
    record = twelve_lead_record(Channels(LEADS, shifted, RATE_HZ, "x"), "x")
    assert any("limb leads" in doubt for doubt in record.doubts)


def test_leads_that_rest_or_are_missing_for_a_while_contradict_nothing():
    for written in (np.nan, 0.0):
        signal = heart()
        signal[2, 1000:3000], signal[5, 4000:] = written, written
        signal[:, 3000:3500] = written
        assert limb_leads.broken_for_a_while(signal, RATE_HZ) == []
    exchanged = heart()
    exchanged[:2, 4000:] = exchanged[1::-1, 4000:]
    assert "Between 8 and 10 s" in limb_leads.broken_for_a_while(exchanged, RATE_HZ)[0]
