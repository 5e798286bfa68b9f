"""PyTorch files (.pt) that hold tensors, loaded with weights_only=True: nothing in them is ever executed.

Only the zip layout (PyTorch 1.6 and later) is read; the older pickle layout can claim memory before it is checked.
"""

import io
from collections.abc import Iterator

import numpy as np

from echo2ecg_core.ecg.channels import MAX_VALUES, NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import EcgFile, check_unpacked_size
from echo2ecg_core.ecg.formats.containers import Container
from echo2ecg_core.errors import ReadError, SignalError

MAX_DEPTH = 4


def recognises(names: list[str]) -> bool:
    """Whether the member names of a zip are those of a PyTorch file."""
    return any(name.endswith("/data.pkl") for name in names)


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recordings of the largest fitting tensor and those like it.

    Raises:
        ReadError: If the file holds anything but tensors, numbers and texts.
        SignalError: If no tensor has an axis of leads.
    """
    import pickle

    import torch

    check_unpacked_size(file)
    try:
        content = torch.load(io.BytesIO(file.read()), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ReadError(
            f"“{file.name}” holds Python objects besides tensors, which are never loaded.",
            "Save the tensors alone: torch.save(tensor, path).",
        ) from error
    yield from Container(_arrays(content), file.name).recordings("PyTorch", told=told)


def _arrays(content, path: str = "", depth: int = 0) -> dict[str, np.ndarray]:
    """Tensors, numbers and texts of a loaded object as arrays by path."""
    if isinstance(content, dict):
        items = {str(key).replace("/", "_"): value for key, value in content.items()}
    elif isinstance(content, list | tuple) and not _values_alone(content):
        items = {str(index): value for index, value in enumerate(content)}
    elif hasattr(content, "numpy"):
        return {path or "tensor": _as_array(content)}
    else:
        is_value = isinstance(content, int | float | str) or _values_alone(content)
        return {path or "value": np.asarray(content)} if is_value else {}
    found: dict[str, np.ndarray] = {}
    for key, value in items.items() if depth < MAX_DEPTH else ():
        found |= _arrays(value, f"{path}/{key}" if path else key, depth + 1)
    return found


def _values_alone(content) -> bool:
    """Whether a list holds texts alone, or numbers alone."""
    is_list = isinstance(content, list | tuple) and len(content) > 1
    return is_list and any(all(isinstance(item, kind) for item in content) for kind in (str, (int, float)))


def _as_array(tensor) -> np.ndarray:
    """A tensor as an array; the values of views that repeat few numbers many times are not spelled out."""
    import torch

    if tensor.numel() > MAX_VALUES and not tensor.is_contiguous():
        raise SignalError(
            f"A tensor claims {tensor.numel():,} values; one ECG may have at most {MAX_VALUES:,}.",
            "Save a contiguous tensor of single recordings.",
        )
    tensor = tensor.detach().cpu()
    return (tensor.to(torch.float32) if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).numpy()
