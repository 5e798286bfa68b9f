"""Array files: NumPy, HDF5, MATLAB and PyTorch in any orientation, with the units and order that are assumed."""

import io

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from echo2ecg_core.ecg.readers import read_ecg, read_ecgs
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import ReadError, SamplingRateNeeded, SignalError

RATE = 400
ORDER_NOTE = "The file names no leads; the order I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6 was assumed."
EIGHT = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]


def wave(n_leads: int = 12, n_samples: int = 2000, rate: float = RATE) -> np.ndarray:
    """Leads in mV with a spike every second, float32."""
    time = np.arange(n_samples) / rate
    beat = np.exp(-0.5 * ((time % 1 - 0.5) / 0.02) ** 2)
    return ((0.5 + 0.1 * np.arange(n_leads))[:, None] * beat - 0.05).astype(np.float32)


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def pt(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def hdf5(datasets: dict, attributes: dict | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        for name, values in datasets.items():
            archive.create_dataset(name, data=values, **(options if np.ndim(values) > 1 else {}))
        archive.attrs.update(attributes or {})
    return buffer.getvalue()


def check(content, file_format: str, rate: float | None = RATE, name: str = "x"):
    record = read_ecg(content, name=name, sampling_rate_hz=rate)
    np.testing.assert_allclose(record.signal_mv, wave(), atol=1e-6)
    assert record.format == file_format and record.sampling_rate_hz == RATE and record.units == "mV"
    return record


@pytest.mark.parametrize("array", [wave(), wave().T, wave()[None], wave().T[None], wave()[None, None],
wave().astype("f8"),
                                   np.asfortranarray(wave()), wave().astype(">f4")])  # fmt: skip
def test_an_npy_array_is_read_in_any_orientation(array):
    assert check(npy(array), "NPY").notes[0] == ORDER_NOTE


def test_an_npy_file_on_disk_is_read_through_a_memory_map(tmp_path):
    np.save(tmp_path / "ecg.npy", np.stack([wave(), 2 * wave()]))
    record = check(tmp_path / "ecg.npy", "NPY", name=None)
    assert record.source == "ecg.npy" and record.notes[0] == "Recording 1 of 2 in the file."


def test_eight_rows_are_i_ii_and_the_chest_leads():
    record = read_ecg(npy(wave(8)), sampling_rate_hz=RATE)
    np.testing.assert_allclose(record.signal_mv[[0, 1, 6, 11]], wave(8)[[0, 1, 2, 7]], atol=1e-6)
    assert record.derived_leads == ("III", "aVR", "aVL", "aVF")
    assert record.notes[0] == "The file names no leads; the order I, II, V1, V2, V3, V4, V5, V6 was assumed."


@pytest.mark.parametrize(("factor", "unit"), [(1.0, "mV"), (1000.0, "µV"), (0.001, "V")])
def test_the_unit_of_an_array_is_judged_by_amplitude(factor, unit):
    record = read_ecg(npy(wave() * np.float32(factor)), sampling_rate_hz=RATE)
    np.testing.assert_allclose(record.signal_mv, wave(), atol=1e-5)
    assert f"was taken as {unit} (" in record.notes[-1] and "peak to peak" in record.notes[-1]


@pytest.mark.parametrize(("counts_per_mv", "unit"), [(1000, "µV"), (200, "counts of 5 µV")])
def test_whole_numbers_are_counts_of_one_or_five_microvolt(counts_per_mv, unit):
    record = read_ecg(npy(np.round(wave() * counts_per_mv).astype("i2")), sampling_rate_hz=RATE)
    np.testing.assert_allclose(record.signal_mv, wave(), atol=0.5 / counts_per_mv + 1e-6)
    assert f"was taken as {unit} (" in record.notes[-1]


@pytest.mark.slow
def test_without_a_sampling_rate_it_is_asked_for():
    for content, name in ((npy(wave()), "a.npy"), (npz(ecg=wave()), "a.npz"), (pt(torch.tensor(wave())), "a.pt"),
                          (hdf5({"ecg": wave()}), "a.h5")):  # fmt: skip
        with pytest.raises(SamplingRateNeeded) as caught:
            read_ecg(content, name=name)
        assert (
            str(caught.value)
            == f"“{name}” does not say its sampling rate. Give the sampling rate in Hz, for example 500."
        )


def test_an_npz_tells_rate_leads_and_unit():
    order = [3, 1, 0, 2, 11, 10, 9, 8, 7, 6, 5, 4]
    content = npz(signal=wave()[order] * 1000, fs=RATE, leads=[LEADS[index] for index in order], units="uV")
    assert check(content, "NPZ", None).notes == ()


def test_an_hdf5_file_tells_rate_leads_and_unit():
    order = [3, 1, 0, 2, 11, 10, 9, 8, 7, 6, 5, 4]
    leads = [LEADS[index].encode() for index in order]
    content = hdf5({"group/ecg": wave()[order] * 1000, "leads": leads}, {"sampling_rate": RATE, "unit": "uV"})
    assert check(content, "HDF5", None).notes == ()


def test_code_15_tracings_are_trimmed_scaled_and_their_empty_rows_skipped(tmp_path):
    tracings = np.zeros((4, 4096, 12), np.float32)
    tracings[1, 600:3500] = np.tile(wave().T, (2, 1))[:2900] * 10  # in 1e-4 V, padded
    tracings[2] = np.tile(wave().T, (3, 1))[:4096]  # the same in mV, not padded
    content = hdf5({"exam_id": np.array([0, 11, 12, 0]), "tracings": tracings})
    (tmp_path / "exams.hdf5").write_bytes(content)
    record = read_ecg(tmp_path / "exams.hdf5")
    assert record.sampling_rate_hz == 400.0 and record.n_samples == 2900
    np.testing.assert_allclose(record.signal_mv, np.tile(wave(), (1, 2))[:, :2900], atol=1e-5)
    assert record.notes[0] == "Recording 2 of 4 in the file." and "was taken as units of 1e-4 V (" in record.notes[2]
    assert record.notes[3] == "Zero padding at the ends was cut: 2900 of 4096 samples remain."
    first, second = read_ecgs({"exams.hdf5": content})
    assert first.content_hash == record.content_hash and second.n_samples == 4096
    assert "was taken as units of 1e-4 V (" in second.notes[2]  # one unit for all recordings of a file


def test_echonext_arrays_are_brought_back_to_millivolt():
    # the formula and the two-decimal parameters of the data set's own model folder
    mean = np.array([5.44, 4.39, -0.88, -4.9, 3.18, 1.72, -4.39, -1.5, -0.24, 3.62, 5.4, 5.66])
    std = np.array([32.43, 31.37, 30.16, 28.13, 27.1, 26.15, 37.74, 52.79, 56.75, 49.9, 45, 39.07])
    millivolt = wave(n_samples=2500, rate=250)
    scored = ((millivolt.T / 0.00488 - mean) / std)[None, None]  # (1, 1, 2500, 12)
    record = read_ecg(npy(np.concatenate([scored, scored])), name="EchoNext_test_waveforms.npy")
    np.testing.assert_allclose(record.signal_mv, millivolt, atol=1e-5)
    assert record.sampling_rate_hz == 250.0 and record.units == "mV"
    assert record.notes[-1] == (
        "EchoNext layout (250 Hz, z-scored per lead): the normalisation was undone with the "
        "published means, standard deviations and 4.88 µV per count."
    )


def test_a_normalised_array_stays_as_it_is_and_is_called_so():
    scored = (wave() - wave().mean(axis=1, keepdims=True)) / wave().std(axis=1, keepdims=True)
    record = read_ecg(npy(scored), sampling_rate_hz=RATE)
    np.testing.assert_allclose(record.signal_mv, scored, atol=1e-6)
    assert record.units == "normalised"
    assert (
        record.notes[-1] == "The values are normalised, not mV: their scale cannot be undone, so voltages mean nothing."
    )


@pytest.mark.slow
@pytest.mark.parametrize("content", [
    torch.tensor(wave()), torch.tensor(wave()).T, {"ecg": torch.tensor(wave()), "fs": RATE}, [torch.tensor(wave()), 0],
    {"signal": torch.tensor(wave() * 1000), "units": "uV", "leads": list(LEADS)}, torch.tensor(wave()).double(),
])  # fmt: skip
def test_a_pytorch_file_of_tensors_is_read(content):
    check(pt(content), "PyTorch")


def test_half_precision_tensors_are_read():
    record = read_ecg(pt(torch.tensor(wave()).to(torch.bfloat16)), sampling_rate_hz=RATE)
    np.testing.assert_allclose(record.signal_mv, wave(), atol=0.01)


@pytest.mark.parametrize(("version", "compressed"), [("4", False), ("5", False), ("5", True)])
def test_matlab_files_of_every_version_are_read(version, compressed):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"fs": float(RATE), "val": wave()}, format=version, do_compression=compressed)
    check(buffer.getvalue(), "MATLAB", None)


def test_a_matlab_structure_is_opened():
    buffer = io.BytesIO()
    scipy.io.savemat(
        buffer, {"ECG": {"sex": "Male", "age": 33, "data": wave()}, "cells": np.array([1, "a"], dtype=object)}
    )
    check(buffer.getvalue(), "MATLAB")


def test_a_wfdb_matrix_without_its_header_is_read_by_amplitude(samples):
    path = samples / "ecg" / "wfdb_mat" / "A0001.mat"
    alone = read_ecg(path.read_bytes(), name="A0001.mat", sampling_rate_hz=500)
    np.testing.assert_allclose(alone.signal_mv, read_ecg(path).signal_mv, atol=1e-6)
    assert alone.format == "MATLAB" and "was taken as µV" in alone.notes[1]


class Exploit:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickles_are_never_opened(tmp_path):
    objects = np.array([Exploit(tmp_path / "npy")] * 12, dtype=object)
    for content, name, message in (
        (npy(objects), "a.npy", "“a.npy” holds pickled Python objects, which are never opened."),
        (npz(ecg=objects), "a.npz", "“a.npz” holds pickled Python objects, which are never opened."),
        (pt({"ecg": Exploit(tmp_path / "pt")}), "a.pt", "“a.pt” holds Python objects besides tensors, which are never "
"loaded."),
    ):  # fmt: skip
        with pytest.raises(ReadError) as caught:
            read_ecg(content, name=name, sampling_rate_hz=RATE)
        assert caught.value.message == message
    assert list(tmp_path.iterdir()) == []


def test_hdf5_links_to_other_files_are_not_followed(tmp_path):
    raw = tmp_path / "secret.bin"
    raw.write_bytes(wave().tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as archive:
        archive["ecg"] = wave()
    with h5py.File(tmp_path / "links.h5", "w") as archive:
        archive["link"] = h5py.ExternalLink("other.h5", "/ecg")
        archive.create_dataset("raw", (12, 2000), "f4", external=[(str(raw), 0, h5py.h5f.UNLIMITED)])
        layout = h5py.VirtualLayout((12, 2000), "f4")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "ecg", (12, 2000))
        archive.create_virtual_dataset("virtual", layout)
    with pytest.raises(SignalError) as caught:
        read_ecg(tmp_path / "links.h5", sampling_rate_hz=RATE)
    assert caught.value.message == "No array in “links.h5” has an axis of 12 leads: it holds none."


def huge_npy() -> bytes:
    header = npy(np.zeros((12, 10), np.float32))
    return header.replace(b"(12, 10), }" + b" " * 12, b"(12, 1000000000), }" + b" " * 4)


def huge_hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        archive.create_dataset("ecg", (12, 10**9), "f8", chunks=(12, 1000))
    return buffer.getvalue()


def endless_hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        archive.create_dataset("tracings", (10**9, 4096, 12), "f4", chunks=(1, 4096, 12))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (npy(np.zeros((3, 5000), np.float32)), SignalError,
         "The array has the shape (3, 5000); one of its last two axes must hold 12 leads (or the 8 leads I, II, V1 to "
"V6)."),
        (npy(np.zeros(60000, np.float32)), SignalError,
         "The array has the shape (60000); one of its last two axes must hold 12 leads (or the 8 leads I, II, V1 to "
"V6)."),
        (npy(np.zeros((12, 2000), np.float32)), SignalError,
         "All leads are flat; an ECG needs a signal in at least one lead."),
        (npy(np.full((12, 2000), np.nan, np.float32)), SignalError,
         "The file holds no signal: every sample of every lead is missing."),
        (npy(wave()[:, :80]), SignalError, "The recording lasts 0.2 s; at least 2.5 s are needed."),
        (npy(wave())[:-1000], ReadError, "“x” is cut short: its header announces 96,128 bytes, it has 95,128."),
        (npy(np.zeros((12, 0), np.float32)), SignalError, "The array in “x” has the shape (12, 0): it holds no "
"samples."),
        (npy(np.zeros((12, 2000), "U3")), ReadError, "“x” holds text, not numbers."),
        (npy(np.zeros((12, 2000), "c8")), ReadError, "“x” holds no numbers: its array is of type complex64."),
        (npz(a=np.zeros(3)), SignalError, "No array in “x” has an axis of 12 leads: “a” (3,)."),
        (hdf5({"a": np.zeros(3)}), SignalError, "No array in “x” has an axis of 12 leads: “a” (3,)."),
        (huge_npy(), ReadError, "“x” is cut short: its header announces 48,000,000,128 bytes, it has 608."),
        (huge_hdf5(), SignalError, "The file claims 12 channels of 1,000,000,000 samples (96.0 GB in memory); "
                                   "one ECG may have at most 40,000,000 values."),
        (endless_hdf5(), SignalError, "The first 100 of 1000000000 recordings in “x” are empty."),
        (pt(torch.zeros(1).expand(12, 10**10)), SignalError,
         "A tensor claims 120,000,000,000 values; one ECG may have at most 40,000,000."),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_used_are_refused_in_one_sentence(content, error, message):
    with pytest.raises(error) as caught:
        read_ecg(content, name="x", sampling_rate_hz=RATE)
    assert caught.value.message == message and caught.value.hint


@pytest.mark.parametrize("shaped", [lambda x: x.T[:, :, None], lambda x: x[:, :, None], lambda x: x[None, :, :, None]])
def test_a_last_axis_of_one_entry_is_no_axis_of_samples(shaped):
    for content in (npy(shaped(wave())), npz(ecg=shaped(wave()))):
        np.testing.assert_array_equal(read_ecg(content, name="x", sampling_rate_hz=RATE).signal_mv, wave())


@pytest.mark.parametrize("rate", [np.array("400"), np.array(b"400.0"), np.array([400.0])])
def test_rate_names_and_unit_that_are_written_as_text_or_bytes_are_read(rate):
    names = np.array(LEADS[::-1], "S")
    found = read_ecg(npz(ecg=1000 * wave()[::-1], fs=rate, leads=names, unit=np.array(b"uV")), name="x.npz")
    assert found.sampling_rate_hz == 400 and not any("names no" in note for note in found.notes)
    np.testing.assert_allclose(found.signal_mv, wave(), atol=1e-6)


def test_counts_that_stand_for_missing_samples_are_missing():
    counts = np.round(1000 * wave()).astype(np.int16)
    counts[3, 50:60] = -32768
    found = read_ecg(npy(counts), name="x.npy", sampling_rate_hz=RATE)
    assert np.isnan(found.signal_mv[3, 50:60]).all() and np.isnan(found.signal_mv).sum() == 10
    assert "10 values of -32768 were taken as missing." in found.notes


def test_of_two_arrays_that_could_be_the_ecg_the_one_that_was_read_is_told():
    found = read_ecg(npz(raw=wave(), filtered=0.9 * wave(), fs=400), name="x.npz")
    np.testing.assert_array_equal(found.signal_mv, wave())
    assert found.notes[0] == "The array “raw” was read; “filtered” could be an ECG, too."
    assert not any("could be" in note for note in read_ecg(npz(raw=wave(), fs=400), name="x.npz").notes)
