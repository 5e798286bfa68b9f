"""The names of the splits: of patients, and those whose patients an evaluation judges."""

PATIENT_SPLITS = ("train", "validation", "test")
JUDGED_SPLITS = ("test", "validation")  # the first is judged unless another is asked for
