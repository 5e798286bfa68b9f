"""Tables and values that programs save: JSON (and a JSON object a line), Parquet and Feather.

A table in them, whichever way round it is written, becomes the text of one and goes the way of every text table, with
what stands beside it as lines above; anything else goes the way of every container, by path. Nothing here is decided
anew. Run in a process of its own (reading_process.py): both parsers can be made to ask for memory.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told, check_size
from echo2ecg_core.ecg.files import EcgFile, files_in_memory
from echo2ecg_core.ecg.formats import text_tables
from echo2ecg_core.ecg.formats.containers import Container
from echo2ecg_core.ecg.formats.facts import MOST_TEXTS
from echo2ecg_core.ecg.record import FEWEST_LEADS, canonical_lead, lead_words
from echo2ecg_core.ecg.units import mv_per_unit
from echo2ecg_core.errors import ReadError

MAX_JSON_BYTES = 48 * 2**20
MAX_DEPTH, MAX_ARRAYS, MAX_ROWS = 12, 20_000, 500
FEWEST_SAMPLES = 64  # of a lead; shorter lists are names, units, ages
LONGEST_FACT = 60  # letters of a value beside a table
_BRACKETS = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*(?:[\[{\"]|[-+\d.eE]+\s*[,\]]))")  # and not a clock, [12:30:01.5]
_beside = partial(re.sub, r"([Aa]) line above(?= the table)", r"\1 value beside")
_OF_PROGRAMS = (b"pandas", b"ARROW:schema")  # metadata that is none of the ECG's
_KINDS = {b"PAR1": "Parquet", b"ARROW1": "Feather", b"FEA1": "Feather"}


def recognises_json(head: bytes) -> bool:
    """Whether a file is text that begins with an object or a list of JSON."""
    return text_tables.recognises(head) and _BRACKETS.match(text_tables.decode(head)) is not None


def recognises_arrow(head: bytes) -> bool:
    """Whether a file is a Parquet or Feather table."""
    return head.startswith(tuple(_KINDS))


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recordings of a JSON, Parquet or Feather file.

    Raises:
        ReadError: If it is damaged.
        SignalError: If nothing in it has the leads of an ECG, or it claims too much.
        SamplingRateNeeded: If neither file nor person tells the sampling rate.
    """
    kind = next((kind for magic, kind in _KINDS.items() if file.head().startswith(magic)), "")
    yield from _recordings(_arrow(file, kind) if kind else _json(file), kind or "JSON", file.name, told)


def _recordings(document: Any, file_format: str, file_name: str, told: Told) -> Iterator[Channels]:
    tables = list(islice(_tables_in(document, {}), 2))
    if len(tables) != 1:
        arrays = dict(islice(_arrays(document, "", 0), MAX_ARRAYS))
        yield from Container(arrays, file_name).recordings(file_format, told=told)
        return
    table = files_in_memory({file_name: _as_text(*tables[0])})[0]
    for channels in text_tables.read(table, told):
        notes, doubts = ([_beside(sentence) for sentence in said] for said in (channels.notes, channels.doubts))
        yield replace(channels, format=file_format, notes=notes, doubts=doubts)


def _json(file: EcgFile) -> Any:
    text = text_tables.decode(file.read(MAX_JSON_BYTES)).strip().rstrip("\0\x1a")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = text.splitlines()
        try:
            if len(lines) > 1 and lines[0].rstrip().endswith(("}", "]")):  # an object, or a row, a line
                return [json.loads(line) for line in lines if line.strip()]
        except (ValueError, RecursionError):
            pass
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ReadError(
            f"“{file.name}” begins like JSON but is damaged, cut short or no JSON{where}.",
            "Save or copy the file again.",
        ) from error


def _arrow(file: EcgFile, kind: str) -> Any:
    """The table as lists by column, with what its metadata tells; as objects where its cells are lists."""
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet

    source = pa.BufferReader(file.read())
    if kind == "Parquet":
        parts = pa.parquet.ParquetFile(source)
        check_size(parts.metadata.num_columns, parts.metadata.num_rows if parts.metadata.num_columns < MAX_ROWS else 0)
        table = parts.read(use_threads=False)
    else:
        table = pa.feather.read_table(source, use_threads=False)
    if any(pa.types.is_nested(field.type) for field in table.schema):
        return table.slice(0, MAX_ROWS).to_pylist()
    frame = table.to_pandas(use_threads=False)
    units = {field.name: _unit_of(field.metadata or {}) for field in table.schema}
    own = {key: value for key, value in (table.schema.metadata or {}).items() if key not in _OF_PROGRAMS}
    told = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in own.items()}
    frame = frame if _is_count(list(frame.index)) else frame.reset_index()
    frame.columns = [f"{name} ({units[name]})" if units.get(name) else str(name) for name in frame.columns]
    return {**told, **{str(key): value for key, value in frame.attrs.items()}, "table": frame}


def _unit_of(metadata: Mapping[bytes, bytes]) -> str:
    texts = [value.decode("utf-8", "replace") for key, value in metadata.items() if key.lower() in (b"unit", b"units")]
    return next((text for text in texts if mv_per_unit(text) is not None), "")


def _tables_in(value: Any, told: dict[str, Any], depth: int = 0) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Tables with leads by column (pandas), each with the single values that stand beside it, from the outside in."""
    frame = _table(value)
    if frame is not None:
        if sum(canonical_lead(name) is not None for name in lead_words(list(frame.columns))) >= FEWEST_LEADS:
            yield frame, told | (_facts(value) if isinstance(value, dict) else {})
        return
    if isinstance(value, dict) and depth < MAX_DEPTH:
        beside = told | _facts(value)
        for part in value.values():
            yield from _tables_in(part, beside, depth + 1)
    elif isinstance(value, list) and depth < MAX_DEPTH and all(isinstance(part, dict) for part in value):
        for part in value[:MAX_ROWS]:
            yield from _tables_in(part, told, depth + 1)


def _table(value: Any):
    """The table that a value is: rows as objects, columns as lists, or as pandas writes it ("split", "index",
    "columns"); None where it is none."""
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value
    if isinstance(value, list):
        rows = len(value) >= FEWEST_SAMPLES and all(
            isinstance(row, dict) and _are_single(row.values()) for row in value
        )
        return pd.DataFrame(value) if rows else None
    if not isinstance(value, dict):
        return None
    columns, data = value.get("columns"), value.get("data")
    if isinstance(columns, list) and _is_matrix(data, len(columns)):
        return _with_index(pd.DataFrame(data, columns=list(map(str, columns))), value.get("index"))
    if _is_numbered(value) and all(isinstance(row, dict) and _are_single(row.values()) for row in value.values()):
        return _with_index(pd.DataFrame(list(value.values())), list(value))
    parts = {key: part for key, part in value.items() if _is_long(part)}
    lengths = {len(part) for part in parts.values()}
    if len(parts) < FEWEST_LEADS or len(lengths) > 1:
        return None
    first = next(iter(parts.values()))
    columns_as_lists = {key: list(part.values()) if isinstance(part, dict) else part for key, part in parts.items()}
    return _with_index(pd.DataFrame(columns_as_lists), list(first) if isinstance(first, dict) else None)


def _with_index(frame, index: Any):
    """A table with its index as a column, where that is more than a count."""
    if isinstance(index, list) and len(index) == len(frame) and not _is_count(index):
        frame.insert(0, "index", index)
    return frame


def _is_count(index: list) -> bool:
    return all(str(label) == str(number) for number, label in enumerate(index))


def _is_numbered(value: dict) -> bool:
    return len(value) >= FEWEST_SAMPLES and all(re.fullmatch(r"\d+(\.\d+)?", str(key)) for key in value)


def _is_long(value: Any) -> bool:
    """Whether a value is a lead: many single values in a list, or by number."""
    if isinstance(value, dict):
        return _is_numbered(value) and _are_single(value.values())
    return isinstance(value, list) and len(value) >= FEWEST_SAMPLES and _are_single(value)


def _is_matrix(value: Any, n_columns: int) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and len(row) == n_columns for row in value)


def _are_single(values) -> bool:
    return all(value is None or isinstance(value, int | float | str) for value in values)


def _facts(value: dict) -> dict[str, Any]:
    """The single values of an object, also of objects in it, and one text that holds for all leads ("units")."""
    found: dict[str, Any] = {}
    for key, part in value.items():
        if isinstance(part, dict) and len(part) < MOST_TEXTS and not any(map(_is_long, part.values())):
            found |= _facts(part)
        if isinstance(part, list) and 0 < len(part) <= MOST_TEXTS and _are_single(part) and len(set(part)) == 1:
            part = part[0]
        if isinstance(part, int | float | str) and not isinstance(part, bool):
            found[str(key)] = part
    return found


def _as_text(frame, told: dict[str, Any]) -> bytes:
    """A table as text, with what is told of it in lines above."""
    check_size(len(frame.columns), len(frame))
    facts = {re.sub(r"[_\s]+", " ", key): text for key, value in told.items() if (text := " ".join(str(value).split()))}
    above = "".join(f"# {key}: {text}\n" for key, text in facts.items() if len(key) + len(text) <= LONGEST_FACT)
    buffer = io.StringIO()
    _in_numbers(frame).to_csv(buffer, index=False, na_rep="nan")
    return (above + buffer.getvalue()).encode()


def _in_numbers(frame):
    """A table with moments as seconds since the first, and words behind the numbers."""
    import pandas as pd

    columns = {}
    for name, column in frame.items():
        is_time = pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column)
        seconds = (column - column.iloc[0]).dt.total_seconds() if is_time and len(column) else None
        columns[f"{name} (s)" if is_time else name] = column if seconds is None else seconds
    words = [name for name, column in columns.items() if not pd.api.types.is_numeric_dtype(column)]
    return pd.DataFrame({name: columns[name] for name in [name for name in columns if name not in words] + words})


def _arrays(value: Any, path: str, depth: int) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays, numbers and texts by path; objects that hold one lead each are the lead, by its name."""
    array = _array(value)
    if array is not None:
        yield path or "value", array
    elif depth < MAX_DEPTH and isinstance(value, dict | list):
        of_leads = _named_leads(value)
        items = of_leads or (value.items() if isinstance(value, dict) else enumerate(value))
        for key, part in items:
            inner = f"{path}/{_plain(key)}" if path else _plain(key)
            samples = _samples_of(part) if of_leads else None
            if samples is not None:
                yield inner, np.asarray(part[samples], dtype=np.float64)
                part = {name: one for name, one in part.items() if name != samples}
            yield from _arrays(part, inner, depth + 1)


def _plain(key: Any) -> str:
    return str(key).replace("/", " per ")


def _named_leads(value: dict | list) -> list[tuple[str, dict]]:
    """The objects in a list or an object that hold a lead each, by its name; [] where they are not as many as an ECG
    has."""
    parts = list(value.values()) if isinstance(value, dict) else value
    if not all(isinstance(part, dict) for part in parts) or not FEWEST_LEADS <= len(parts) <= MOST_TEXTS:
        return []
    names = [str(key) for key in value] if isinstance(value, dict) else list(map(_name_of, parts))
    known = sum(
        bool(canonical_lead(name)) and _samples_of(part) is not None for name, part in zip(names, parts, strict=True)
    )
    return list(zip(names, parts, strict=True)) if known >= FEWEST_LEADS else []


def _name_of(part: dict) -> str:
    texts = [text for text in part.values() if isinstance(text, str)]
    return next((text for text in texts if canonical_lead(text)), texts[0] if texts else "")


def _samples_of(part: Any) -> str | None:
    """The key of the one list of samples in an object."""
    keys = [
        key for key, one in part.items() if isinstance(one, list) and len(one) >= FEWEST_SAMPLES and _is_numbers(one)
    ]
    return keys[0] if len(keys) == 1 else None


def _is_numbers(values: list) -> bool:
    return all(value is None or isinstance(value, int | float) for value in values)


def _array(value: Any) -> np.ndarray | None:
    """An array of a number, a text, or of lists of either in equal lengths; missing values are NaN."""
    if isinstance(value, bool | dict) or value is None:
        return None
    if isinstance(value, int | float | str):
        return np.asarray(value)
    if not isinstance(value, list) or not value or any(isinstance(part, dict) for part in value):
        return None
    if all(isinstance(part, str) for part in value):
        return np.asarray(value) if len(value) <= MOST_TEXTS else _or_none(lambda: np.asarray(value, dtype=np.float64))
    return _or_none(lambda: np.asarray(value, dtype=np.float64))


def _or_none(made: Callable[[], np.ndarray]) -> np.ndarray | None:
    try:
        return made()
    except (ValueError, TypeError, OverflowError):  # ragged, or not all numbers
        return None
