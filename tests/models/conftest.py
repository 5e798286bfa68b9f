"""The goldens as the network tests use them: formula-made weights and inputs, expected numbers."""

import importlib.util
import json
from functools import cache

import numpy as np
import pytest
import torch

FILLINGS = ("sin", "hash")


class Goldens:
    """Formula-made weights ("sin", "hash") and inputs, and the numbers the published implementation gave for them."""

    def __init__(self, folder):
        self.folder = folder
        module_spec = importlib.util.spec_from_file_location("golden_inputs", folder / "golden_inputs.py")
        self.inputs = importlib.util.module_from_spec(module_spec)
        module_spec.loader.exec_module(self.inputs)
        self.constants = self.json("constants")

    @cache  # noqa: B019  (one object a session)
    def json(self, name):
        return json.loads((self.folder / f"{name}.json").read_text())

    @cache  # noqa: B019
    def arrays(self, name):
        return dict(np.load(self.folder / f"{name}.npz"))

    def weights(self, filling, keys):
        """State dict of [[key, shape, dtype], ...]; the fixed time code is not filled but computed."""
        return {
            key: self.time_code(shape[1] - 1)
            if key.endswith("pos_embed_x")
            else torch.from_numpy(self.inputs.fill(filling, key, shape, self.constants))
            for key, shape, _ in keys
        }

    def time_code(self, n_patches):
        """The sine-cosine table of the README, written out: (1, 1 + n_patches, 96)."""
        table = np.zeros((1, 1 + n_patches, 96), dtype=np.float32)
        for m in range(48):
            angle = np.arange(n_patches, dtype=np.float32) * np.float32(10000 ** (-m / 48))
            table[0, 1:, m], table[0, 1:, 48 + m] = np.sin(angle), np.cos(angle)
        return torch.from_numpy(table)

    def ecg(self, batch, n_samples, name="encoder"):
        """(batch, 12, n_samples)."""
        return torch.from_numpy(self.inputs.encoder_input(self.constants, batch, n_samples, name=name)[:, 0])

    def noise(self, name, shape):
        return torch.from_numpy(self.inputs.noise(name, shape, self.constants, amp=1.5))

    def views(self, counts, name="echo_views"):
        views, is_padding = self.inputs.echo_views(self.constants, counts, name=name)
        return torch.from_numpy(views), torch.from_numpy(is_padding)


@pytest.fixture(scope="session")
def published_numbers(goldens):
    return Goldens(goldens)


@pytest.fixture(params=FILLINGS)
def filling(request):
    return request.param
