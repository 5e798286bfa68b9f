"""What the page shows beside an estimate stands in the terminal's text and in the table, too."""

from echo2ecg_core.answers.predict import ecg_facts
from echo2ecg_core.answers.predict_files import as_row
from echo2ecg_core.ecg.measure import EcgMeasurements, measure_signal
from echo2ecg_core.ecg.quality import judge_quality
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.terminal import measured_words, told_beside
from tests.ecg.test_limb_leads import as_table, heart


def report():
    """Of a file that names its leads wrongly and no unit, with a flat V3; nothing is predicted."""
    signal = heart()[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
    signal[8] = 0
    record = read_ecg(as_table(signal, LEADS, scale=250).replace(b".0000", b""), name="x.csv", sampling_rate_hz=500)
    return {"ecg": ecg_facts(record), "quality": judge_quality(record).as_dict()}


def test_the_terminal_tells_quality_doubts_and_reading_notes():
    said = told_beside(report())
    assert said[0].startswith("Signal quality limited. Lead V3 is flat")
    assert any(line.startswith("Not settled: The limb leads do not fit their names") for line in said)
    assert any(line.startswith("Read: ") for line in said)


def test_pacing_is_told_although_the_quality_is_good():
    good = report() | {"quality": {"verdict": "good", "reason": "", "notes": ["Pacing spikes precede the complexes."]}}
    assert told_beside(good)[0] == "Pacing spikes precede the complexes."


def test_the_table_has_a_column_for_each():
    row = as_row(report())
    assert row["quality"] == "limited" and "V3" in row["quality_reason"]
    assert "do not fit their names" in row["not_settled"] and "names no unit" in row["reading_notes"]
    assert row["quality_notes"] == ""


def test_rate_and_intervals_are_told_with_those_of_low_confidence_marked():
    measured = measure_signal(heart(), 500).as_dict()
    measured["confidence"] |= {"heart_rate_bpm": 0.9, "qrs_ms": 0.3, "axis_deg": 0.9}
    words = measured_words(measured)
    assert f"Rate {measured['heart_rate_bpm']:.0f} bpm," in words and f"QRS {measured['qrs_ms']:.0f} ms (?)" in words
    assert words.endswith("(?) measured with low confidence")
    assert "qrs_ms" in as_row(report() | {"measurements": measured})["low_confidence"].split()
    assert measured_words(EcgMeasurements().as_dict()) == "" and as_row(report())["low_confidence"] is None
