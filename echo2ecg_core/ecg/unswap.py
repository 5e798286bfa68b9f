"""A recording with two limb electrodes put back: what the leads would have shown, computed from what they show.

Exact, because limb leads are differences of the same three potentials; chest leads change by nothing but Wilson's
terminal, which a swap of limb electrodes leaves alone.
"""

from dataclasses import replace

import numpy as np

from echo2ecg_core.ecg.electrodes import UNSWAP
from echo2ecg_core.ecg.record import LEADS, EcgRecord


def swapped_electrodes(notes: tuple[str, ...] | list[str]) -> str | None:
    """The pair of electrodes, a key of `UNSWAP`, that the quality's notes name as swapped; None without."""
    return next((pair for pair in UNSWAP for note in notes if f"the electrodes of {pair} were swapped" in note), None)


def unswapped(record: EcgRecord, electrodes: str) -> EcgRecord:
    """The record with this pair of electrodes put back, which its doubts tell.

    Args:
        record: As it was recorded.
        electrodes: Key of `UNSWAP`.
    """
    signal = record.signal_mv.copy()
    signal[:6] = np.stack([sign * record.signal_mv[LEADS.index(lead)] for lead, sign in UNSWAP[electrodes]])
    told = f"The limb leads are computed as if {electrodes} had not been swapped; the file shows them swapped."
    return replace(record, signal_mv=signal, doubts=(*record.doubts, told), notes=(*record.notes, told))
