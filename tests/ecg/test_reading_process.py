"""Files that hang a parser or claim memory end in one sentence in time; good files cost little more."""

import io
import time

import h5py
import numpy as np
import pytest

from echo2ecg_core.ecg import reading_process
from echo2ecg_core.ecg.files import files_in_memory
from echo2ecg_core.ecg.readers import read_ecg, read_ecgs
from echo2ecg_core.errors import Echo2ECGError, ReadError, SignalError


def recordings(n=1):
    buffer = io.BytesIO()
    wave = np.random.default_rng(0).standard_normal((n, 2000, 12)).astype(np.float32)
    with h5py.File(buffer, "w") as archive:
        archive["ecg"] = wave
        archive.attrs["fs"] = 500
        archive.attrs["unit"] = "mV"
    return buffer.getvalue(), wave


def test_a_file_reads_the_same_apart_and_the_process_is_used_again(tmp_path):
    content, wave = recordings(3)
    (tmp_path / "x.h5").write_bytes(content)
    records = read_ecgs({"x.h5": content})
    assert len(records) == 3
    for record, truth in zip(records, wave, strict=True):
        np.testing.assert_array_equal(record.signal_mv, truth.T)
    assert read_ecg(tmp_path / "x.h5").content_hash == records[0].content_hash
    (waiting,) = reading_process._idle["arrays"]
    read_ecg(content)
    assert reading_process._idle["arrays"] == [waiting]


@pytest.mark.slow
def test_a_process_that_breaks_down_is_a_sentence_and_the_next_file_is_read():
    content, _ = recordings()
    (file,) = files_in_memory({"x.h5": content})
    started = reading_process.read_apart("arrays", file)
    next(started)
    started.close()
    for reader in reading_process._idle["arrays"]:
        reader.process.kill()
        reader.process.wait()
    assert read_ecg(content).n_samples == 2000


def test_what_the_reader_says_arrives_as_it_was_said():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        archive["x"] = np.zeros((3, 4))
    with pytest.raises(SignalError, match="No array in “x.h5” has an axis of 12 leads"):
        read_ecg(buffer.getvalue(), name="x.h5")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["37-1-w.h5", "37-25-w.h5", "41-4-w.zip", "24-3-A0001.hea"])
def test_hostile_files_end_in_one_short_sentence_in_time(shared, name):
    begin = time.perf_counter()
    with pytest.raises(ReadError) as caught:
        read_ecg(shared / "data" / "cases" / "hostile" / name, sampling_rate_hz=500)
    assert time.perf_counter() - begin < 10 + 5  # the limit and the start of a process on a busy machine
    assert len(str(caught.value)) <= 300 and str(caught.value).isprintable()


def test_a_quoted_header_is_cut_and_has_no_control_characters():
    error = ReadError(f"The header “{'x' * 10_000}\x1b[2J” is wrong.", "Copy it again.")
    assert len(str(error)) < 200 and str(error).isprintable() and "is wrong. Copy it again." in str(error)
    assert len(str(SignalError("y" * 5000, "Export it again."))) <= 300


def test_no_word_of_an_error_is_longer_than_a_line():
    assert len(Echo2ECGError(f"The column {'A' * 5000} is none.", "B" * 5000).message) < 200
