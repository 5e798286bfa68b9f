"""Whether six limb leads are what their names say, by the equations of Einthoven and Goldberger; one check for all.

III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2 hold in every recording, whatever the heart does.
A lead in the wrong place, upside down or scaled by itself breaks them. Energies are medians over blocks of two seconds
without their means, so that neither an offset nor a damaged stretch decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.record import LEADS

LIMB_LEADS = LEADS[:6]
# what lead I and lead II contribute to each of the other limb leads
FORMULAS = {"III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0)}
OF_I_AND_II = {"I": (1.0, 0.0), "II": (0.0, 1.0), **FORMULAS}
IN_WORDS = {"III": "II − I", "aVR": "−(I + II)/2", "aVL": "I − II/2", "aVF": "II − I/2"}
BLOCK_S = 2.0
TOLERANCE = 0.1  # of the size of leads I, II and III; devices filter and round each lead by itself (seen: 0.035)
BROKEN = 0.2  # of that size, in a block (seen in 145 recordings: 0.084 at most)
CLOSE = 0.1  # as far another order or other scales are believed
LEAST_ENERGY = 1e-3  # of the largest
LEAST_RECORDED = 0.5  # of a block
SAME = 0.02  # two orders that fit as well as each other
# limb leads, of which one can be told to be the odd one: without it the others still check each other
FEWEST_RECORDED = 4
CLEARLY_ODD = 2.0  # times as well do the others fit without it as without any other
UPSIDE_DOWN = 0.05  # how near to -1 the factor of a lead is that is no more than upside down


@dataclass(frozen=True)
class Order:
    """Where the limb leads lie in a file.

    Attributes:
        columns: The columns of I, II, III, aVR, aVL, aVF.
        negative_avr: Whether aVR is stored upside down, as the Cabrera sequence prints it.
        misfit: Largest deviation from the equations, as a share of the leads' size.
    """

    columns: tuple[int, ...]
    negative_avr: bool
    misfit: float


def block_energies(signal: np.ndarray, sampling_rate_hz: float) -> np.ndarray | None:
    """(blocks, leads, leads) covariance of every block, of the moments at which all leads were recorded; None where
    nothing moves, or where no block was recorded for half of its time.

    Args:
        signal: (leads, n) in any unit; NaN where nothing was recorded.
        sampling_rate_hz: Its rate.
    """
    length = min(signal.shape[1], max(2, int(BLOCK_S * sampling_rate_hz)))
    blocks = signal[:, : signal.shape[1] // length * length].reshape(len(signal), -1, length).swapaxes(0, 1)
    whole = np.isfinite(blocks).all(axis=1, keepdims=True)  # (b, 1, n)
    blocks, whole = (part[whole.mean(axis=(1, 2)) >= LEAST_RECORDED] for part in (blocks, whole))
    n_whole = whole.sum(axis=2, keepdims=True)
    blocks = np.where(whole, blocks, 0.0).astype(np.float64)
    blocks = np.where(whole, blocks - blocks.sum(axis=2, keepdims=True) / n_whole, 0.0)
    energies = blocks @ blocks.swapaxes(1, 2) / n_whole
    return energies if len(energies) and energies.any() else None


def misfits(signal: np.ndarray, sampling_rate_hz: float) -> dict[str, float]:
    """How far III, aVR, aVL and aVF are from what I and II say, as a share of the size of I, II and III.

    Args:
        signal: (6 or more, n), rows in standard order.
        sampling_rate_hz: Its rate.

    Returns:
        Lead -> misfit; empty where it cannot be judged. Leads that stand still are left out.
    """
    empty = np.isnan(signal[:6]).all(axis=1, keepdims=True)
    energies = block_energies(np.where(empty, 0.0, signal[:6]), sampling_rate_hz)
    if energies is None:
        return {}
    sizes = np.median(energies[:, range(6), range(6)], axis=0)
    if min(sizes[0], sizes[1]) <= 0:
        return {}
    found = {}
    for lead, (of_one, of_two) in FORMULAS.items():
        row = LIMB_LEADS.index(lead)
        weights = np.zeros(6)
        weights[[0, 1, row]] = of_one, of_two, -1.0
        if sizes[row] > 0:
            left_over = np.median(np.einsum("i,bij,j->b", weights, energies, weights))
            found[lead] = float(np.sqrt(max(left_over, 0.0) / sizes[:3].mean()))
    return found


def broken_for_a_while(signal: np.ndarray, sampling_rate_hz: float) -> list[str]:
    """A doubt where the equations, which hold in most of a recording, do not in some of its blocks: a lost sample
    shifts every lead into the place of another from there on.

    Args:
        signal: (6 or more, n), rows in standard order; NaN where nothing was recorded.
        sampling_rate_hz: Its rate.
    """
    length = max(2, int(BLOCK_S * sampling_rate_hz))
    last = signal.shape[1] - length
    begins = sorted({*range(0, last + 1, length), max(last, 0)})  # the last one ends with the recording
    found = [block_energies(signal[:6, begin : begin + length], sampling_rate_hz) for begin in begins]
    blocks = [(begin, energies[0]) for begin, energies in zip(begins, found, strict=True) if energies is not None]
    size = np.median([np.diag(energy)[:3].mean() for _, energy in blocks]) if blocks else 0.0
    relations = np.zeros((4, 6))
    for relation, (lead, (a, b)) in zip(relations, FORMULAS.items(), strict=True):
        relation[[0, 1, LIMB_LEADS.index(lead)]] = a, b, -1.0
    broken = []
    for begin, energy in blocks:
        moves = np.diag(energy) > 0
        left_over = np.einsum("ki,ij,kj->k", relations, energy, relations)[moves[2:]]
        if size > 0 and moves[:2].all() and (left_over > BROKEN**2 * size).any():
            broken.append(begin)
    if not broken:
        return []
    first_s, end_s = broken[0] / sampling_rate_hz, min(broken[-1] + length, signal.shape[1]) / sampling_rate_hz
    return [
        f"Between {first_s:.3g} and {end_s:.3g} s the limb leads contradict each other, elsewhere they do not: samples "
        "may be lost there, or leads exchanged."
    ]


def best_order(signal: np.ndarray, sampling_rate_hz: float) -> Order | None:
    """The columns in which the limb-lead equations hold, None where they hold in no order.

    Of orders that fit equally well the one nearest to the standard order is taken.

    Args:
        signal: (6 or more, n), columns of a file as rows.
        sampling_rate_hz: Its rate.
    """
    energies = block_energies(signal, sampling_rate_hz)
    if energies is None:
        return None
    n = len(signal)
    own = energies[:, range(n), range(n)]  # (b, n)
    of_three = own[:, :, None] + own[:, None] - 2 * energies
    size = np.median(own[:, :, None] + own[:, None] + of_three, axis=0) / 3  # (I, II)
    left_over = {  # (I, II, column) energy that remains of a column when the formula is taken off
        (lead, sign): np.median(_left_over(energies, sign * a, sign * b), axis=0)
        for lead, (a, b) in FORMULAS.items()
        for sign in ((1, -1) if lead == "aVR" else (1,))
    }
    candidates = []
    for one, two in np.argwhere(size > 1e-9 * size.max()):
        if one != two:
            candidates += _orders_with(int(one), int(two), left_over, size[one, two])
    candidates = [
        order for order in candidates if _turns(np.median(energies, axis=0)[np.ix_(order.columns, order.columns)])
    ]
    if not candidates:
        return None
    best = min(order.misfit for order in candidates)
    alike = [order for order in candidates if order.misfit <= best + SAME]
    return min(alike, key=lambda order: (order.negative_avr, sum(abs(c - i) for i, c in enumerate(order.columns))))


def _turns(energy: np.ndarray) -> bool:
    """Whether six leads see a vector that turns: leads that are flat, or one wave in many sizes, fit by chance."""
    spread = np.linalg.eigvalsh(energy)
    return bool(energy.diagonal().min() > LEAST_ENERGY * spread[-1] and spread[-2] > LEAST_ENERGY * spread[-1])


def _left_over(energies: np.ndarray, a: float, b: float) -> np.ndarray:
    """(b, I, II, column) energy of column - a * I - b * II."""
    own = energies[:, range(energies.shape[1]), range(energies.shape[1])]
    formula = a * a * own[:, :, None] + b * b * own[:, None] + 2 * a * b * energies  # (b, I, II)
    shared = a * energies[:, :, None] + b * energies[:, None]  # (b, I, II, column)
    return own[:, None, None] + formula[..., None] - 2 * shared


def _orders_with(one: int, two: int, left_over: dict, size: float) -> list[Order]:
    """The close orders whose leads I and II are these two columns, with aVR upright and upside down."""
    orders = []
    for sign in (1, -1):
        columns, misfit = [one, two], 0.0
        for lead in FORMULAS:
            energy = left_over[lead, sign if lead == "aVR" else 1][one, two].copy()
            energy[columns] = np.inf
            columns.append(int(energy.argmin()))
            misfit = max(misfit, float(np.sqrt(max(energy.min(), 0.0) / size)))
        if misfit < CLOSE:
            orders.append(Order(tuple(columns), sign < 0, misfit))
    return orders


def own_scales(signal: np.ndarray, sampling_rate_hz: float) -> np.ndarray | None:
    """Factors, one a limb lead, that make the equations hold where every lead was scaled by itself; None without any.

    The factors are the smallest eigenvector of the equations' energy; only their ratios mean something.

    Args:
        signal: (6 or more, n), rows in standard order.
        sampling_rate_hz: Its rate.
    """
    energies = block_energies(signal[:6], sampling_rate_hz)
    if energies is None:
        return None
    energy = np.median(energies, axis=0)
    height = np.sqrt(np.diag(energy))
    if not (height > 0).all() or not _turns(energy / np.outer(height, height)):
        return None
    alike = energy / np.outer(height, height)  # every lead equally high
    relations = np.zeros((4, 6))
    for relation, (lead, (a, b)) in zip(relations, FORMULAS.items(), strict=True):
        relation[[0, 1, LIMB_LEADS.index(lead)]] = a, b, -1.0
    _, vectors = np.linalg.eigh(sum(np.outer(r, r) * alike for r in relations))
    scales = vectors[:, 0] * np.sign(vectors[0, 0]) / height
    if not (scales > 0).all():
        return None
    found = misfits(signal[:6] * (scales / scales.mean())[:, None], sampling_rate_hz)
    return scales / scales.mean() if found and max(found.values()) < CLOSE else None


@dataclass(frozen=True)
class OddLead:
    """The one limb lead that breaks the equations which the others keep.

    Attributes:
        row: Its row in standard order.
        factor: How many times as high as the others say it is, -1 where it is upside down; None where it is another
            signal.
    """

    row: int
    factor: float | None

    @property
    def note(self) -> str:
        """What is done with a multiple of what it should be."""
        if self.factor == -1:
            return f"Lead {LIMB_LEADS[self.row]} is stored upside down; it was turned."
        return (
            f"Lead {LIMB_LEADS[self.row]} is {self.factor:.3g} times what the other limb leads say, which agree with "
            "one another; it was brought to their scale."
        )

    @property
    def doubt(self) -> str:
        """What a multiple leaves open; "" for aVR upside down, as the Cabrera sequence prints it."""
        if self.factor == -1 and LIMB_LEADS[self.row] == "aVR":
            return ""
        what = "upside down" if self.factor == -1 else "scaled by itself"
        return f"{self.note} Whether a chest lead is {what}, too, cannot be checked."


def odd_one_out(signal: np.ndarray, sampling_rate_hz: float, recorded: Sequence[int]) -> OddLead | None:
    """The one lead without which the equations hold among the others, None where it is none, or no single one.

    Args:
        signal: (6 or more, n), rows in standard order.
        sampling_rate_hz: Its rate.
        recorded: Rows of the limb leads that were not computed from others.
    """
    rows = list(recorded)
    energies = block_energies(signal[rows], sampling_rate_hz) if len(rows) >= FEWEST_RECORDED else None
    if energies is None:
        return None
    of_i_and_ii = np.array([OF_I_AND_II[LIMB_LEADS[row]] for row in rows])  # (leads, 2)

    def energy(weights: np.ndarray) -> np.ndarray:
        """(k,) energies of k sums of leads; (k, leads) weights."""
        return np.median(np.einsum("ki,bij,kj->bk", weights, energies, weights), axis=0)

    fits = []
    for at in range(len(rows)):
        others = [i for i in range(len(rows)) if i != at]
        sources = np.zeros((2, len(rows)))  # I and II as the others tell them
        sources[:, others] = np.linalg.pinv(of_i_and_ii[others])
        size = energy(np.vstack([sources, sources[1:] - sources[:1]])).mean()
        left_over = energy((np.eye(len(rows)) - of_i_and_ii @ sources)[others]).max()
        fits.append((float(np.sqrt(max(left_over, 0.0) / size)) if size > 0 else np.inf, at, sources, size))
    (misfit, at, sources, size), (next_misfit, *_) = sorted(fits, key=lambda fit: fit[0])[:2]
    if misfit > CLOSE or next_misfit < CLEARLY_ODD * misfit:
        return None
    said, own = of_i_and_ii[at] @ sources, np.eye(len(rows))[at]
    of_said, of_own, of_sum = energy(np.stack([said, own, said + own]))
    shared = (of_sum - of_said - of_own) / 2
    factor = shared / of_said if of_said > 0 else 0.0
    is_scaled = factor != 0 and of_own - factor * shared <= (TOLERANCE * factor) ** 2 * size
    if not is_scaled:
        return OddLead(rows[at], None)
    return OddLead(rows[at], -1.0 if abs(factor + 1) <= UPSIDE_DOWN else float(factor))


def told(found: dict[str, float], names: Sequence[str] = tuple(FORMULAS)) -> str:
    """The equations that do not hold, in words: "III differs from II − I by 37 %"."""
    return " and ".join(
        f"{lead} differs from {IN_WORDS[lead]} by {100 * found[lead]:.0f} %"
        for lead in names
        if found.get(lead, 0.0) > TOLERANCE
    )
