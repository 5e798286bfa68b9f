"""One evaluation as `evaluate` left it (report.json), read by name: tasks, rows of encoders, scores with intervals.

Holds what was computed and computes nothing, so that page, HTML report and paper can only say the same.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from echo2ecg_core.counts import counted, counted_days
from echo2ecg_core.errors import StoreError

NEEDED = ("model", "split", "counts", "tasks", "rows")
READOUTS = {"probe": "Linear probe", "knn": "kNN, k = 5", "boosting": "Gradient boosting"}
PAGE_READOUT = "Kernel ridge"  # the readout behind the estimates of the ECG page
MODEL, FEATURES = "model", "features"
RowOf = tuple[str, str]  # id of a model, key of a row of its report
Difference = tuple[str, tuple[float, float, float]]  # main metric of a task, difference with its interval
Direct = Callable[[str, str, RowOf, RowOf], Difference | None]  # split, task, a row, the row it is compared with


def readout_words(readout: str) -> str:
    """A readout inside a sentence: "linear probe", "kNN, k = 5"."""
    words = READOUTS.get(readout, readout)
    return words if words.startswith("kNN") else words[:1].lower() + words[1:]


def labels_words(data: dict) -> str:
    """Which echo an ECG of a report is labelled by, as a sentence with a space before it; "" for a report that does not
    say."""
    days, ecgs = data.get("within_days"), data.get("counts", {}).get("ecgs")
    if days is None:
        return ""
    nearest = f"the patient's echo nearest in time, at most {counted_days(days)} apart"
    undated = (data.get("days_apart") or {}).get("not_known") or 0
    if not undated:
        return f" Labels: {nearest}."
    own = "the echo that the data set names, without days between"
    return (
        f" Labels: {own}."
        if undated == ecgs
        else f" Labels: of {counted(undated, 'ECG')} {own}; of the others {nearest}."
    )


@dataclass(frozen=True)
class Encoder:
    """One line of the models table: an encoder with its results under the chosen readout and under the other one.

    Attributes:
        key: "model", "random", "features", … as the report calls it; a model set beside: its id.
        label: Name in words.
        kind: "model", "beside" (the model of another report), "random", "features" or "imported".
        model_id: Of a registered model, else None.
        parameters: Of the ECG encoder; None for what is no network.
        row_key: The row the chosen results come from, None when there is none.
        chosen, other: Task -> score -> [value, low, high].
    """

    key: str
    label: str
    kind: str
    model_id: str | None
    parameters: int | None
    row_key: str | None
    chosen: dict = field(default_factory=dict)
    other: dict = field(default_factory=dict)

    def score(self, task: str, metric: str) -> list | None:
        """[value, low, high] under the chosen readout, None when it was not measured."""
        return self.chosen.get(task, {}).get(metric)

    def other_score(self, task: str, metric: str) -> list | None:
        """The same under the other readout."""
        return self.other.get(task, {}).get(metric)


@dataclass(frozen=True, eq=False)
class Report:
    """The report of one model, `beside` it the reports of others on the same patients.

    Attributes:
        data: The document as `evaluate` wrote it.
        beside: Reports whose models stand in the same tables.
        direct: Looks up how much better or worse one row is than another on the same ECGs; None where that is not
            known.
    """

    data: dict
    beside: tuple["Report", ...] = ()
    direct: Direct = lambda split, task, row, other: None

    def page_r2(self, phenotype: str | None) -> list[float] | None:
        """R² of the readout behind the ECG page on the model's test patients, as that page shows it, with its
        interval."""
        found = self.section("page_readout", phenotype)
        if found.get("r2") is None:
            return None
        return [found["r2"], *(found.get("r2_interval") or (float("nan"), float("nan")))]

    @property
    def model(self) -> dict:
        """id, name, sha256, synthetic, parameters."""
        return self.data["model"]

    @property
    def split(self) -> str:
        """Whose patients are judged: "test", or "validation", on whom readouts were calibrated."""
        return self.data["split"]

    @property
    def synthetic(self) -> bool:
        """True when the test patients are simulated hearts or the model has seen no others."""
        return bool(self.data.get("synthetic") or self.model.get("synthetic"))

    def section(self, name: str, task: str | None = None):
        """A part of the document, or of it what belongs to one task; {} where there is none."""
        found = self.data.get(name) or {}
        return found if task is None else found.get(task) or {}

    def findings(self) -> dict[str, dict]:
        """Tasks that tell classes apart, in the document's order."""
        return {name: task for name, task in self.data["tasks"].items() if task["kind"] != "regression"}

    def regressions(self) -> dict[str, dict]:
        """Tasks that predict a value."""
        return {name: task for name, task in self.data["tasks"].items() if task["kind"] == "regression"}

    def regression_of(self, finding: str) -> str | None:
        """The task that predicts the value a finding is a threshold of; None for a finding of several phenotypes."""
        phenotype = self.data["tasks"][finding].get("phenotype")
        return next(
            (n for n, task in self.regressions().items() if phenotype and task.get("phenotype") == phenotype), None
        )

    def retrieval_score(self, way: str, metric: str, phenotype: str | None = None) -> list[float] | None:
        """[value, low, high] of a retrieval score, the ends NaN in a report without them; None where it was not
        measured."""
        found, ends = self.section("retrieval"), "intervals" if phenotype is None else "by_phenotype_intervals"
        scores, limits = found, found.get(ends) or {}
        if phenotype is not None:
            scores, limits = (part.get(phenotype) or {} for part in (found.get("by_phenotype") or {}, limits))
        value = (scores.get(way) or {}).get(metric)
        if value is None:
            return None
        low, high = (limits.get(way) or {}).get(metric) or (None, None)
        return [value, *(float("nan") if end is None else end for end in (low, high))]

    def readouts(self) -> list[str]:
        """Readouts of the model itself: "probe", "knn"."""
        return [
            name
            for name in READOUTS
            if any(row["kind"] == MODEL and row["readout"] == name for row in self.data["rows"])
        ]

    def encoders(self, readout: str) -> list[Encoder]:
        """This model, those beside it, then every other encoder of the report; each once."""
        own = self._encoders(readout)
        beside = [_beside(report, readout) for report in self.beside]
        return [e for e in own if e.kind == MODEL] + [e for e in beside if e] + [e for e in own if e.kind != MODEL]

    def model_row(self, readout: str) -> Encoder:
        """The model this report is about."""
        return next(e for e in self._encoders(readout) if e.kind == MODEL)

    def difference_to_model(self, task: str, encoder: Encoder, readout: str) -> Difference | None:
        """An encoder minus the report's own model, ECG by ECG; None where their predictions cannot be paired."""
        model, owner = self.model_row(readout), encoder.model_id if encoder.kind == "beside" else self.model["id"]
        if not owner or not model.row_key or not encoder.row_key:
            return None
        return self.direct(self.split, task, (owner, encoder.row_key), (self.model["id"], model.row_key))

    def _encoders(self, readout: str) -> list[Encoder]:
        grouped: dict[str, list[dict]] = {}
        for row in self.data["rows"]:
            grouped.setdefault(row["key"].rpartition(".")[0] or row["key"], []).append(row)
        return [_encoder(key, rows, readout) for key, rows in grouped.items()]


def _encoder(key: str, rows: list[dict], readout: str) -> Encoder:
    """The rows of one encoder as one line; hand-made features have a readout of their own."""
    first = rows[0]
    fits = [row for row in rows if row["readout"] == readout or (row["kind"] == FEATURES and len(rows) == 1)]
    others = [row for row in rows if row["readout"] != readout and row not in fits]
    chosen, other = (found[0] if found else None for found in (fits, others))
    return Encoder(
        key,
        first["encoder"],
        first["kind"],
        first.get("model_id"),
        first.get("parameters"),
        chosen["key"] if chosen else None,
        chosen["results"] if chosen else {},
        other["results"] if other else {},
    )


def _beside(report: Report, readout: str) -> Encoder | None:
    found = next((e for e in report._encoders(readout) if e.kind == MODEL), None)
    return found and Encoder(
        report.model["id"],
        found.label,
        "beside",
        report.model["id"],
        found.parameters,
        found.row_key,
        found.chosen,
        found.other,
    )


def parse_report(text: str | bytes, name: str) -> dict:
    """The document in a report file.

    Args:
        text: Content of the file.
        name: How messages call it.

    Raises:
        StoreError: it is no report, or one that an evaluation did not finish.
    """
    try:
        data = json.loads(text)
        missing = [key for key in NEEDED if key not in data]
    except (ValueError, TypeError) as error:
        raise StoreError(f"The report of {name} is damaged ({error}).", "Evaluate the model again.") from error
    if missing or not any(row.get("kind") == MODEL for row in data["rows"]):
        raise StoreError(
            f"The report of {name} is incomplete: {', '.join(missing) or 'the row of the model'} is missing.",
            "Evaluate the model again.",
        )
    return data
