"""PyTorch files (.pt) that hold tensors, loaded with weights_only=True: nothing in them is ever executed.

Only the zip layout (PyTorch 1.6 and later) is read; the older pickle layout can claim memory before it is checked.
"""

import io
from collections.abc import Iterator

import numpy as np

from echo2ecg_core.ecg.channels import MAX_VALUES, NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import EcgFile, check_unpacked_size
from echo2ecg_core.ecg.formats.array_layout import named_arrays
from echo2ecg_core.errors import ReadError, SignalError


def recognises(names: list[str]) -> bool:
    """Whether the member names of a zip are those of a PyTorch file."""
    return any(name.endswith("/data.pkl") for name in names)


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recordings of the largest fitting tensor.

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
    yield from named_arrays(_arrays(content), told.sampling_rate_hz, file.name, "PyTorch", told=told)


def _arrays(content) -> dict[str, np.ndarray]:
    """Tensors, numbers and texts of a loaded object as arrays by name; nested containers are flattened once."""
    if isinstance(content, dict):
        items = {str(key): value for key, value in content.items()}
    elif isinstance(content, list | tuple):
        items = {str(index): value for index, value in enumerate(content)}
    else:
        items = {"tensor": content}
    arrays = {}
    for name, value in items.items():
        if (
            isinstance(value, int | float | str)
            or isinstance(value, list | tuple)
            and all(isinstance(item, str) for item in value)
        ):
            arrays[name] = np.asarray(value)
        elif hasattr(value, "numpy"):
            arrays[name] = _as_array(value)
    return arrays


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
