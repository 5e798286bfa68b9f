"""XML exports of electrocardiographs, told apart by their root element and parsed without entities.

GE MUSE, Philips Sierra (1.03, 1.04) and HL7 aECG go through ecgdatakit, GE CardioSoft through read_cardiosoft.py.
Entity declarations and external references are refused, sizes are bounded before anything is decompressed.
"""

import codecs
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import EcgFile
from echo2ecg_core.ecg.formats import cardiosoft as read_cardiosoft
from echo2ecg_core.ecg.formats import philips as read_philips
from echo2ecg_core.ecg.formats.devices import channels_of, parse, without_calibration
from echo2ecg_core.ecg.formats.xml_containers import (
    join_sequence_sets,
    keep_longest_rhythm,
    keep_longest_series,
    leads_off,
    muse_rate,
    settle_steps,
)
from echo2ecg_core.errors import ReadError

MAX_XML_BYTES = 16 * 2**20
MAX_ELEMENTS, MAX_DEPTH = 200_000, 100
_DECLARATION, _ENCODING = re.compile(r"^\s*<\?xml[^>]*\?>"), re.compile(rb"<\?xml[^>]*encoding=[\"']([\w.:-]+)")
_COMMA = re.compile(rb"(?<=[\"'>])(\s*[-+]?\d+),(\d+\s*)(?=[\"'<])")
_COMMA_AT_AN_END = re.compile(rb",\d+\s*[\"'<]")  # is looked for much faster, and most documents have none
_START = re.compile(r"\s*<[?!A-Za-z_]")


def recognises(head: bytes) -> bool:
    """Whether a file is XML, in UTF-8, UTF-16 or an 8-bit encoding."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _START.match(head[: len(head) // 2 * 2].decode("utf-16", errors="replace")) is not None
    wide = head[:2] in (b"<\0", b"\0<")  # UTF-16 without its mark
    return wide or _START.match(head.removeprefix(codecs.BOM_UTF8).decode("latin-1")) is not None


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The rhythm leads of an XML export.

    Raises:
        ReadError: If the XML is damaged, declares entities, or is of no known kind.
    """
    root, content, notes = _root(file)
    kind = _local_name(root)
    if kind == "restingecg":
        changed = keep_longest_rhythm(root, notes)
        rate, filled = muse_rate(root, told.sampling_rate_hz, file.name, notes)
        record = parse(file, "GEMuseXMLParser", _written(root) if changed or filled else content)
        channels = channels_of(record, "GE MUSE XML", told)
        channels.sampling_rate_hz = rate or channels.sampling_rate_hz
        channels.doubts += leads_off(root)
        channels.notes += [*notes, *leads_off(root)]
        if record.raw_metadata.get("LeadOffsetFirstSample"):
            channels.doubts.append(
                "Some leads begin later than others by the file's words; they were read as of one moment."
            )
            channels.notes.append(channels.doubts[-1])
        if record.raw_metadata.get("FirstSampleBaseline"):
            channels.notes.append(
                "The file gives a first-sample baseline for some leads; it is undocumented and was "
                "not applied, so leads may sit at a constant offset."
            )
        yield channels
    elif kind == "restingecgdata":
        whole = read_philips.completed(root, told, file.name)
        content = whole.written(as_text(content)) if whole.attributes else content
        record = parse(file, "SierraXMLParser", content)
        read_philips.put_together(record.leads, whole)
        channels = channels_of(record, "Philips Sierra XML", told)
        channels.told_used |= whole.told_used
        channels.sampling_rate_hz = whole.rate_hz or channels.sampling_rate_hz
        channels.notes += whole.notes
        channels.doubts += whole.doubts
        yield without_calibration(channels)
    elif kind == "annotatedecg":
        changed = keep_longest_series(root, notes) | settle_steps(root, notes, told.sampling_rate_hz, file.name)
        changed |= join_sequence_sets(root, notes)
        content = _written(root) if changed else content
        record = parse(file, "HL7aECGParser", content)
        channels = channels_of(record, "HL7 aECG", told)
        channels.notes += notes
        exact = (record.raw_metadata.get("rhythm_time") or {}).get("sampling_rate_exact")
        channels.sampling_rate_hz = float(exact or channels.sampling_rate_hz)
        yield channels
    elif kind == "cardiologyxml":
        yield read_cardiosoft.channels(root, file.name, told)
    else:
        raise ReadError(
            f"“{file.name}” is XML (<{kind[:40]}>), but no ECG export that is known.",
            "Give GE MUSE, GE CardioSoft, Philips Sierra or HL7 aECG XML.",
        )


class _BoundedBuilder(TreeBuilder):
    """Builds the tree of a document that is neither too deep nor too large: deep trees crash compiled parsers."""

    def __init__(self):
        super().__init__()
        self.depth = self.n_elements = 0

    def start(self, tag, attributes):
        self.depth, self.n_elements = self.depth + 1, self.n_elements + 1
        if self.depth > MAX_DEPTH or self.n_elements > MAX_ELEMENTS:
            raise ReadError(
                f"The XML has more than {MAX_ELEMENTS:,} elements or {MAX_DEPTH} levels: no ECG export needs that.",
                "Export the ECG again from its source.",
            )
        return super().start(tag, attributes)

    def end(self, tag):
        self.depth -= 1
        return super().end(tag)


def _parsed(content: bytes) -> Element:
    from defusedxml.ElementTree import DefusedXMLParser

    parser = DefusedXMLParser(target=_BoundedBuilder())
    parser.feed(content)
    return parser.close()


def as_text(content: bytes) -> str:
    """The document as text without its declaration, whatever encoding it is in: UTF-8 where it is that, else the one it
    declares (parsers know none of several bytes, such as GB2312), else Windows-1252."""
    wide = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(content.lstrip(b"\n\r\t ")[:2])
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        wide = "utf-16"
    declared = _ENCODING.search(content[:256])
    for encoding in (wide or "utf-8-sig", declared[1].decode() if declared else "utf-8"):
        try:
            return _DECLARATION.sub("", content.decode(encoding)).lstrip()
        except (UnicodeError, LookupError):
            continue
    return _DECLARATION.sub("", content.decode("cp1252", errors="replace")).lstrip()


def _written(root: Element) -> bytes:
    """A changed document for the foreign parser."""
    from xml.etree.ElementTree import tostring

    return b"<?xml version='1.0' encoding='utf-8'?>\n" + tostring(root, encoding="unicode").encode()


def _root(file: EcgFile) -> tuple[Element, bytes, list[str]]:
    """The parsed document, its bytes and notes; declarations of entities are refused, a plain document type is not."""
    from defusedxml import DefusedXmlException

    if b"<html" in file.head().lower():
        raise ReadError(
            f"“{file.name}” is a web page, not an ECG recording.",
            "Download the file itself; a page that asks to sign in is often saved in its place.",
        )
    content = file.read(MAX_XML_BYTES)
    try:
        try:
            wide = content[:2] in (b"<\0", b"\0<", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            plain = _with_points(as_text(content).encode() if wide else content)
            return _parsed(plain), plain, []
        except (ParseError, ValueError, LookupError):
            # not in the encoding that it declares, or in one that parsers do not know
            plain = _with_points(as_text(content).encode())
            notes = ["The XML is not in the encoding that it declares, or in a rare one; it was read all the same."]
            return _parsed(plain), plain, notes
    except DefusedXmlException as error:
        raise ReadError(
            f"“{file.name}” declares XML entities, which are refused because they can be used to attack.",
            "Export the ECG again from its source.",
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise ReadError(
            f"“{file.name}” begins like XML but is damaged or cut short.",
            "Export or copy the file again from its source.",
        ) from error


def _with_points(content: bytes) -> bytes:
    """A document whose attributes and elements that are one number have a decimal point where they have a comma: some
    programs write numbers as their country does, and foreign parsers take such a number for none."""
    return _COMMA.sub(rb"\1.\2", content) if _COMMA_AT_AN_END.search(content) else content


def _local_name(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1].lower()
