"""Electrodes put back: against the potentials of the limbs, from which a swap is computed here."""

import numpy as np
import pytest

from echo2ecg_core.ecg.electrodes import UNSWAP
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.ecg.unswap import swapped_electrodes, unswapped


def limb_leads(right: np.ndarray, left: np.ndarray, foot: np.ndarray) -> np.ndarray:
    """I, II, III, aVR, aVL, aVF of three potentials."""
    return np.stack(
        [
            left - right, foot - right, foot - left,
            right - (left + foot) / 2, left - (right + foot) / 2, foot - (right + left) / 2,
        ]
    )  # fmt: skip


@pytest.mark.parametrize("electrodes", UNSWAP)
def test_electrodes_put_back_give_the_leads_of_the_right_places(electrodes):
    right, left, foot = np.random.default_rng(0).normal(size=(3, 500))
    swapped = {"left arm and right arm": (left, right, foot), "right arm and left leg": (foot, left, right)}[electrodes]
    chest = np.random.default_rng(1).normal(size=(6, 500))
    recorded = EcgRecord(np.concatenate([limb_leads(*swapped), chest]), 500.0, "NPY", "x.npy")
    found = unswapped(recorded, electrodes)
    assert found.signal_mv == pytest.approx(np.concatenate([limb_leads(right, left, foot), chest]), abs=1e-5)
    assert electrodes in found.doubts[-1] and recorded.doubts == ()


def test_the_pair_is_read_from_the_notes_of_the_quality():
    note = "The limb leads look as if the electrodes of left arm and right arm were swapped."
    assert swapped_electrodes(["Pacing spikes.", note]) == "left arm and right arm"
    assert swapped_electrodes(["Pacing spikes."]) is None
