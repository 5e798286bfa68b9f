"""The card of a model from its manifest: trained on, calibrated on, for whom not, figures (after Mitchell et al., Model
Cards for Model Reporting, 2019). What the manifest does not tell is told to be unknown."""

from html import escape

from echo2ecg_core.counts import counted_days
from echo2ecg_core.figures.export import RESEARCH_ONLY
from echo2ecg_core.figures.notation import MISSING, held_times, interval, number, observed
from echo2ecg_core.figures.scores import count
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import panels

UNKNOWN = "not told by the manifest"
WINDOWS = {"first": "the first of a recording", "all": "all of a recording, averaged"}


def purpose(card: ModelCard) -> str:
    """What the model does, in one line."""
    return (
        f'<p class="e2e-facts">{escape(card.name)} turns a 12-lead ECG into estimates of what an echocardiogram would '
        f"measure, and into a vector by which ECGs and echo studies are compared. {RESEARCH_ONLY}</p>"
    )


def trained_on(manifest: dict) -> dict[str, str]:
    """Cohort, pairs and run, by label."""
    cohort, pairs, run = manifest.get("cohort") or {}, manifest.get("pairs") or {}, manifest.get("run") or {}
    patients = (cohort.get("patients") or {}).get("train")
    days = manifest.get("within_days")
    started = (manifest.get("started_from") or {}).get("name") or manifest.get("start_from")
    minutes = manifest.get("training_minutes")
    return {
        "Hearts": "simulated hearts only"
        if manifest.get("synthetic")
        else "real patients, as far as the manifest tells",
        "Patients": _count(patients),
        "ECGs" if run.get("objective") == "masked" else "Pairs of an ECG and a study": _count(pairs.get("train")),
        "Longest time between ECG and echo": counted_days(days) if days is not None else UNKNOWN,
        "Objective": f"{run['objective']}, {run.get('epochs', MISSING)} epochs" if "objective" in run else UNKNOWN,
        "Started from": str(started) if started else "random weights or unknown",
        "Training time": f"{number(minutes)} min" if minutes is not None else UNKNOWN,
        "Command": manifest.get("command") or UNKNOWN,
    }


def calibrated_on(manifest: dict) -> dict[str, str]:
    """Who the readouts and intervals come from, and who they were tested on, by label."""
    readouts, test = manifest.get("readouts") or {}, manifest.get("test") or {}
    outside = test.get("share_outside")
    return {
        "Readouts fitted on": _of(readouts, "labelled"),
        "Intervals calibrated on": _of(readouts, "calibration"),
        "Tested on": f"{count(test['ecgs'])} ECGs of {count(test['patients'])} patients" if "ecgs" in test else UNKNOWN,
        "Test ECGs called outside the training data": UNKNOWN if outside is None else observed(outside),
        "Labels": manifest.get("labels") or UNKNOWN,
    }


def _of(readouts: dict, kind: str) -> str:
    ecgs, patients = readouts.get(f"{kind}_ecgs"), readouts.get(f"{kind}_patients")
    return UNKNOWN if ecgs is None else f"{count(ecgs)} ECGs" + (f" of {count(patients)} patients" if patients else "")


def _count(n: int | None) -> str:
    return UNKNOWN if n is None else count(n)


def whom_not(manifest: dict) -> list[str]:
    """For whom the model is not made, in sentences that follow from its manifest."""
    found = ["Treatment: no estimate here is a diagnosis, and none was tested in care."]
    if manifest.get("synthetic"):
        found.append("Real patients: it has seen simulated hearts only, and its figures say nothing about people.")
    tested = (manifest.get("test") or {}).get("phenotypes") or {}
    for why, words in (
        ("no better than", "on test patients the estimate is no better than chance"),
        ("too few test", "too few test patients to tell what the estimate is worth"),
    ):
        if those := [name for name, row in tested.items() if name in PHENOTYPES and why in _why_not(name, row)]:
            named = ", ".join(f"{PHENOTYPES[name].label} ({PHENOTYPES[name].short})" for name in those)
            found.append(f"{named}: {words}.")
    lvef = tested.get("lvef") or {}
    if lvef.get("coverage_disease") is not None:
        times = held_times(lvef["coverage_disease"], lvef.get("coverage_disease_interval"), lvef.get("disease_ecgs"))
        found.append(
            f"Ruling a disease out by the interval alone: for {escape(lvef['disease'])} the 90 % interval held {times}."
        )
    found.append("ECGs that the page calls outside the training data, paced ECGs, and recordings with swapped leads.")
    found.append("Children, and anyone unlike the patients named above, as long as nobody has tested it on them.")
    return found


def _why_not(name: str, row: dict) -> str:
    from echo2ecg_core.answers.predict import why_not_shown

    return why_not_shown(PHENOTYPES[name], row) or ""


def not_for(manifest: dict) -> str:
    """HTML of `whom_not`."""
    items = "".join(f"<li>{sentence}</li>" for sentence in whom_not(manifest))
    return f'<h2 class="e2e-section">Not for</h2><ul class="e2e-list">{items}</ul>'


def figures(manifest: dict) -> str:
    """HTML table of what was measured on test patients, a row a phenotype."""
    tested = (manifest.get("test") or {}).get("phenotypes") or {}
    if not tested:
        return f'<h2 class="e2e-section">Figures</h2><p class="e2e-muted">Figures are {UNKNOWN}.</p>'
    head = "".join(
        f"<th class='num'>{words}</th>"
        for words in ("ECGs", "R²", "Mean absolute error", "Median predictor", "AUROC of disease", "90 % interval held")
    )
    body = "".join(_figure_row(name, row) for name, row in tested.items() if name in PHENOTYPES)
    table = f'<table class="e2e-table"><thead><tr><th>Phenotype</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    return (
        '<h2 class="e2e-section">Figures, on test patients that neither trained nor calibrated it</h2>'
        + panels.scrolling(table, "Figures of the model")
        + '<p class="e2e-muted">95 % intervals in parentheses. The median predictor answers the same for everybody.</p>'
    )


def _figure_row(name: str, row: dict) -> str:
    phenotype = PHENOTYPES[name]
    auroc = next((key for key in ("auroc_reduced", "auroc_moderate") if key in row), "auroc")
    held = "" if row.get("coverage") is None else observed(row["coverage"])
    cells = (
        count(row.get("n")),
        MISSING if phenotype.kind == "grade" else _score(row, "r2", 2),
        MISSING if phenotype.kind == "grade" else _score(row, "mae", phenotype.decimals + 1),
        MISSING if phenotype.kind == "grade" else _score(row, "median_mae", phenotype.decimals + 1),
        _score(row, auroc, 2),
        held or MISSING,
    )
    unit = f" <span>{escape(phenotype.unit)}</span>" if phenotype.unit and phenotype.kind != "grade" else ""
    return (
        f'<tr><th scope="row">{escape(phenotype.label)}{unit}</th>'
        + "".join(f'<td class="num">{cell}</td>' for cell in cells)
        + "</tr>"
    )


def _score(row: dict, key: str, decimals: int) -> str:
    ends: tuple[float, float] | None = row.get(f"{key}_interval")
    beside = f" <small>({interval(*ends, decimals)})</small>" if ends else ""
    return f"{number(row.get(key), decimals)}{beside}"


def weights(card: ModelCard) -> dict[str, str]:
    """Id, hash and input of the weights, by label."""
    manifest = card.manifest()
    spec = (manifest.get("spec") or {}).get("ecg_input") or {}
    seconds = spec["n_samples"] / spec["sampling_rate_hz"] if spec else None
    window = (
        f"{number(seconds, 2)} s at {spec['sampling_rate_hz']:g} Hz, {WINDOWS.get(spec['windows'], spec['windows'])}"
        if spec
        else UNKNOWN
    )
    return {"Model": f"{card.name} {card.model_id}", "SHA-256": card.sha256, "Window of the ECG": window}


def facts(caption: str, rows: dict[str, str]) -> str:
    """HTML table of labels and words."""
    body = "".join(f"<tr><th scope='row'>{escape(k)}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return f'<table class="e2e-table pairs"><caption>{caption}</caption><tbody>{body}</tbody></table>'
