"""What a device's file leaves open or tells in two ways: settled by its data, asked, told by the person, or a doubt."""

import numpy as np
import pytest

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import ReadError, SamplingRateNeeded, SignalError
from tests.ecg import device_files as files
from tests.ecg.philips_files import philips_103, philips_104

CHANNELS = [f"CH{number}" for number in range(12)]
IN_ORDER = ",".join(LEADS)
HEART = files.heart_uv()
COUNTS = HEART / 4.88


def is_the_heart(record, counts_of_uv: float = 0.0) -> None:
    """Whether a record is the heart in mV, as exactly as counts of a size are."""
    np.testing.assert_allclose(record.signal_mv, files.heart_uv() / 1000, atol=2e-5 + counts_of_uv / 1000)
    assert record.sampling_rate_hz == files.RATE


COMPLETE = {
    "DICOM": files.dicom(files.dicom_group()), "EDF": files.edf(), "MUSE": files.muse(),
    "aECG": files.aecg(files.series()), "CardioSoft": files.cardiosoft(), "Philips": files.philips(),
    "SCP": files.scp(), "WFDB": files.wfdb_files(),
}  # fmt: skip


@pytest.mark.parametrize("content", COMPLETE.values(), ids=COMPLETE)
def test_what_a_person_tells_against_the_file_is_refused_in_words(content):
    record = read_ecg(content, sampling_rate_hz=250, unit="V", lead_order="II,I,III,aVR,aVL,aVF,V1-V6")
    is_the_heart(record)
    for what in ("sampling rate (500 Hz) was used, not the given 250 Hz", "unit was used", "lead order was used"):
        assert any(f"The file's own {what}" in note for note in record.notes)


WITHOUT_NAMES = {
    "DICOM": files.dicom(files.dicom_group(names=CHANNELS)), "EDF": files.edf(labels=CHANNELS),
    "MUSE": files.muse(names=CHANNELS), "CardioSoft": files.cardiosoft(names=CHANNELS),
    "Philips": files.philips(leads=""), "WFDB": files.wfdb_files(CHANNELS),
    "WFDB, nothing": files.wfdb_files([""] * 12),
}  # fmt: skip


@pytest.mark.parametrize("content", WITHOUT_NAMES.values(), ids=WITHOUT_NAMES)
def test_a_file_without_names_of_leads_takes_the_order_of_the_person(content):
    with pytest.raises(SignalError, match=r"no standard ECG lead.*give their order"):
        read_ecg(content)
    record = read_ecg(content, lead_order=IN_ORDER)
    is_the_heart(record)
    assert not record.doubts and not any("lead order" in note for note in record.notes)
    with pytest.raises(SignalError, match="The given order names 8 leads"):
        read_ecg(content, lead_order="I,II,V1-V6")


LONG_NAMES = [f"Abl. {lead}" for lead in LEADS]
BY_LAST_WORD = {
    "DICOM": files.dicom(files.dicom_group(names=LONG_NAMES)), "EDF": files.edf(labels=LONG_NAMES),
    "MUSE": files.muse(names=LONG_NAMES), "CardioSoft": files.cardiosoft(names=LONG_NAMES),
    "WFDB": files.wfdb_files(LONG_NAMES),
}  # fmt: skip


@pytest.mark.parametrize("content", BY_LAST_WORD.values(), ids=BY_LAST_WORD)
def test_a_lead_is_known_by_the_last_word_of_its_channel(content):
    record = read_ecg(content)
    is_the_heart(record)
    assert not record.notes


WITHOUT_RATE = {
    "DICOM": files.dicom(files.dicom_group(rate="0")), "MUSE": files.muse(base=""),
    "CardioSoft": files.cardiosoft(rate=""),
    "aECG": files.aecg(files.series(step="")), "Philips": files.philips(rate=""), "WFDB": files.wfdb_files(rate=""),
    "EDF": files.edf(record_s=""),
}  # fmt: skip
OF_ZERO = {
    "DICOM": files.dicom(files.dicom_group(rate="0.0")), "MUSE": files.muse(base="0"),
    "CardioSoft": files.cardiosoft(rate="<SampleRate>0</SampleRate>"),
    "aECG": files.aecg(files.series(step='value="0" unit="s"')),
    "Philips": files.philips(rate="<samplingrate>0.0</samplingrate>"),
    "Philips, an attribute": files.philips(rate="").replace(b"dataencoding", b'samplespersecond="0" dataencoding'),
    "WFDB": files.wfdb_files(rate=" 0 2500"), "EDF": files.edf(record_s=0), "SCP": files.scp(interval_us=0),
}  # fmt: skip
OF_NO_ECG = {
    "DICOM": files.dicom(files.dicom_group(rate="5")), "MUSE": files.muse(base="5"),
    "CardioSoft": files.cardiosoft(rate="<SampleRate>5</SampleRate>"),
    "aECG": files.aecg(files.series(step='value="200" unit="ms"')),
    "Philips": files.philips(rate="<samplingrate>5</samplingrate>"),
    "WFDB": files.wfdb_files(rate=" 5 2500"), "EDF": files.edf(record_s=100),
    "table": b"time (s)," + ",".join(LEADS).encode() + b"\n" + b"\n".join(
        f"{n / 5:.1f},{','.join(f'{value / 1000:.4f}' for value in row)}".encode()
        for n, row in enumerate(files.heart_uv().T)),
}  # fmt: skip


@pytest.mark.parametrize(
    "content", [*WITHOUT_RATE.values(), *OF_ZERO.values()], ids=[*WITHOUT_RATE, *(f"{name} of 0" for name in OF_ZERO)]
)
def test_a_file_without_a_rate_asks_for_it_and_takes_that_of_the_person(content):
    with pytest.raises(SamplingRateNeeded, match="does not say its sampling rate"):
        read_ecg(content)
    record = read_ecg(content, sampling_rate_hz=500)
    is_the_heart(record)
    assert not record.doubts
    record = read_ecg(content, sampling_rate_hz=499.5)
    assert record.sampling_rate_hz == 499.5 and record.n_samples == files.N
    assert not any("was used" in note for note in record.notes)


@pytest.mark.parametrize("content", OF_NO_ECG.values(), ids=OF_NO_ECG)
def test_a_rate_at_which_no_ecg_is_recorded_is_asked_for_and_that_of_the_person_taken_with_a_note(content):
    with pytest.raises(SamplingRateNeeded, match="tells a sampling rate of 5 Hz; that of an ECG lies between 50 and"):
        read_ecg(content)
    record = read_ecg(content, sampling_rate_hz=500)
    is_the_heart(record)
    assert any("The file tells a rate of 5 Hz, which none of an ECG is" in note for note in record.notes)


WITHOUT_UNIT = {
    "DICOM": files.dicom(files.dicom_group(COUNTS, sensitivity=None)), "EDF": files.edf(COUNTS, unit=""),
    "MUSE": files.muse(COUNTS, per_bit=""), "aECG": files.aecg(files.series(COUNTS, scale='unit="uV"')),
    "DICOM of zero": files.dicom(files.dicom_group(COUNTS, sensitivity="0")),
}  # fmt: skip


@pytest.mark.parametrize("content", WITHOUT_UNIT.values(), ids=WITHOUT_UNIT)
def test_counts_of_an_unknown_size_are_a_doubt_or_of_the_size_that_the_person_tells(content):
    assert any("names no unit" in doubt for doubt in read_ecg(content).doubts)
    record = read_ecg(content, unit="4.88 uV")
    is_the_heart(record, 4.88)
    assert not record.doubts


@pytest.mark.parametrize("size_uv", [0.25, 0.4])
def test_counts_that_are_higher_as_microvolts_than_nearly_all_ecgs_are_a_doubt(size_uv):
    record = read_ecg(files.muse(HEART / size_uv, per_bit=""))
    assert any("names no unit" in doubt for doubt in record.doubts)
    assert not read_ecg(files.muse(HEART, per_bit="")).doubts


def test_counts_without_a_gain_are_of_the_size_that_the_person_tells():
    content = files.wfdb_files(gain="0", counts=COUNTS)
    assert "200 counts per mV" in read_ecg(content).doubts[0] and "200 counts" in read_ecg(content, unit="mV").doubts[0]
    record = read_ecg(content, unit="4.88uV")
    is_the_heart(record, 4.88)
    assert not record.doubts


@pytest.mark.parametrize(
    "content",
    [files.edf(files.heart_uv() * 5, unit="", physical=(-6.5536, 6.5534)), files.muse(COUNTS, unit="", per_bit="4.88"),
     files.aecg(files.series(COUNTS, scale='value="4.88"'))],
    ids=["EDF in mV", "MUSE", "aECG"],
)  # fmt: skip
def test_a_scale_without_a_unit_is_used_and_its_unit_settled_by_the_amplitude(content):
    record = read_ecg(content)
    is_the_heart(record, 4.88)
    assert any("names no unit" in note for note in record.notes) and not record.doubts


def named_twice():
    group = files.dicom_group()
    for channel, label in zip(group.ChannelDefinitionSequence, (LEADS[1], LEADS[0], *LEADS[2:]), strict=True):
        channel.ChannelLabel = label
    return group


def skewed(keyword: str, step: str):
    group = files.dicom_group()
    setattr(group.ChannelDefinitionSequence[11], keyword, step)
    return group


def one_without_size():
    group = files.dicom_group()
    del group.ChannelDefinitionSequence[8].ChannelSensitivity
    return group


def two_units():
    group = files.dicom_group()
    group.ChannelDefinitionSequence[0].ChannelSensitivityUnitsSequence[0].CodeMeaning = "millivolt"
    return group


V1_AGAIN = {"names": [*LEADS, "V1"], "counts": np.vstack([HEART, HEART[8]])}
OPEN = {
    "channels under two names": (files.dicom(named_twice()), "(the first as I and II)"),
    "time skew": (files.dicom(skewed("ChannelTimeSkew", "0.05")), "begin up to 50 ms after one another"),
    "sample skew": (files.dicom(skewed("ChannelSampleSkew", "10")), "begin up to 20 ms after one another"),
    "one sensitivity missing": (files.dicom(one_without_size()), "1 of 12 channels name no unit"),
    "two units of a lead": (files.dicom(two_units()), "one code and another meaning"),
    "V1 twice in DICOM": (files.dicom(files.dicom_group(**V1_AGAIN)), "V1 is in the file twice"),
    "V1 twice in MUSE": (files.muse(**V1_AGAIN), "V1 is in the file twice"),
    "V1 twice in WFDB": (files.wfdb_files(**V1_AGAIN), "V1 is in the file twice"),
    "leads that begin later": (files.muse(offset="40"), "begin later than others"),
    "gaps": (files.edf(onsets=(0, 1, 2, 7, 8)), "has gaps"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "doubt"), OPEN.values(), ids=OPEN)
def test_what_nothing_settles_stands_beside_the_estimate(content, doubt):
    record = read_ecg(content)
    is_the_heart(record)
    assert len(record.doubts) == 1 and doubt in record.doubts[0]


def fewer_announced():
    group = files.dicom_group()
    group.NumberOfWaveformSamples = 1500
    return group


HOLDING_MORE = {
    "DICOM": files.dicom(fewer_announced()), "WFDB": files.wfdb_files(rate=" 500 1500"),
    "EDF": files.edf().replace(b"5       1       12  ", b"3       1       12  "),
}  # fmt: skip


@pytest.mark.parametrize("content", HOLDING_MORE.values(), ids=HOLDING_MORE)
def test_samples_beyond_those_that_the_header_announces_are_told(content):
    record = read_ecg(content)
    np.testing.assert_allclose(record.signal_mv, HEART[:, :1500] / 1000, atol=2e-5)
    assert "The file holds more than its header announces; the announced 60% were read." in record.notes


@pytest.mark.parametrize("unit", ["adu", "NU"])
def test_leads_in_a_unit_that_is_no_voltage_are_judged_as_those_without_or_in_the_unit_of_the_person(unit):
    content = files.wfdb_files(gain=f"1/{unit}", counts=COUNTS)
    record = read_ecg(content)
    assert any("names no unit" in note for note in record.notes) and record.n_samples == files.N
    is_the_heart(read_ecg(content, unit="4.88 uV"), 4.88)


def test_leads_of_different_lengths_are_a_doubt():
    longer = files.series(names=LEADS[:6], counts=HEART[:6])
    shorter = files.series(names=LEADS[6:], counts=HEART[6:, :2000])
    whole = longer.replace(
        "</sequenceSet>",
        shorter[shorter.index("</sequence></component>") + 23 :].split("</sequenceSet>")[0] + "</sequenceSet>",
    )
    record = read_ecg(files.aecg(whole))
    assert record.n_samples == 2000 and "begin together is assumed" in record.doubts[0]


BACKWARDS = HEART[:, ::-1]
SEVERAL = {
    "DICOM, two alike": (files.dicom(files.dicom_group(), files.dicom_group(BACKWARDS)), "2 waveforms of the file"),
    "DICOM, one lead and all derived": (
        files.dicom(files.dicom_group(HEART[1:2], ["II"]), files.dicom_group(original="DERIVED")),
        "a derived one was read",
    ),
    "aECG, beat first": (files.aecg(files.series(HEART[:, :600], code=""), files.series()), "2 rhythm series"),
    "aECG, two alike": (files.aecg(files.series(), files.series(BACKWARDS)), "2 rhythm series"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "note"), SEVERAL.values(), ids=SEVERAL)
def test_which_of_several_waveforms_was_read_is_told(content, note):
    record = read_ecg(content)
    is_the_heart(record)
    assert any(note in text for text in record.notes)


@pytest.mark.parametrize(
    "step",
    [
        'value="2000" unit="us"',
        'value="2" unit="ms"',
        'value="0.002"',
        'value="2" unit="msec"',
        'value="2000000" unit="ns"',
        'value="3.3333333e-05" unit="min"',
    ],
)
def test_a_step_of_time_is_read_in_any_unit_in_which_it_can_be_one(step):
    is_the_heart(read_ecg(files.aecg(files.series(step=step))))


UNITS_IN_OTHER_WORDS = {
    "aECG": files.aecg(files.series(COUNTS, scale='value="4.88" unit="[uV]"')),
    "EDF": files.edf(files.heart_uv() / 5, unit="(uV)", physical=(-163840, 163835)),
    "MUSE": files.muse(COUNTS, unit="[µV]", per_bit="4.88"),
    "CardioSoft": files.cardiosoft(size='<Resolution units="uV/LSB">4.88</Resolution>', counts=COUNTS),
    "CardioSoft, a comma": files.cardiosoft(size='<Resolution units="uVperLsb">4,88</Resolution>', counts=COUNTS),
    "CardioSoft, in words": files.cardiosoft(
        size='<Resolution units="microvolts per LSB">4.88</Resolution>', counts=COUNTS),
    "CardioSoft, upside down": files.cardiosoft(
        size=f'<Resolution units="LSB/mV">{1000 / 4.88}</Resolution>', counts=COUNTS),
}  # fmt: skip


@pytest.mark.parametrize("content", UNITS_IN_OTHER_WORDS.values(), ids=UNITS_IN_OTHER_WORDS)
def test_the_unit_of_a_count_is_read_in_whatever_words_it_is_told(content):
    record = read_ecg(content)
    is_the_heart(record, 4.88)
    assert not record.notes


WITH_COMMAS = {
    "aECG": files.aecg(files.series(COUNTS, scale='value="4,88" unit="uV"', step='value="0,002" unit="s"')),
    "MUSE": files.muse(COUNTS, per_bit="4,88", base="500,0"),
    "MUSE in UTF-16": files.muse(COUNTS, per_bit="4,88").decode().encode("utf-16"),
    "Philips 1.04": philips_104(2 * files.heart_uv()).replace(b'resolution="0.5"', b'resolution="0,5"')
    .replace(b'"500"', b'"500,0"').replace(b'"5000"', b'"5000,0"'),
    "Philips 1.03": philips_103(2 * files.heart_uv()).replace(b">0.5<", b">0,5<").replace(b">500<", b">500,0<"),
    "CardioSoft": files.cardiosoft(
        rate="<SampleRate>500,0</SampleRate>", size='<Resolution units="uVperLsb">4,88</Resolution>', counts=COUNTS),
    "EDF": files.edf(2 * files.heart_uv(), physical=("-16384,0", "16383,5"), record_s="1,0"),
    "WFDB": files.wfdb_files(gain="204,918/mV", rate=" 500,0 2500", counts=COUNTS),
}  # fmt: skip


@pytest.mark.parametrize("content", WITH_COMMAS.values(), ids=WITH_COMMAS)
def test_a_decimal_comma_in_a_header_is_a_decimal_point(content):
    record = read_ecg(content)
    is_the_heart(record, 4.88)
    assert not record.notes and not record.doubts


def test_the_size_of_a_count_is_used_where_its_unit_is_missing():
    record = read_ecg(files.cardiosoft(size="<Resolution>4.88</Resolution>", counts=COUNTS))
    is_the_heart(record, 4.88)
    assert "names no unit" in record.notes[0]


def told_of_the_patient(text: str) -> bytes:
    return files.cardiosoft().replace(b"<CardiologyXML>", f"<CardiologyXML>{text}".encode())


@pytest.mark.parametrize(
    ("unit", "years"),
    [("YEARS", 6.0), ("MONTHS", 0.5), ("WEEKS", 6 / 52.18), ("DAYS", 6 / 365.25), ("HOURS", 6 / 8766), ("MOONS", None)],
)
def test_an_age_is_in_its_own_unit_and_none_where_that_is_unknown(unit, years):
    age = read_ecg(told_of_the_patient(f'<PatientInfo><Age units="{unit}">6</Age></PatientInfo>')).age_years
    assert age == (None if years is None else pytest.approx(years))
    if unit != "MOONS":
        wfdb = files.wfdb_files()
        wfdb["a.hea"] += f"#Age: 6 {unit.lower()}\n".encode()
        assert read_ecg(wfdb).age_years == pytest.approx(years)


@pytest.mark.parametrize("written, years", [("0045", 45.0), ("045", 45.0), ("0", 0.0), ("1954", None), ("45.5", 45.5)])
def test_an_age_is_read_whole_or_not_at_all(written, years):
    wfdb = files.wfdb_files()
    wfdb["a.hea"] += f"#Age: {written}\n".encode()
    assert read_ecg(wfdb).age_years == years


def test_a_year_of_two_digits_is_no_date_and_one_to_come_is():
    date = "<ObservationDateTime><Year>{}</Year><Month>1</Month><Day>5</Day></ObservationDateTime>"
    record = read_ecg(told_of_the_patient(date.format("24")))
    assert record.recorded_at is None and any("not written in four digits" in note for note in record.notes)
    assert read_ecg(told_of_the_patient(date.format("2180"))).recorded_at.year == 2180


def test_a_record_cut_short_is_told_as_that_and_not_asked_for_a_rate():
    with pytest.raises(ReadError, match="declares .* bytes but the file has"):
        read_ecg(files.scp()[:-3000])


def test_a_damaged_header_is_not_called_a_variant_that_is_not_read():
    with pytest.raises(ReadError) as caught:
        read_ecg(files.edf().replace(b"5       1       12  ", b"five    1       12  "))
    assert "damaged and cannot be read. " in f"{caught.value} " and "parser" not in str(caught.value)


def test_rates_that_are_no_whole_numbers_stay_exact():
    assert read_ecg(files.muse(base="4995", exponent="-1")).sampling_rate_hz == 499.5
    assert read_ecg(files.dicom(files.dicom_group(rate="499.5"))).sampling_rate_hz == 499.5
    with pytest.raises(SignalError, match="2 different sampling rates"):
        read_ecg(files.edf(rate=[500] * 6 + [499] * 6))


@pytest.mark.parametrize("label", ["ECG {}", "EKG {}-REF", "Lead {} Ref", "{}_ref"])
def test_a_reference_behind_the_name_of_a_lead_is_no_part_of_it(label):
    is_the_heart(read_ecg(files.edf(labels=[label.format(lead) for lead in LEADS])))
