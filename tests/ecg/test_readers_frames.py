"""JSON in the shapes that programs write, Parquet and Feather: the artificial heart comes out as it is."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from echo2ecg_core.ecg.readers import read_ecg, read_ecgs
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import ReadError, SamplingRateNeeded, SignalError
from tests.ecg.device_files import RATE, N, heart_uv

HEART = heart_uv() / 1000
ROWS = [dict(zip(LEADS, row, strict=True)) for row in HEART.T.tolist()]
COLUMNS = dict(zip(LEADS, HEART.tolist(), strict=True))
TIMED = pd.DataFrame({"time_s": np.arange(N) / RATE, **COLUMNS})
FACTS = {"sampling_rate_hz": RATE, "unit": "mV"}
# name -> document: what is in it once, in one way each
DOCUMENTS = {
    "rows": TIMED.to_dict("records"),
    "pandas records": json.loads(TIMED.to_json(orient="records")),
    "pandas columns": json.loads(TIMED.to_json(orient="columns")),
    "pandas index": json.loads(TIMED.to_json(orient="index")),
    "pandas split": json.loads(TIMED.to_json(orient="split")),
    "pandas split by time": json.loads(TIMED.set_index("time_s").to_json(orient="split")),
    "pandas table": json.loads(TIMED.to_json(orient="table")),
    "columns": {"fs": RATE, **COLUMNS},
    "columns inside": {"header": {"samplingRate": RATE}, "ecg": {"leads": COLUMNS}},
    "rows inside": FACTS | {"patient": {"age": 61}, "samples": ROWS},
    "counts": {"fs": RATE, "adc_gain": 2000} | {lead: (2 * heart_uv()).tolist()[row] for row, lead in enumerate(LEADS)},
    "matrix": {"sampling_frequency": RATE, "lead_names": LEADS[::-1], "units": "mV", "signal": HEART[::-1].tolist()},
    "matrix of samples": FACTS | {"leads": LEADS, "data": HEART.T.tolist()},
    "a list of leads": {"fs": RATE, "leads": [{"name": lead, "unit": "uV", "samples": row}
                                              for lead, row in zip(LEADS, heart_uv().tolist(), strict=True)]},
    "an object a lead": {"fs": RATE, "leads": {lead: {"unit": "mV", "data": row} for lead, row in COLUMNS.items()}},
}  # fmt: skip


def as_json(document) -> bytes:
    return json.dumps(document).encode()


def parquet(frame: pd.DataFrame, **told) -> bytes:
    return _table(frame, told, pa.parquet.write_table)


def feather(frame: pd.DataFrame, **told) -> bytes:
    return _table(frame, told, lambda table, buffer: pa.feather.write_feather(table, buffer))


def _table(frame, told, write) -> bytes:
    table, buffer = pa.Table.from_pandas(frame), io.BytesIO()
    told = {name.encode(): str(value).encode() for name, value in told.items()}
    write(table.replace_schema_metadata({**table.schema.metadata, **told}), buffer)
    return buffer.getvalue()


def is_the_heart(record, file_format: str) -> None:
    np.testing.assert_allclose(record.signal_mv, HEART, atol=1e-5)
    assert (record.sampling_rate_hz, record.format, record.doubts) == (RATE, file_format, ())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_json_is_read_in_every_shape(name):
    is_the_heart(read_ecg(as_json(DOCUMENTS[name]), name="x"), "JSON")


def test_an_object_or_a_row_a_line_is_read():
    lines = TIMED.to_json(orient="records", lines=True).encode()
    is_the_heart(read_ecg(lines, name="x"), "JSON")
    rows = "\n".join(map(str, HEART.tolist()))
    is_the_heart(read_ecg(rows.encode(), name="x", sampling_rate_hz=RATE), "JSON")
    is_the_heart(read_ecg(TIMED.to_json(orient="records").encode("utf-16"), name="x"), "JSON")


def test_several_recordings_in_one_file_are_read_one_by_one():
    many = [{"id": number, **FACTS, "leads": COLUMNS} for number in range(3)]
    rows = pd.DataFrame([{**FACTS, "signal": [list(row) for row in HEART]}] * 3)
    for content, file_format in ((as_json(many), "JSON"), (parquet(rows), "Parquet"), (parquet(pd.DataFrame(
        [{**FACTS, **COLUMNS}] * 3)), "Parquet")):  # fmt: skip
        records = read_ecgs({"x": content})
        assert len(records) == 3 and records[2].notes[0] == "Recording 3 of 3 in the file."
        for record in records:
            is_the_heart(record, file_format)


@pytest.mark.slow
@pytest.mark.parametrize("written", [parquet, feather])
def test_tables_of_arrow_are_read_with_what_their_metadata_tell(written):
    kind = written.__name__.capitalize()
    is_the_heart(read_ecg(written(TIMED), name="x"), kind)
    bare = TIMED.drop(columns="time_s")
    record = read_ecg(written(bare.astype("float32"), **FACTS), name="x")
    is_the_heart(record, kind)
    assert record.notes == ("The unit mV is told in a value beside the table.",)
    is_the_heart(read_ecg(written((bare * 1000).rename(columns="{} (uV)".format), fs=RATE), name="x"), kind)
    moments = pd.date_range("2020-01-01", periods=N, freq="2ms")
    is_the_heart(read_ecg(written(bare.set_index(moments)), name="x"), kind)
    is_the_heart(read_ecg(written(bare.assign(when=moments - moments[0])), name="x"), kind)
    with pytest.raises(SamplingRateNeeded):
        read_ecg(written(bare), name="x")
    with pytest.raises(ReadError, match="damaged"):
        read_ecg(written(bare)[:5000], name="x")


def test_the_unit_of_a_column_may_stand_in_its_metadata():
    fields = [pa.field(lead, pa.float64(), metadata={"unit": "uV"}) for lead in LEADS]
    table = pa.table([pa.array(row) for row in heart_uv().astype(float)], schema=pa.schema(fields, {"fs": str(RATE)}))
    pa.parquet.write_table(table, buffer := io.BytesIO())
    record = read_ecg(buffer.getvalue(), name="x")
    is_the_heart(record, "Parquet")
    assert not record.notes


def test_what_such_tables_leave_open_is_a_doubt_as_in_text():
    people = [{"patient": "AB"[at >= N // 2], "t": at / RATE, **row} for at, row in enumerate(ROWS)]
    (doubt,) = read_ecg(as_json(people), name="x").doubts
    assert doubt.startswith("A column of ids holds 2 different ones")
    gap = [{"t": at / RATE, **row} for at, row in enumerate(ROWS) if not 800 <= at < 900]
    (doubt,) = read_ecg(as_json(gap), name="x").doubts
    assert doubt.startswith("The time column jumps once, by 0.2 s")
    (doubt,) = read_ecg(as_json({"fs": 250, "data": TIMED.to_dict("records")}), name="x").doubts
    assert doubt == "A value beside the table tells 250 Hz, but the time column 500 Hz, which was taken."
    holes = [row if at != 100 else dict.fromkeys(LEADS) for at, row in enumerate(ROWS)]
    record = read_ecg(as_json(FACTS | {"rows": holes}), name="x")
    assert np.isnan(record.signal_mv[:, 100]).all() and np.isnan(record.signal_mv).sum() == 12 and not record.doubts


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b'{"I": [0.1, 0.2', ReadError, "“x” begins like JSON but is damaged, cut short or no JSON (line 1)."),
        (b"{" + b'"a": {' * 30_000, ReadError, "“x” begins like JSON but is damaged, cut short or no JSON"),
        (b'{"resourceType": "Patient", "id": "1"}', SignalError, "No array in “x” has an axis of 12 leads: "),
        (as_json({"fs": RATE, "I": HEART[0].tolist()}), SignalError, "No array in “x” has an axis of 12 leads: "),
    ],
)
def test_json_without_an_ecg_is_refused_in_words(content, error, message):
    with pytest.raises(error) as caught:
        read_ecg(content, name="x")
    assert caught.value.message.startswith(message)


def test_a_clock_in_any_column_of_a_text_table_tells_the_rate():
    clock = [f"00:00:{at / RATE:06.3f}" for at in range(N)]
    table = TIMED.drop(columns="time_s").assign(time=clock)
    assert read_ecg(table.to_csv(index=False).encode(), name="x").sampling_rate_hz == RATE
    words = TIMED.drop(columns="time_s").assign(time=[f"beat {at}" for at in range(N)])
    with pytest.raises(SamplingRateNeeded):
        read_ecg(words.to_csv(index=False).encode(), name="x")
