"""What leaves a page as a file: report as JSON or CSV, figure as SVG, PDF or PNG, with their provenance inside."""

import csv
import io
import json
from typing import Any

from echo2ecg_core.figures.notation import MISSING
from echo2ecg_core.figures.tables import harmless
from echo2ecg_core.phenotypes import grade_word

RESEARCH_ONLY = "Research use only. Not a medical device."
FIGURE_FORMATS = ("svg", "pdf", "png")
_COLUMNS = (
    "name",
    "label",
    "unit",
    "kind",
    "value",
    "interval_low",
    "interval_high",
    "interval_level",
    "interval_reason",
    "cover_overall",
    "cover_of_disease",
    "disease",
    "reference_male",
    "reference_female",
    "reference_source",
    "chance_below",
    "chance_above",
    "test_r2",
    "reason",
    "source",
    "model_id",
    "model_sha256",
    "synthetic_model",
    "outside_training_data",
    "outside_because",
)


def report_json(report: dict) -> str:
    """A prediction report as one indented JSON document."""
    return json.dumps(report, indent=2, ensure_ascii=False)


def phenotypes_csv(report: dict) -> str:
    """The phenotypes of a prediction report, one row each; every row names file and model, so that rows can pool.

    The value of a valve grade is the chance (0 to 1) of moderate or worse.
    """
    outside = report.get("out_of_distribution") or {}
    shared = {
        "source": report["ecg"]["source"],
        "model_id": report["model"]["id"],
        "model_sha256": report["model"]["sha256"],
        "synthetic_model": report["model"]["synthetic"],
        "outside_training_data": outside.get("flag", ""),
        "outside_because": " and ".join(outside.get("because") or ()),
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in report["phenotypes"]:
        ends = row["interval"]
        if ends and row.get("kind") == "grade":
            ends = [grade_word(end) for end in ends]
        low, high = ends or ("", "")
        chance, cover = row.get("chance_outside") or {}, row.get("cover") or {}
        ranges = {f"reference_{sex}": _plain_range(limits) for sex, limits in (row["reference"] or {}).items()}
        line = {
            **{name: row.get(name, "") for name in _COLUMNS if name in row and name != "source"},
            **shared,
            **ranges,
            "interval_low": low,
            "interval_high": high,
            "cover_overall": cover.get("overall", ""),
            "cover_of_disease": cover.get("of_disease", ""),
            "disease": cover.get("disease", ""),
            "chance_below": chance.get("below", ""),
            "chance_above": chance.get("above", ""),
        }
        writer.writerow({name: harmless(value) for name, value in line.items()})
    return text.getvalue()


def _plain_range(limits) -> str:
    return " to ".join("" if end is None else f"{end:g}" for end in limits)


def provenance_line(report: dict | None, source: str) -> str:
    """One line under a figure: file, model, synthetic mark, research use."""
    parts = [source]
    if report is not None:
        model = report["model"]
        parts.append(f"model {model['name']} {model['id']}{' (synthetic)' if model['synthetic'] else ''}")
    return " · ".join([*parts, "Echo2ECG Explorer", RESEARCH_ONLY])


def figure_file(figure, kind: str, *, title: str, provenance: str, dpi: int = 300) -> bytes:
    """A matplotlib figure as a file whose metadata carry title and provenance.

    Args:
        figure: The figure; its size in inches is kept.
        kind: One of `FIGURE_FORMATS`.
        title, provenance: Written into the file's metadata.
        dpi: Resolution of a PNG.
    """
    import matplotlib
    from matplotlib.text import Text

    for words in figure.findobj(Text):
        words.set_parse_math(False)  # a "$" in the name of a model or label is a dollar, never the start of a formula
    metadata = {
        "svg": {"Title": title, "Description": provenance, "Date": None},
        "pdf": {"Title": title, "Subject": provenance, "CreationDate": None},
        "png": {"Title": title, "Description": provenance},
    }[kind]
    buffer = io.BytesIO()
    fonts: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42, "text.parse_math": False}  # 42: TrueType
    with matplotlib.rc_context(fonts | {"svg.hashsalt": title or MISSING}):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata, facecolor=figure.get_facecolor())
    return buffer.getvalue()
