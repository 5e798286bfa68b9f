"""Compressed device files are decoded sample by sample: SCP-ECG in all its ways, Philips XML 1.03, 1.04 and XLI."""

import numpy as np
import pytest

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
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


def test_scp_flagged_bimodal_without_fewer_samples_is_read():
    is_the_heart(read_ecg(compressed(HEART, 2, "default", BEATS, bimodal=True)))


# a heart that differs from beat to beat and wanders: what is left of it when the reference beat is taken off
WANDER = np.round(40 * np.sin(2 * np.pi * 0.3 * np.arange(HEART.shape[1]) / files.RATE))
RESTLESS = HEART + (np.outer([2, 4, 2, -3, 0, 3, 1, 2, 3, 4, 3, 2], WANDER)).astype(int)
QUARTER = {"bimodal": True, "intervals_us": (2000, 8000), "protected": (40, 39)}  # 161 to 240, 561 to 640, ...


@pytest.mark.parametrize("difference, table", [(0, ""), (1, "default"), (2, "own")])
@pytest.mark.parametrize("n", [HEART.shape[1], HEART.shape[1] - 3])
def test_scp_with_fewer_samples_outside_the_qrs_complexes_is_exact_inside_them_and_near_outside(difference, table, n):
    """T waves and a sine of 0.3 Hz depart from the line between means that are 8 ms apart by a few µV."""
    record = read_ecg(compressed(RESTLESS[:, :n], difference, table, BEATS, **QUARTER))
    assert record.sampling_rate_hz == files.RATE and record.signal_mv.shape[1] == n // 4 * 4 and not record.doubts
    assert any("the mean of every 4 samples" in note for note in record.notes)
    error_uv = 1000 * record.signal_mv - RESTLESS[:, : n // 4 * 4]
    protected = np.zeros(n // 4 * 4, dtype=bool)
    for at in BEATS:
        protected[at - 41 : at + 39] = True
    assert np.abs(error_uv[:, protected]).max() < 1e-2
    near = np.ones_like(protected)  # but at the ends, and where the reference beat begins and ends: what is left leaps
    near[:2] = near[-2:] = False
    for at in BEATS:
        near[at - 105 : at - 97] = near[at + 95 : at + 103] = False
    assert near.mean() > 0.9 and np.abs(error_uv[:, near]).max() < 5


@pytest.mark.parametrize("how", [QUARTER, {"intervals_us": (0, 0)}], ids=["bimodal", "no rate"])
def test_what_is_read_of_scp_has_its_header_read_by_an_import(tmp_path, how):
    from echo2ecg_core.intake.headers import read_header

    path = tmp_path / "a.scp"
    beats = BEATS if how is QUARTER else ()
    path.write_bytes(compressed(HEART, 2, "default", beats, **how))
    header = read_header(path)
    assert header.kind == "ecg" and not header.reason
    assert read_ecg(path, sampling_rate_hz=files.RATE).signal_mv.shape == HEART.shape


UNCERTAIN = {
    "are no multiple of the 3000 µs of its beat": {"intervals_us": (3000, 8000)},
    "lie no whole multiples of 4 samples": {"protected": (40, 40)},
    "it holds more samples than": {"extra": 40},
    "the protected zones around the QRS complexes are not in the file": {"beats_at": ()},
}


@pytest.mark.parametrize("why", UNCERTAIN, ids=str)
def test_bimodal_scp_whose_samples_may_belong_elsewhere_is_refused_with_the_reason(why):
    with pytest.raises(ReadError) as caught:
        read_ecg(compressed(RESTLESS, **({"beats_at": BEATS} | QUARTER | UNCERTAIN[why])))
    assert "bimodal method" in str(caught.value) and why in str(caught.value)
    assert "without bimodal compression" in str(caught.value) and "damaged" not in str(caught.value)


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


ORDERS = {
    "Cabrera": [4, 0, 3, 1, 5, 2, *range(6, 12)],
    "chest leads first": [*range(6, 12), *range(6)],
    "aVF before aVL": [0, 1, 2, 3, 5, 4, *range(6, 12)],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_packed_philips_leads_that_lie_in_the_order_of_their_names_are_put_together_by_name(order):
    record = read_ecg(philips_104(COUNTS, True, labels=[LEADS[i] for i in order], stored=order))
    is_the_heart(record)
    assert any("lies where they are named" in note for note in record.notes)


@pytest.mark.parametrize("order", [ORDERS["Cabrera"], ORDERS["chest leads first"]], ids=["Cabrera", "chest first"])
def test_packed_philips_leads_that_lie_in_the_usual_order_whatever_their_names_are_taken_so_and_doubted(order):
    record = read_ecg(philips_104(COUNTS, True, labels=[LEADS[i] for i in order]))
    np.testing.assert_allclose(record.signal_mv, HEART / 1000, atol=1e-6)
    assert any("lie in the usual one, which was taken" in doubt for doubt in record.doubts)


def test_a_flat_chest_lead_and_whole_limb_leads_do_not_change_what_the_order_of_packed_philips_leads_is_told_by():
    order, flat = ORDERS["Cabrera"], COUNTS.copy()
    flat[6] = 0
    record = read_ecg(philips_104(flat, True, labels=[LEADS[i] for i in order], stored=order))
    np.testing.assert_allclose(record.signal_mv, flat / 2000, atol=1e-6)
    whole = packed_whole(COUNTS[order])
    is_the_heart(read_ecg(philips_104(whole, True, labels=[LEADS[i] for i in order])))


def packed_whole(counts: np.ndarray) -> np.ndarray:
    """What the packer has to be given in the six first rows so that it leaves these counts there."""
    one, two = counts[:2]
    whole = counts.copy()
    whole[2] = two - one - counts[2]
    whole[3] = -counts[3] - (one + two) // 2
    whole[4] = (one - whole[2]) // 2 - counts[4]
    whole[5] = (two + whole[2]) // 2 - counts[5]
    return whole


def test_packed_philips_leads_that_fit_no_order_and_an_exchange_of_i_and_ii_are_doubted():
    other = [0, 2, 1, *range(3, 12)]  # named as usual but for V1 and II
    names = [LEADS[i] for i in [6, 0, 1, 2, 3, 4, 5, *range(7, 12)]]
    doubts = read_ecg(philips_104(COUNTS, True, labels=names, stored=other)).doubts
    assert any("neither their names nor the usual order" in doubt for doubt in doubts)
    exchanged = [1, 0, *range(2, 12)]
    record = read_ecg(philips_104(COUNTS, True, labels=[LEADS[i] for i in exchanged], stored=exchanged))
    np.testing.assert_allclose(record.signal_mv, HEART / 1000, atol=1e-6)
    assert any("the first is II and the second I" in doubt for doubt in record.doubts)


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
