"""The text of a table, whatever encoding it was saved in: Unicode where it is that, else what its letters look like.

Bytes of Windows-1251 are letters in Windows-1252, too, and those of EUC-KR in GBK. What tells them apart is which
letters come out: those usual in a language or rare ones, scripts that mix in a word, capitals behind small letters,
words that such tables hold. charset-normalizer goes by the frequencies of running text: of 48 tables in 16 encodings
(ids, numbers and a few words) it mistook 13, and as many when it had these encodings alone to choose from.
What is not Unicode is always told, and what stays open with it.
"""

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from echo2ecg_core.intake.column_names import WORDS

SAVE_ANEW = "Save it as CSV (UTF-8) or as an Excel workbook."
LINES_LOOKED_AT = 2000  # of those that hold a letter beyond ASCII
ALIKE = 0.03  # by which share of odd letters two encodings do not differ
SURELY_ODD = 0.3  # share of odd letters from which on a text is in no encoding that is known
_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_BEYOND_ASCII, _LINE_END = re.compile(rb"[\x80-\xff]"), re.compile(rb"[\r\n]|\Z")
_WORD = re.compile(r"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+")  # letters and digits of any script
_SIGNS = frozenset("²³µ°±·×÷½¼–—‘’“”„…«»€£§®™№•≤≥\u00a0\u3000、。・（）％：／－〜～＝＋，．Ⅰ Ⅱ Ⅲ Ⅳ")
_AT_ENDS = frozenset("ςךםןףץ")  # forms of letters that stand at the end of a word
_SMALL_SIGN = re.compile(r"[²³·÷½¼§®™€£][^\W\d_]|[^\W\d_][“”„…«»€£§®™•¿¡][^\W\d_]")  # within a word


class NoTable(ValueError):
    """Why bytes are no table, in words without a name, and what to do."""

    def __init__(self, reason: str, hint: str = SAVE_ANEW):
        super().__init__(reason)
        self.hint = hint


def _common_in(charset: str, first: int, last: int, beyond: str = "") -> Callable[[str], bool]:
    """Whether a character is one of the common ones of an East Asian set, those of the rows `first` to `last`."""

    def is_usual(character: str) -> bool:
        try:
            code = character.encode(charset)
        except UnicodeEncodeError:
            return False
        return len(code) == 2 and (first <= code[0] <= last or character in beyond)

    return is_usual


_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F5)))) + "ー々"
_kanji = _common_in("euc_jp", 0xB0, 0xCF, _KANA)


class _Encoding(NamedTuple):
    """An encoding in words; which letters are usual in it; whether they are accented Latin ones, and whether they are
    those of a script without blanks and capitals, of two bytes each."""

    name: str
    codec: str
    is_usual: Callable[[str], bool]
    is_latin: bool = False
    is_wide: bool = False
    vowels: str = ""  # where every word of four letters and more holds one
    doubt: float = 0.0  # share of odd letters that it is taken to have beyond those found


ENCODINGS = (  # of two that fit alike the first is taken
    _Encoding("Windows-1252 (Western Europe)", "cp1252", frozenset("äöüÄÖÜßéèêëàâçîïôùûœÉÈÊÀÂÇÔŒ").__contains__, True),
    _Encoding("Windows-1252 (Western Europe)", "cp1252",
              frozenset("áéíóúñãõâêôàçüìòèùÁÉÍÓÚÑÃÕÂÊÔÀÇÜºª¿¡").__contains__, True),
    _Encoding("Windows-1252 (Western Europe)", "cp1252", frozenset("åäöæøÅÄÖÆØéü").__contains__, True),
    _Encoding("Windows-1252 (Western Europe)", "cp1252",  # several languages in one table
              frozenset("äöüÄÖÜßéèêëàâçîïôùûœÉÈÊÀÂÇÔŒáíóúñãõìòÁÍÓÚÑÃÕåæøÅÆØºª¿¡").__contains__, True, doubt=0.02),
    _Encoding("Windows-1254 (Turkish)", "cp1254", frozenset("çÇğĞıİöÖşŞüÜâîû").__contains__, True),
    _Encoding("Windows-1250 (Central Europe)", "cp1250", frozenset(
        "ąćęłńóśźżĄĆĘŁŃÓŚŹŻáčďéěíňřšťúůýžÁČĎÉĚÍŇŘŠŤÚŮÝŽäöüÄÖÜßőűŐŰôľĺđĐ").__contains__, True),
    _Encoding("Windows-1252 (Western Europe)", "cp1252", frozenset("áéíóúýðþæöÁÉÍÓÚÝÐÞÆÖ").__contains__, True),
    _Encoding("Windows-1251 (Cyrillic)", "cp1251", frozenset(
        "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЫЬЭЮЯёЁіїєґІЇЄҐ").__contains__,
              vowels="аеиоуыэюяёіїє"),
    _Encoding("Windows-1253 (Greek)", "cp1253", frozenset(
        "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏϊϋ").__contains__, vowels="αεηιουωάέήίόύώϊϋ"),
    _Encoding("Windows-1255 (Hebrew)", "cp1255", lambda c: "\u05d0" <= c <= "\u05ea"),
    _Encoding("Windows-1256 (Arabic)", "cp1256", lambda c: "\u0621" <= c <= "\u064a" or c in "پچژگ"),
    _Encoding("EUC-KR (Korean)", "cp949", _common_in("euc_kr", 0xB0, 0xC8), is_wide=True),
    _Encoding("GB18030 (Chinese)", "gb18030", _common_in("gb2312", 0xB0, 0xD7), is_wide=True),
    _Encoding("Shift-JIS (Japanese)", "cp932", _kanji, is_wide=True),
    _Encoding("Big5 (Chinese)", "cp950", _common_in("big5", 0xA4, 0xC6), is_wide=True),
    _Encoding("EUC-JP (Japanese)", "euc_jp", _kanji, is_wide=True),
    _Encoding("Windows-874 (Thai)", "cp874", lambda c: "\u0e01" <= c <= "\u0e59"),
)  # fmt: skip


def text_of(content: bytes, whole: bool = True) -> tuple[str, tuple[str, ...]]:
    """The text of a file, or of its beginning, without the mark of its encoding, and a note where that is a guess.

    Raises:
        NoTable: it is binary, or in an encoding that cannot be told.
        UnicodeDecodeError: it is not in the Unicode that its mark says.
    """
    unicode = _unicode(content)
    try:
        return _decoded(content, unicode or "utf-8-sig", whole), ()
    except UnicodeDecodeError:
        if unicode:
            raise
    best, *others = _fitting(content) or (None,)
    for encoding in (best, *others):
        try:
            if encoding is None:
                break
            text = _decoded(content, encoding.codec, whole)
        except UnicodeDecodeError:
            continue
        equal = {e.name: None for e in others if e.name != encoding.name} if encoding is best else {}
        also = f" They may be {' or '.join(list(equal)[:2])} as well; saved as UTF-8 they are sure." if equal else ""
        return text, (f"it is not UTF-8; its letters were read as those of {encoding.name}.{also}",)
    raise NoTable(
        "its letters are neither UTF-8 nor UTF-16 nor those of "
        + ", ".join(dict.fromkeys(e.name.split(" (")[0] for e in ENCODINGS))
    )


def _unicode(content: bytes) -> str:
    """The Unicode encoding that a mark or zero bytes tell, "" where none do."""
    head = content[:4096]
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "")
    if marked or b"\0" not in head:
        return marked
    for unmarked in ("utf-16-le", "utf-16-be"):
        try:
            text = codecs.getincrementaldecoder(unmarked)().decode(head)
        except UnicodeDecodeError:
            continue
        words = all(unicodedata.category(c)[0] != "C" or c in "\t\r\n\u200e\u200f" for c in text)
        if words and sum(map(str.isascii, text)) > len(text) / 5:  # digits, separators, line ends
            return unmarked
    raise NoTable("it is binary")


def _decoded(content: bytes, codec: str, whole: bool) -> str:
    return codecs.getincrementaldecoder(codec)().decode(content, whole).replace("\0", "")


def _fitting(content: bytes) -> list[_Encoding]:
    """The encoding whose letters look best, and those that look as good but show other letters."""
    sample = b"\n".join(dict.fromkeys(islice(_lines_beyond_ascii(content), LINES_LOOKED_AT)))
    found: list[tuple[float, str, _Encoding]] = []
    for encoding in ENCODINGS:
        try:
            text = _decoded(sample, encoding.codec, False)
        except UnicodeDecodeError:
            continue
        found.append((_oddness(text, encoding), text, encoding))
    least = min((odd for odd, _, _ in found), default=SURELY_ODD)
    if least >= SURELY_ODD:
        return []
    alike = [(text, encoding) for odd, text, encoding in sorted(found, key=itemgetter(0)) if odd <= least + ALIKE]
    return [alike[0][1], *(encoding for text, encoding in alike[1:] if text != alike[0][0])]


def _lines_beyond_ascii(content: bytes) -> Iterator[bytes]:
    """The lines that hold a byte beyond ASCII."""
    end = 0
    while found := _BEYOND_ASCII.search(content, end):
        begin = 1 + max(content.rfind(mark, end, found.start()) for mark in (b"\n", b"\r"))
        ended = _LINE_END.search(content, found.start())
        assert ended is not None
        yield content[max(begin, end) : ended.start()]
        end = ended.start()


def _oddness(text: str, encoding: _Encoding) -> float:
    """Which share of the letters beyond ASCII looks odd, less than none where words are known."""
    words = {word for word in _WORD.findall(text) if not word.isascii()}
    n = sum(not c.isascii() for word in words for c in word)
    odd = sum(sum(_odd(word, encoding)) for word in words)
    known = sum(word.casefold() in WORDS for word in words)
    ended = [word for word in words if word[-1] in _AT_ENDS and len(word) > 2]
    known += len(ended) >= 3 and not odd  # words of Hebrew end in them; read as Cyrillic they are к, н, п, у, х
    return encoding.doubt + odd / max(n, 1) - (0.0 if encoding.is_latin else known)


def _odd(word: str, encoding: _Encoding) -> Iterator[bool]:
    """For every letter beyond ASCII of a word whether it looks odd there."""
    if encoding.is_latin:
        alone = len(word) > 2 and not re.search(r"[A-Za-z0-9]", word)  # accents without a plain letter
        mixed = alone or _SMALL_SIGN.search(word) is not None
    elif encoding.is_wide:
        mixed = re.search(r"[a-z][^\x00-\x7f]{1,2}([a-z]|$)", word) is not None  # accents of a Latin word
    else:
        mixed = re.search(r"[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]", word) is not None
        mixed |= bool(encoding.vowels) and len(word) > 3 and word.islower() and not set(word) & set(encoding.vowels)
    before = ""
    for at, letter in enumerate(word, 1):
        if not letter.isascii():
            usual = encoding.is_usual(letter) or letter in _SIGNS
            misplaced = (letter.isupper() and before.islower()) or (letter in _AT_ENDS and word[at : at + 1].isalpha())
            yield mixed or not usual or misplaced
        before = letter
