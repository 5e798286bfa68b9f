"""Times as the catalog holds them (ISO 8601 text in any form) as comparable moments, and which study belongs to an ECG.

Every comparison of two times in this program goes through `moments`: a table may mix days, seconds and time zones, and
pandas refuses to subtract those. A time with a zone becomes UTC; one without is taken as it stands, since no file tells
more. A text that names no day (empty, a month alone, not ISO) is no moment, never a guess.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from echo2ecg_core.settings import settings

COLUMNS = ["ecg_id", "study_id", "patient_id", "split", "days_apart"]


def moment(value: object) -> datetime | None:
    """A time as a datetime without a zone (UTC where the value has a zone), or None where it names no day.

    Args:
        value: ISO 8601 text of any precision from a day on ("2030-01-02", "20300102T0304", "2030-002",
            "2030-W01-3", "2030-01-02 03:04:05.678+01:00", "…Z"), a date or a datetime.
    """
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, datetime):
        found = value.to_pydatetime(warn=False) if isinstance(value, pd.Timestamp) else value
    elif isinstance(value, date):
        found = datetime(value.year, value.month, value.day)
    else:
        found = _read(str(value).strip())
    if found is None or found.tzinfo is None:
        return found
    try:
        return found.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # the first or last day of the calendar
        return None


def _read(text: str) -> datetime | None:
    """ISO text as a datetime; ordinal dates, which `fromisoformat` does not know, a leap second and 24:00 too."""
    if ordinal := re.fullmatch(r"(\d{4})-?(\d{3})(?=$|[T ])(.*)", text):
        try:
            day = datetime.strptime(f"{ordinal[1]}-{ordinal[2]}", "%Y-%j").date().isoformat()
        except ValueError:
            return None
        text = day + ordinal[3]
    text = re.sub(r"\s+(?=(Z|[+-]\d{2}:?(\d{2})?)$)", "", text)  # "03:04 +01:00", as SQL dialects write it
    is_midnight = re.search(r"[T ]24:?00(:?00)?(?=$|[Z+-])", text)
    if is_midnight:
        text = text[: is_midnight.start() + 1] + "00" + text[is_midnight.start() + 3 :]
    text = re.sub(r"([T ]\d{2}:?\d{2}:?)60(?=$|[.,Z+-])", r"\g<1>59", text)
    try:
        return datetime.fromisoformat(text) + timedelta(days=1 if is_midnight else 0)
    except (ValueError, OverflowError):
        return None


def moments(values: Iterable[object]) -> pd.Series:
    """A column of times as datetime64[us] without a zone, NaT where one names no day; the index stays."""
    column = values if isinstance(values, pd.Series) else pd.Series(list(values), dtype=object)
    known = {value: moment(value) for value in column.dropna().unique()}
    found = np.array([known.get(value) for value in column.astype(object)], dtype="datetime64[us]")
    return pd.Series(found, index=column.index, name=column.name)


def default_days() -> float:
    """Days that an ECG and a study may lie apart where nothing else is said: the setting `within_days`."""
    return settings().within_days


def pairs_in_time(ecgs: pd.DataFrame, studies: pd.DataFrame, within_days: float | None = None) -> pd.DataFrame:
    """Every ECG with every study of its patient at most `within_days` apart; empty where there is none.

    Args:
        ecgs: Columns ecg_id, patient_id, ecg_time; own_study_id, the study whose labels an ECG carries by its data set,
            where there are such: those two are a pair however far apart.
        studies: Columns study_id, patient_id, study_date, split.
        within_days: Largest distance in time; None: the setting of this machine (`default_days`).

    Returns:
        Columns ecg_id, study_id, patient_id, split, days_apart (fraction of days; a day without an hour counts from its
        midnight). An ECG or a study without a day is in no pair but that of its data set, whose days are NaN: nothing
        tells how far apart they lie.
    """
    return _pairs(ecgs, studies, within_days)[COLUMNS].reset_index(drop=True)


def nearest_in_time(ecgs: pd.DataFrame, studies: pd.DataFrame, within_days: float | None = None) -> pd.DataFrame:
    """`pairs_in_time` with one row an ECG: the study that its data set names, else its patient's study nearest in time,
    the first id where two are as near."""
    pairs = _pairs(ecgs, studies, within_days)
    pairs = pairs.sort_values(["ecg_id", "is_own", "days_apart", "study_id"], ascending=[True, False, True, True])
    return pairs.drop_duplicates("ecg_id")[COLUMNS].reset_index(drop=True)


def _pairs(ecgs: pd.DataFrame, studies: pd.DataFrame, within_days: float | None) -> pd.DataFrame:
    """As `pairs_in_time`, with `is_own`: the data set says that the two belong together."""
    own = ecgs.get("own_study_id")
    ecgs = ecgs[["ecg_id", "patient_id"]].assign(ecg_moment=moments(ecgs.ecg_time), own=own)
    studies = studies[["study_id", "patient_id", "split"]].assign(study_moment=moments(studies.study_date))
    pairs = ecgs.merge(studies, on="patient_id")
    pairs["days_apart"] = (pairs.ecg_moment - pairs.study_moment).abs().dt.total_seconds() / 86400
    pairs["is_own"] = pairs.own == pairs.study_id
    limit = default_days() if within_days is None else within_days
    return pairs[pairs.is_own | (pairs.days_apart <= limit)]
