"""Values, reference ranges and names of fields in words, as the Cohorts page says them everywhere."""

from echo2ecg_core.figures.notation import interval, measured_with_unit
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.phenotypes import PHENOTYPES, Phenotype

FIELDS = {
    "sex": "Sex of the patient",
    "study_date": "Date of the study",
    "age_years": "Age at the study, years",
    "rhythm": "Rhythm",
    "conduction": "Conduction",
    "ecg_time": "Time of the ECG",
    "view": "View",
}


def field_words(name: str) -> str:
    """A field in words, with its unit."""
    phenotype = PHENOTYPES.get(name)
    if phenotype is None:
        return FIELDS[name]
    return f"{phenotype.label}, {phenotype.unit}" if phenotype.unit else phenotype.label


def value_words(name: str, value) -> str:
    """A value of a field in words; "not known" for none."""
    if value is None or value != value:
        return "not known"
    if name in PHENOTYPES:
        return measured_with_unit(PHENOTYPES[name], value)
    if name in ("rhythm", "conduction"):
        return {**RHYTHMS, **CONDUCTIONS}[value].lower() if value != "other" else "other"
    return f"{value:g}" if isinstance(value, float) else str(value)


def reference_words(phenotype: Phenotype, sex: str | None = None) -> str:
    """The reference range: "52–72", of an unknown sex "M 52–72 · F 54–74"; in words where there is none."""
    ranges = phenotype.reference
    if not ranges:
        return "graded" if phenotype.kind == "grade" else "no guideline range"
    if sex is not None and sex in ranges:
        return interval(*ranges[sex], phenotype.decimals)
    if len(set(ranges.values())) == 1:
        return interval(*next(iter(ranges.values())), phenotype.decimals)
    return " · ".join(f"{s[0].upper()} {interval(*ranges[s], phenotype.decimals)}" for s in ("male", "female"))
