"""Rows of a table of labels that are no patient: means, totals, counts, footnotes.

People keep a table's summary below it or between groups. Its word stands where the id does, and the columns that tell a
visit (other ids, dates, sex, file) stay empty or hold a number. A word that may be somebody's id (SD, Max, N) counts
only where the ids of the table hold digits.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from echo2ecg_core.intake.field_names import IDS
from echo2ecg_core.intake.mapping import TableMap
from echo2ecg_core.intake.tables import MISSING, Table

_WORDS_OF_STATISTICS = """
    mean average median total totals sum iqr quartile percentile minimum maximum deviation variance count number missing
    subtotal mittelwert mittel durchschnitt standardabweichung stabw summe gesamt anzahl moyenne médiane écart somme
    media mediana promedio desviación suma среднее медиана итого всего сумма ortalama medyan toplam
    平均 平均值 平均値 均值 中位数 中央値 标准差 標準差 標準偏差 合计 合計 总计 總計 평균 중앙값 표준편차 합계
"""
_MAY_BE_IDS = "n sd std stdev se sem min max cv mw avg q1 q3 p25 p75 range p ci"
_STAND_BESIDE = "and of or the value values standard all patients subjects rows group lower upper 95 type"
_SURE, _SHORT, _BESIDE = (frozenset(w.split()) for w in (_WORDS_OF_STATISTICS, _MAY_BE_IDS, _STAND_BESIDE))
_BEGIN = _SURE | _SHORT | _BESIDE
_FIRST_WORD = re.compile(r"[\W_]*([^\W_]+)")
_COUNT = re.compile(r"\W*n\s*=\s*[\d.,\s]+\W*(patients|subjects|patienten|rows)?\W*", re.IGNORECASE)
_NUMBER = re.compile(r"\(?\d{1,4}([.,]\d+)?\s*%?\)?(\s*[(±/]\s*\d{1,4}([.,]\d+)?\s*%?\)?)?")  # and no day
_FOOTNOTE = re.compile(r"[*†‡§#].*|(note|source|legend|abbreviations?|quelle|legende|anmerkung)s?\b.*", re.IGNORECASE)
_TOLD = ("study_date", "ecg_time", "sex", "path", "clip_path")  # beside ids: what tells a visit


def without_summaries(table: Table, means: TableMap) -> tuple[Table, tuple[str, ...]]:
    """The table without the rows that are no patient, and a note that tells which."""
    ids = [name for name, column in means.columns.items() if column.field in IDS]
    visit = [name for name, column in means.columns.items() if column.field in _TOLD]
    if not ids or table.rows.empty:
        return table, ()
    out = sorted(_summaries(table.rows, ids, visit) | _footnotes(table.rows, ids))
    if not out:
        return table, ()
    shown = ", ".join(map(str, out[:5])) + (" …" if len(out) > 5 else "")
    note = (
        f"Rows of {table.file} that are no patient (means, totals, counts, remarks) were left out: {len(out)} "
        f"(row {shown})."
    )
    return replace(table, rows=table.rows.drop(index=out)), (note,)


def _summaries(rows: pd.DataFrame, ids: list[str], visit: list[str]) -> set[int]:
    """The rows in which a word of statistics stands for the id."""
    known = {cell for name in ids for cell in rows[name].unique()}
    begun = [cell for cell in known if (first := _FIRST_WORD.match(cell)) and first[1].casefold() in _BEGIN]
    sure, short = ({cell for cell in begun if _is_label(cell, surely)} for surely in (True, False))
    others = known - sure - short if short else set()
    digits = sum(any(c.isdigit() for c in cell) for cell in others) > len(others) / 2
    labels = sure | short if digits else sure
    if not labels and not known & MISSING and "" not in known:
        return set()
    unnamed = rows.index[rows[ids].isin(list(MISSING)).all(axis=1)]
    named = rows.index[rows[ids].isin([*labels, *MISSING]).all(axis=1)].difference(unnamed)
    beside = [number for number in unnamed if any(_is_label(cell, True) for cell in rows.loc[number])]
    return {int(n) for n in (*named, *beside) if _tells_no_visit(rows.loc[n], visit)}


def _is_label(cell: str, surely: bool) -> bool:
    """Whether a cell is of words of statistics ("Mean ± SD", "n = 120"); surely, or of such as may be ids."""
    if _COUNT.fullmatch(cell):
        return True
    words = re.findall(r"[^\W_]+", cell.casefold())
    if not surely:
        return bool(set(words) & _SHORT) and set(words) <= _SHORT | _BESIDE
    plain = all(word.isdigit() for word in words if word not in _BEGIN)
    return plain and bool(set(words) & _SURE) and not re.search(r"[-_]\d", cell)


def _tells_no_visit(row: pd.Series, visit: Iterable[str]) -> bool:
    """Whether what tells a visit is empty, a number or a word of statistics in a row."""
    cells = [row[name] for name in visit if row[name].lower() not in MISSING]
    return all(_NUMBER.fullmatch(cell) or _is_label(cell, True) for cell in cells)


def _footnotes(rows: pd.DataFrame, ids: list[str]) -> set[int]:
    """The last rows that hold a remark alone, where ids hold no blanks."""
    out: set[int] = set()
    if len(rows.columns) < 3:
        return out
    with_blanks = rows[ids[0]].iloc[: max(len(rows) - 5, 1)].str.contains(r"\S\s+\S").any()
    for number, row in rows.iloc[:-6:-1].iterrows():
        cells = [cell for cell in row if cell.lower() not in MISSING]
        words = len(cells[0].split()) if len(cells) == 1 else 0
        if not (words and (_FOOTNOTE.fullmatch(cells[0]) or (words > 2 and not with_blanks))):
            break
        out.add(int(str(number)))
    return out
