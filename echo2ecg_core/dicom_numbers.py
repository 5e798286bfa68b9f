"""Numbers of a DICOM data set that are written as a country writes them: 2,5 for 2.5.

The standard knows decimal points only (PS3.5, DS and IS), pydicom refuses all else as soon as it is read. A comma
before exactly three digits may also part thousands; it is a decimal one where another number of the file shows that, or
where the other reading is impossible, else nothing is assumed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from echo2ecg_core.errors import ReadError

_WITH_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_PERHAPS_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")


def settle_commas(
    dataset, limits: Mapping[str, tuple[float, float]], sequences: Sequence[str] = (), dispensable: Sequence[str] = ()
) -> list[str]:
    """Give the numbers that are about to be read decimal points, in place.

    Args:
        dataset: A pydicom data set of which these numbers were not touched yet.
        limits: Keyword of each number that is read -> what it may be.
        sequences: Keywords of the sequences in which numbers are read.
        dispensable: Keywords of numbers that are taken out where they cannot be read.

    Returns:
        Notes on what was taken for a decimal comma and what was taken out.

    Raises:
        ReadError: If a number cannot be read, or may be two; it names the tag.
    """
    found = [(part, keyword, text) for part, keyword, text in _texts(dataset, limits, sequences) if not _is_plain(text)]
    all_numbers = [number for _, _, text in found for number in text.split("\\")]
    shows_decimals = any(_WITH_COMMA.fullmatch(n) and not _PERHAPS_THOUSANDS.fullmatch(n) for n in all_numbers)
    settled, left_out = [], []
    for part, keyword, text in found:
        numbers = [_settled(number, limits[keyword], shows_decimals) for number in text.split("\\")]
        if None not in numbers:
            raw = part.get_item(keyword)
            # of the kind DS, as a whole number (IS) may have got a fraction
            part[raw.tag] = raw._replace(VR="DS", value="\\".join(map(str, numbers)).encode())
            settled.append(keyword)
        elif keyword in dispensable:
            del part[keyword]
            left_out.append(keyword)
        else:
            raise _unreadable(part.get_item(keyword).tag, keyword, text)
    notes = [f"A comma in {', '.join(dict.fromkeys(settled))} was read as a decimal point."] if settled else []
    return notes + [f"{name} holds no number that can be read; it was left out." for name in dict.fromkeys(left_out)]


def _texts(dataset, keywords: Mapping, sequences: Sequence[str]) -> Iterator[tuple]:
    """(data set, keyword, text) of the numbers in a data set and its sequences, as the file has them."""
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import RawDataElement

    for keyword in keywords:
        raw = dataset.get_item(keyword) if keyword in dataset else None
        if not isinstance(raw, RawDataElement) or not isinstance(raw.value, bytes):
            continue
        if (raw.VR or dictionary_VR(raw.tag)) in ("DS", "IS"):
            yield dataset, keyword, raw.value.decode("latin-1").strip(" \0")
    for name in sequences:
        for part in dataset.get(name) or []:
            yield from _texts(part, keywords, sequences)


def _is_plain(text: str) -> bool:
    return all(not number.strip() or _number(number) is not None for number in text.split("\\"))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _settled(text: str, limits: tuple[float, float], shows_decimals: bool) -> str | None:
    """A number with a decimal point; None where it is none, or may be two."""
    text = text.strip()
    if not text or _number(text) is not None:
        return text
    if not _WITH_COMMA.fullmatch(text):
        return None
    decimal, thousands = text.replace(",", "."), text.replace(",", "")
    low, high = limits
    if shows_decimals or not _PERHAPS_THOUSANDS.fullmatch(text) or not low <= float(thousands) <= high:
        return decimal
    return None if low <= float(decimal) <= high else thousands


def _unreadable(tag, keyword: str, text: str) -> ReadError:
    is_two = _PERHAPS_THOUSANDS.fullmatch(text)
    what, why = (f"“{text}”", "may be two numbers") if is_two else ("a text", "is no number")
    return ReadError(
        f"The DICOM tag {keyword} ({tag.group:04X},{tag.element:04X}) holds {what}, which {why}.",
        "Export the file again with decimal points, as DICOM asks for.",
    )
