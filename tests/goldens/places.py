"""Goldens ship thinned out: of long rows every so-manieth number. What a test found is compared at those places."""

import numpy as np


def at_stored_places(found: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Every so-manieth entry of `found` along each axis, so that it has the shape of `stored`."""
    found = np.asarray(found)
    assert found.ndim == np.ndim(stored), (found.shape, np.shape(stored))
    steps = [-(-n // m) for n, m in zip(found.shape, np.shape(stored), strict=True)]
    return found[tuple(slice(None, None, step) for step in steps)]
