"""Reads other people's PyTorch files without running anything that is inside them.

`torch.load(weights_only=True)` refuses every class it does not know. Trainers like to store configuration objects
(OmegaConf, paths) beside the weights; for those, and only those, an inert stand-in is registered under the class's
own name while the file is read: it takes whatever it is given and keeps nothing. Any other name in the file ends the
import.
"""

import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from echo2ecg_core.errors import ModelError

CONFIGURATION = (  # modules whose objects are replaced by stand-ins
    "omegaconf.", "pathlib.", "argparse.", "typing.", "collections.", "numpy.", "datetime.", "enum.",
    "lightning.", "lightning_fabric.", "pytorch_lightning.", "hydra.",
)  # fmt: skip
NUMPY_SCALARS = (  # what a number of numpy brings along; ECGFounder's file holds one or two beside its tensors
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "numpy.dtypes.Float64DType",
)  # fmt: skip
PLAIN_TYPES = {
    f"builtins.{name}"
    for name in ("dict", "list", "tuple", "int", "float", "bool", "str", "bytes", "object", "frozenset")
}
FULL_DOWNLOAD = "Download the file again and compare its size with the original."


class Placeholder:
    """Stands where the file holds a configuration object; keeps nothing of it."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


def _plain_dict(*args) -> dict:
    """Stands in for defaultdict, into which the unpickler wants to write."""
    return {}


def read_weight_file(path: Path) -> tuple[Any, tuple[str, ...]]:
    """What the file holds, on the CPU, and the names of the objects that were replaced by placeholders.

    Raises:
        ModelError: If the file is missing, empty, no PyTorch file, cut short, **or** wants to create or call anything
            but tensors, plain containers and configuration objects.
    """
    _check_beginning(path)
    replaced = _read_configuration_names(path)
    names = {*replaced, *NUMPY_SCALARS}  # in the old format, whose names cannot be listed, numbers alone are let in
    stand_ins: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (_plain_dict if name == "collections.defaultdict" else Placeholder, name) for name in names
    ]
    try:
        if _is_zip(path):
            _check_sums(path)
        with safe_globals(stand_ins):
            payload = torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except pickle.UnpicklingError as error:
        raise _refusal(path, _global_in(str(error))) from None
    except Exception as error:  # the parser meets foreign bytes: it raises RuntimeError, EOFError, KeyError, ...
        raise ModelError(
            f"{path.name} is damaged: its weights cannot be read ({type(error).__name__}).", FULL_DOWNLOAD
        ) from None
    return payload, replaced


def _check_beginning(path: Path) -> None:
    try:
        with open(path, "rb") as file:
            beginning = file.read(512)
    except OSError as error:
        raise ModelError(f"The weight file {path.name} cannot be opened: {error.strerror}.") from None
    text = beginning.lstrip().lower()
    if not beginning:
        raise ModelError(f"{path.name} is empty.", FULL_DOWNLOAD)
    if text.startswith(b"<"):
        raise ModelError(
            f"{path.name} is a web page, not a weight file.", "Download the file itself, not the page that shows it."
        )
    if text.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{path.name} is only a Git LFS pointer to the weights.", "Fetch the file with `git lfs pull`."
        )
    if beginning.startswith(b"PK") and not _is_zip(path):
        raise ModelError(f"{path.name} is cut short: the end of the file is missing.", FULL_DOWNLOAD)


def _is_zip(path: Path) -> bool:
    """True for a zip, as PyTorch's files are since 1.6; one whose end says impossible things is damaged."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        raise ModelError(f"{path.name} is damaged: its list of parts cannot be read.", FULL_DOWNLOAD) from None


def _check_sums(path: Path) -> None:
    """PyTorch does not compare the check sums it writes beside every weight; a flipped bit would pass unseen."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ModelError(
            f"{path.name} is damaged: the check sum of its part {Path(damaged).name} is wrong.", FULL_DOWNLOAD
        )


def _read_configuration_names(path: Path) -> tuple[str, ...]:
    """Names of configuration objects in the file, read without unpickling; refuses every other unknown name."""
    if not _is_zip(path):
        return ()  # the old format: plain tensors only
    try:
        names = sorted(get_unsafe_globals_in_checkpoint(path))
    except pickle.UnpicklingError as error:
        raise _refusal(path, _global_in(str(error))) from None
    except Exception as error:  # foreign bytes, as above
        raise ModelError(f"{path.name} is no PyTorch weight file ({type(error).__name__}).", FULL_DOWNLOAD) from None
    for name in names:
        if not name.startswith(CONFIGURATION) and name not in PLAIN_TYPES:
            raise _refusal(path, name)
    return tuple(names)


def _global_in(message: str) -> str:
    found = re.search(r"GLOBAL (\S+)", message)
    return found.group(1) if found else ""


def _refusal(path: Path, name: str) -> ModelError:
    what = (
        f"wants to use {name}, which is neither a weight nor a setting"
        if name
        else "is no PyTorch file of plain weights"
    )
    return ModelError(
        f"{path.name} {what}; nothing in it was run.",
        "Import weights only from people you trust, as plain state dicts.",
    )
