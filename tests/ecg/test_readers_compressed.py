"""Compressed device files are decoded sample by sample: SCP-ECG in all its ways, Philips XML 1.03, 1.04 and XLI."""

import numpy as np
import pytest

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.errors import ReadError, SignalError
from tests.ecg import device_files as files
from tests.ecg.philips_files import philips_103, philips_104
from tests.ecg.scp_files import compressed

HEART = files.heart_uv()
BEATS = (201, 601, 1001, 1401, 1801, 2201)  # a beat each 0.8 s


def is_the_heart(record) -> None:
    np.testing.assert_allclose(record.signal_mv, HEART / 1000, atol=1e-6)
    assert record.sampling_rate_hz == files.RATE and not record.doubts


@pytest.mark.parametrize("difference", [0, 1, 2])
@pytest.mark.parametrize("table", ["", "default", "own"])
@pytest.mark.parametrize("beats", [(), BEATS], ids=["whole", "reference beat subtracted"])
def test_scp_is_decoded_sample_by_sample_in_every_compression(difference, table, beats):
    is_the_heart(read_ecg(compressed(HEART, difference, table, beats)))


def test_scp_flagged_bimodal_without_fewer_samples_is_read_and_one_with_fewer_refused_as_what_it_is():
    is_the_heart(read_ecg(compressed(HEART, 2, "default", BEATS, bimodal=True)))
    with pytest.raises(ReadError) as caught:
        read_ecg(compressed(HEART[:, ::4], 2, "default", BEATS[:1], bimodal=True, intervals_us=(2000, 8000)))
    assert "bimodal compression" in str(caught.value) and "damaged" not in str(caught.value)


def test_scp_leads_that_begin_at_different_samples_are_read_where_all_of_them_are():
    starts = (1,) * 6 + (101,) * 6
    record = read_ecg(compressed(HEART, starts=starts))
    np.testing.assert_allclose(record.signal_mv[:6], HEART[:6, 100:] / 1000, atol=1e-6)
    np.testing.assert_allclose(record.signal_mv[6:], HEART[6:, :-100] / 1000, atol=1e-6)
    assert any("begin up to 200 ms after one another" in note for note in record.notes) and not record.doubts
    print_of_two = (1,) * 6 + (2501,) * 6
    with pytest.raises(SignalError, match="3x4"):
        read_ecg(compressed(HEART, starts=print_of_two))


COUNTS = 2 * HEART  # of 0.5 µV


@pytest.mark.parametrize("xli", [False, True], ids=["plain", "XLI"])
@pytest.mark.parametrize("version", ["1.03", "1.04", "1.04.01", "1.04.02"])
def test_philips_xml_is_decoded_sample_by_sample_in_every_version(version, xli):
    is_the_heart(read_ecg(philips_103(COUNTS, xli) if version == "1.03" else philips_104(COUNTS, xli, version)))


def test_philips_numbers_in_words_or_around_the_middle_of_a_converter_are_the_same():
    is_the_heart(read_ecg(philips_103(COUNTS, zero=32768)))
    is_the_heart(read_ecg(philips_103(COUNTS, encoding="Plain")))
    is_the_heart(read_ecg(philips_104(COUNTS, encoding="Plain")))


@pytest.mark.parametrize("xli", [False, True], ids=["plain", "XLI"])
@pytest.mark.parametrize("told", [{"length_ms": 3500}, {"rate": 400}], ids=["length", "rate"])
def test_a_length_that_does_not_fit_its_rate_shifts_no_lead_of_philips_and_is_a_doubt(told, xli):
    record = read_ecg(philips_104(COUNTS, xli, **told))
    np.testing.assert_allclose(record.signal_mv, HEART / 1000, atol=1e-6)
    assert any("one of the two is wrong" in doubt for doubt in record.doubts)


def test_philips_in_another_packing_or_version_is_refused_as_what_it_is():
    for content in (
        philips_104(COUNTS, version="1.05"),
        philips_104(COUNTS).replace(b'"Uncompressed"', b'"DPCM"'),
        philips_104(COUNTS).replace(b'"Base64"', b'"Hex"'),
    ):
        with pytest.raises(ReadError, match="in a variant of its format that is not read .*unsupported") as caught:
            read_ecg(content)
        assert "damaged" not in str(caught.value)
