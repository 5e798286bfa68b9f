"""What a container (NPZ, HDF5, MATLAB, PyTorch) tells of the ECG in it is read, whatever the format and the name."""

import io
from collections.abc import Callable

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from echo2ecg_core.ecg.readers import read_ecg, read_ecgs
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import SamplingRateNeeded, SignalError
from tests.ecg.test_readers_arrays import RATE, npz, pt, wave

SHUFFLED = [8, 3, 0, 11, 5, 1, 7, 2, 9, 4, 10, 6]
NAMES = [LEADS[row] for row in SHUFFLED]


def hearts() -> np.ndarray:
    """(12, 2000) mV that fulfil the equations of the limb leads, each chest lead of another height."""
    one, two, chest = wave()[1], wave()[6], wave()[[3, 4, 5, 8, 9, 10]] * np.array([-1, -1, 1, 1, 2, 1])[:, None]
    return np.vstack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, chest])


def mat(**values) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, values)
    return buffer.getvalue()


def mat_structure(**values) -> bytes:
    return mat(record=values)


def hdf5_attributes(ecg: np.ndarray, **told) -> bytes:
    return _hdf5(ecg, lambda group, data: data.attrs.update(told))


def hdf5_of_the_group(ecg: np.ndarray, **told) -> bytes:
    return _hdf5(ecg, lambda group, data: group.attrs.update(told))


def hdf5_datasets(ecg: np.ndarray, **told) -> bytes:
    return _hdf5(ecg, lambda group, data: [group.create_dataset(name, data=value) for name, value in told.items()])


def _hdf5(ecg: np.ndarray, tell: Callable) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        group = archive.create_group("visit")
        tell(group, group.create_dataset("ecg", data=ecg))
    return buffer.getvalue()


def pt_nested(ecg: np.ndarray, **told) -> bytes:
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in told.items()}
    return pt({"data": {"ecg": torch.tensor(ecg)}, "header": plain})


CONTAINERS = {
    "npz": npz, "mat": mat, "a structure": mat_structure, "attributes of the dataset": hdf5_attributes,
    "attributes of the group": hdf5_of_the_group, "datasets": hdf5_datasets, "pt": pt_nested,
}  # fmt: skip
TEXTS = {npz: "U", pt_nested: "U", mat: "O", mat_structure: "O"}  # the others store bytes
each_container = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)


def read(content: bytes, **given):
    return read_ecg(content, name="x", **given)


def same(record, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(record.signal_mv, hearts(), atol=atol)
    assert record.sampling_rate_hz == RATE and not record.doubts


@each_container
@pytest.mark.parametrize("name", ["leads", "lead_order", "labels", "Kanal"])
def test_texts_that_are_lead_names_are_the_leads_whatever_they_are_called(container, name):
    names = np.array(NAMES, TEXTS.get(container, "S"))
    record = read(container(ecg=hearts()[SHUFFLED], fs=RATE, unit="mV", **{name: names}))
    same(record)
    assert record.notes == ()


@each_container
def test_lead_names_in_one_text_and_a_matrix_of_letters_are_read(container):
    same(read(container(ecg=hearts()[SHUFFLED], fs=RATE, unit="mV", order=" ".join(NAMES))))
    same(read(mat(ecg=hearts()[SHUFFLED].T, fs=RATE, unit="mV", order=np.array(NAMES))))


def test_texts_of_another_number_or_meaning_are_no_lead_names():
    for names in (NAMES[:5], [f"ch{n}" for n in range(12)], ["sinus rhythm", "normal"]):
        assert "The file names no leads" in read(npz(ecg=hearts(), fs=RATE, unit="mV", labels=names)).notes[0]


@each_container
@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({"adc_gain": 200.0}, 200),
        ({"gain": 400, "units": "adu"}, 400),
        ({"counts_per_mV": 409.6}, 409.6),
        ({"uV_per_LSB": 4.88}, 1 / 0.00488),
        ({"resolution": 2.5, "resolution_unit": "uV"}, 400),
        ({"lsb_nv": 1250}, 800),
        ({"gain": 200.0, "units": "mV"}, 200),
        ({"scale": "2.5 uV"}, 400),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_a_gain_makes_millivolts_of_counts(container, told, counts):
    stored = np.round(hearts()[SHUFFLED] * counts).astype(np.int16)
    names = " ".join(NAMES)
    same(read(container(ecg=stored, fs=RATE, channels=names, **told)), atol=0.51 / counts)
    zero = read(container(ecg=stored + 1024, fs=RATE, channels=names, baseline=1024, **told))
    same(zero, atol=0.51 / counts)


def test_gains_that_make_different_heights_or_do_not_fit_the_values_are_a_doubt():
    counts = np.round(hearts() * 1000)
    told = {"fs": RATE, "leads": " ".join(LEADS)}
    same(read(npz(ecg=counts, adc_gain=1000, uV_per_LSB=1.0, **told)), atol=6e-4)
    (doubt,) = read(npz(ecg=counts, adc_gain=1000, gain=200, **told)).doubts
    assert "2 different gains are told" in doubt
    uneven = read(npz(ecg=counts / 3, gain=[1000] * 11 + [500], **told))
    assert any("gain told beside them was not used" in doubt for doubt in uneven.doubts)


def test_a_gain_with_two_meanings_is_a_doubt_and_one_with_none_is_not_used():
    found = read(npz(ecg=np.round(hearts() * 30), fs=RATE, leads=LEADS, gain=32.0))
    np.testing.assert_allclose(found.signal_mv, np.round(hearts() * 30) / 32, atol=1e-6)
    assert found.doubts == (
        "The file's gain, 32, was taken as counts a mV. It could as well be µV a count.",
    ) and found.notes[0].startswith("The file's gain, 32,")  # fmt: skip
    unused = read(npz(ecg=np.round(hearts() * 1000), fs=RATE, leads=LEADS, gain=3e7))
    np.testing.assert_allclose(unused.signal_mv, hearts(), atol=1e-3)
    assert unused.notes[0] == "The file's gain, 3e+07, makes no ECG of its values in any unit; it was not used."
    for told in ({"gain": "10 mm/mV"}, {"resolution": "16 bit"}, {"gain": np.array(["x"])}):
        other = read(npz(ecg=np.round(hearts() * 1000), fs=RATE, leads=LEADS, **told))
        np.testing.assert_allclose(other.signal_mv, hearts(), atol=1e-3)
        assert not any("gain" in note or "count," in note for note in other.notes)


def test_the_gain_of_an_amplifier_beside_microvolts_is_left_alone():
    same(read(npz(ecg=np.round(hearts() * 1000), fs=RATE, leads=LEADS, units="uV", gain=1000)), atol=6e-4)
    same(read(npz(ecg=hearts(), fs=RATE, leads=LEADS, gain=200)))


@each_container
def test_a_gain_and_a_unit_a_lead_are_used_lead_by_lead(container):
    gains = np.linspace(100, 900, 12)
    stored = np.round(hearts() * gains[:, None]).astype(np.int32)
    same(read(container(ecg=stored, fs=RATE, leads=" ".join(LEADS), adc_gain=gains)), atol=0.01)
    units = np.array(["mV", "uV"] * 6, TEXTS.get(container, "S"))
    mixed = hearts() * np.where(np.arange(12) % 2, 1000, 1)[:, None]
    same(read(container(ecg=mixed, fs=RATE, leads=" ".join(LEADS), units=units)))


@each_container
@pytest.mark.parametrize(
    "told",
    [
        {"dt": 0.0025}, {"sampling_interval_ms": 2.5}, {"time_step": 2500.0}, {"Sampling Rate (Hz)": RATE},
        {"fs": "400 Hz"}, {"samplerate": "0.4 kHz"}, {"rate": RATE},
        {"time": np.arange(2000) * 0.0025}, {"t_ms": np.arange(2000) * 2.5},
    ],
    ids=lambda told: ", ".join(told),
)  # fmt: skip
def test_a_rate_is_read_however_it_is_told(container, told):
    name = next(iter(told))
    if "mat" in container.__name__ and " " in name:
        told = {"SamplingRateHz": RATE}
    if (
        "attributes" in next(key for key, made in CONTAINERS.items() if made is container)
        and np.size(told[next(iter(told))]) > 1
    ):
        container = hdf5_datasets  # an axis of time is no attribute
    assert read(container(ecg=hearts(), leads=" ".join(LEADS), unit="mV", **told)).sampling_rate_hz == RATE


@pytest.mark.parametrize(
    "told",
    [
        {"rate": 72.0}, {"frequency": 61}, {"time": np.arange(2000.0)}, {"dt": 0.0}, {"fs": -1.0}, {"fs": "fast"},
        {"time": np.cumsum(np.random.default_rng(0).random(2000))}, {"time": np.arange(100) * 0.0025},
    ],
    ids=str,
)  # fmt: skip
def test_a_heart_rate_a_count_and_uneven_times_tell_no_sampling_rate(told):
    with pytest.raises(SamplingRateNeeded):
        read(npz(ecg=hearts(), leads=LEADS, **told))


TIME_S = np.arange(2000) / RATE


@pytest.mark.parametrize(
    ("told", "taken_hz", "doubt"),
    [
        ({"fs": 200.0, "t": TIME_S}, 400, "A value for the rate tells 200 Hz, but the axis of time 400 Hz"),
        ({"fs": 200.0, "dt": 0.0025}, 200, "A step of time tells 400 Hz, but a value for the rate 200 Hz"),
        ({"fs": 200.0, "ecg_sampling_rate": 400.0}, 200, "A value for the rate tells 400 Hz"),
        ({"fs": 200.0, "duration": 5.0}, 200, "it lasts 5 s, but at its 200 Hz it lasts 10 s"),
        ({"fs": RATE, "t": TIME_S + 3 * (TIME_S > 2)}, 400, "The time axis jumps once, by 3 s in all"),
        ({"fs": RATE, "t_ms": TIME_S * 1000, "dt": 0.0025, "duration_s": "5"}, 400, None),
        ({"fs": RATE, "rate": 100, "duration": "86 ms"}, 400, None),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_rates_that_contradict_each_other_are_told_beside_the_estimate(told, taken_hz, doubt):
    found = read(npz(ecg=hearts(), leads=LEADS, unit="mV", **told))
    assert found.sampling_rate_hz == taken_hz
    assert [text for text in found.doubts if not doubt or doubt not in text] == []
    assert len(found.doubts) == (doubt is not None)


@pytest.mark.parametrize("container", [npz, mat, hdf5_datasets, pt_nested])
@pytest.mark.parametrize(
    "other", [{"t": TIME_S}, {"dt": 0.0025}, {"duration": 5.0}], ids=lambda other: next(iter(other))
)
def test_the_rate_that_a_person_gives_settles_what_a_file_contradicts(container, other):
    found = read(container(ecg=hearts(), leads=" ".join(LEADS), unit="mV", fs=200.0, **other), sampling_rate_hz=RATE)
    assert found.sampling_rate_hz == RATE and not found.doubts
    assert any("contradicts itself" in note for note in found.notes)


def test_two_lists_of_leads_or_units_are_a_doubt():
    exchanged = np.array(["II", "I", *LEADS[2:]])
    found = read(npz(ecg=hearts(), fs=RATE, unit="mV", leads=np.array(LEADS), channels=exchanged))
    assert "2 different lists of leads" in found.doubts[0]
    found = read(npz(ecg=hearts(), fs=RATE, leads=np.array(LEADS), unit="mV", ecg_units="uV"))
    assert "2 different units" in found.doubts[0]


@each_container
def test_every_lead_may_be_an_array_of_its_own(container):
    leads = dict(zip(NAMES, hearts()[SHUFFLED] * 1000, strict=True))
    if container in (npz, mat, mat_structure):
        same(read(container(**leads, fs=RATE, units="uV")))
    elif container is pt_nested:
        same(read(pt({"leads": {name: torch.tensor(lead) for name, lead in leads.items()}, "fs": RATE, "unit": "uV"})))
    else:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as archive:
            archive.attrs.update({"fs": RATE, "units": "uV"})
            for name, lead in leads.items():
                archive.create_dataset(f"rhythm/{name}", data=lead)
                archive.create_dataset(f"median/{name}", data=lead[:600])
        record = read(buffer.getvalue())
        same(record)
        assert record.notes == ("The array “rhythm” was read; “median” could be an ECG, too.",)


def several() -> dict[str, tuple[np.ndarray, float, list[str]]]:
    return {
        "a10": (hearts(), 250.0, list(LEADS)),
        "a9": (0.5 * hearts()[SHUFFLED], 500.0, NAMES),
        "a11": (0.1 * hearts(), 400.0, list(LEADS)),
    }


def several_hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        for name, (ecg, rate, leads) in several().items():
            group = archive.create_group(name)
            group.create_dataset("ecg", data=ecg, chunks=True)
            group.attrs.update({"fs": rate, "leads": leads})
    return buffer.getvalue()


def several_structures() -> bytes:
    rows = [several()[name] for name in ("a9", "a10", "a11")]
    array = np.zeros(3, dtype=[("ecg", "O"), ("fs", "O"), ("leads", "O")])
    for row, (ecg, rate, leads) in zip(array, rows, strict=True):
        row["ecg"], row["fs"], row["leads"] = ecg, rate, np.array(leads, "O")
    return mat(records=array)


def several_pt() -> bytes:
    rows = [several()[name] for name in ("a9", "a10", "a11")]
    return pt([{"ecg": torch.tensor(ecg), "fs": rate, "leads": leads} for ecg, rate, leads in rows])


@pytest.mark.parametrize("content", [several_hdf5(), several_structures(), several_pt()], ids=["hdf5", "mat", "pt"])
def test_recordings_in_groups_of_their_own_are_all_read_each_with_its_own_rate_and_leads(content):
    found = read_ecgs({"x": content})
    assert [record.sampling_rate_hz for record in found] == [500.0, 250.0, 400.0]
    for record, factor in zip(found, (0.5, 1.0, 0.1), strict=True):
        np.testing.assert_allclose(record.signal_mv, factor * hearts(), atol=1e-6)
    assert [record.notes[0] for record in found] == [f"Recording {n} of 3 in the file." for n in (1, 2, 3)]
    assert all("judged once for all recordings" in " ".join(record.notes) for record in found)


def test_what_holds_for_other_recordings_is_not_taken_for_one_that_tells_nothing():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        for name, rate in {"r1": None, "r2": 250.0, "r3": 1000.0}.items():
            archive.create_dataset(f"{name}/ecg", data=hearts())
            if rate:
                archive[name].attrs["fs"] = rate
    with pytest.raises(SamplingRateNeeded):
        read(buffer.getvalue())
    assert read(buffer.getvalue(), sampling_rate_hz=RATE).sampling_rate_hz == RATE


def test_versions_of_one_recording_are_no_recordings_in_a_row():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        archive.attrs["fs"] = RATE
        for name in ("raw", "filtered"):
            archive.create_dataset(f"{name}/ecg", data=hearts())
    found = read_ecgs({"x": buffer.getvalue()})
    assert len(found) == 1 and " could be an ECG, too." in found[0].notes[0]


def test_names_of_more_channels_than_twelve_are_followed():
    more = np.vstack([3 * hearts()[:3], hearts()])
    record = read(npz(ecg=more, fs=RATE, unit="mV", ch=["VX", "VY", "VZ", *LEADS]))
    same(record)
    assert record.notes == ("The channels VX, VY and VZ of the file were left out.",)


def test_a_deep_or_endless_nest_is_passed_over():
    nested: dict | torch.Tensor = torch.tensor(hearts())
    for _ in range(10):
        nested = {"in": nested}
    with pytest.raises(SignalError):
        read(pt(nested), sampling_rate_hz=RATE)


def test_texts_of_matlab_7_3_stored_as_numbers_and_references_are_read():
    """As MATLAB's save(..., "-v7.3") writes a char array and a cell array of them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as archive:

        def letters(name: str, text: str) -> h5py.Dataset:
            stored = archive.create_dataset(name, data=np.frombuffer(text.encode("utf-16-le"), "<u2")[:, None])
            stored.attrs["MATLAB_class"] = np.bytes_("char")
            return stored

        archive["ecg"] = (hearts()[SHUFFLED] * 250).T
        references = np.array([letters(f"#refs#/{row}", name).ref for row, name in enumerate(NAMES)], h5py.ref_dtype)
        archive.create_dataset("leads", data=references[:, None], dtype=h5py.ref_dtype)
        for name, text in (("unit", "uV"), ("fs", "400 Hz")):
            letters(name, text)
    record = read(buffer.getvalue())
    np.testing.assert_allclose(record.signal_mv, hearts() / 4, atol=1e-5)
    assert record.sampling_rate_hz == RATE and not record.doubts


@pytest.mark.parametrize("container", [npz, mat, hdf5_datasets])
def test_of_several_arrays_the_one_that_keeps_the_equations_of_the_limb_leads_is_the_ecg(container):
    rng = np.random.default_rng(0)
    shapes = {"labels": rng.integers(0, 2, (12, 3000)), "features": rng.normal(size=(12, 2500))}
    record = read(container(ecg=hearts(), fs=RATE, a_mask=np.ones((12, 2000)), **shapes))
    same(record)
    assert "ecg” was read" in record.notes[0] and "could be an ECG, too" in record.notes[0]


def test_channels_of_an_array_of_structures_have_their_names():
    """As EEGLAB writes them."""
    channels = np.zeros(12, dtype=[("labels", "O"), ("type", "O")])
    channels[:] = [(name, "ECG") for name in NAMES]
    told = {"data": hearts()[SHUFFLED] * 1000, "srate": float(RATE), "chanlocs": channels}
    same(read(mat(EEG=told), unit="µV"))


def netcdf(ecg: np.ndarray, **told) -> bytes:
    return hdf5_attributes(ecg.astype(np.int16), fs=RATE, lead=NAMES, units="uV", **told)


def test_the_size_of_stored_counts_beside_their_unit_is_used_and_what_the_values_leave_open_is_told():
    microvolts = hearts()[SHUFFLED] * 1000 * 1.5 + np.random.default_rng(0).normal(0, 4, hearts().shape)
    for told in ({"scale_factor": 4.0}, {"uV_per_LSB": 4.0}):
        record = read(netcdf(np.round(microvolts / 4), **told))
        assert np.abs(record.signal_mv[0] * 1000 - microvolts[NAMES.index("I")]).max() < 2.1 and not record.doubts
    for rounded in (np.round, np.trunc):
        scaled = read(netcdf(rounded(np.round(microvolts / 4.88) * 4.88), uV_per_LSB=4.88))  # in its unit already
        assert np.abs(scaled.signal_mv[0] * 1000 - microvolts[NAMES.index("I")]).max() < 3.5 and not scaled.doubts
    (doubt,) = read(netcdf(np.round(microvolts), uV_per_LSB=0.5)).doubts
    assert "Were the values in the file's unit already, they would be 2 times as high" in doubt


def test_each_lead_that_is_an_array_of_its_own_may_have_a_gain_of_its_own():
    def tell(group, data):
        del group["ecg"]
        for row, (lead, signal) in enumerate(zip(LEADS, hearts(), strict=True)):
            stored = group.create_dataset(lead, data=np.round(signal * 1000 / (1 + row)).astype(np.int16))
            stored.attrs.update({"uV_per_count": 1.0 + row, "fs": RATE})

    record = read(_hdf5(hearts(), tell))
    same(record, atol=7e-3)


def test_a_gain_beside_values_that_are_neither_whole_counts_nor_millivolts_is_a_doubt():
    told = {"fs": RATE, "leads": " ".join(LEADS), "adc_gain": 500.0}
    found = read(npz(ecg=hearts() * 500.3, **told))
    assert found.doubts[0] == "The values are no whole counts; the gain told beside them was not used."
    same(read(npz(ecg=hearts(), **told)))
    rounded = np.round(hearts() * 500) * (1 + 1e-13)
    same(read(npz(ecg=rounded, **told)), atol=1.1e-3)


def test_an_array_of_records_is_read_by_its_fields():
    records = np.zeros(hearts().shape[1], [("time", "f8"), *((lead, "f4") for lead in NAMES)])
    records["time"] = np.arange(len(records)) / RATE
    for lead, samples in zip(LEADS, hearts(), strict=True):
        records[lead] = samples
    same(read(npz(ecg=records)))
    same(read(hdf5_attributes(records, unit="mV")))
    np.save(buffer := io.BytesIO(), records)
    same(read(buffer.getvalue()))
