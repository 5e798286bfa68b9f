"""How often leads that disagree in time, gain or height are told, and how often leads that agree are.

Run: python -m benchmarks.lead_agreement --samples FOLDER [--phantoms 300]. FOLDER holds ECG files of any format (the
same recording counts once); phantoms are fresh simulated patients. Prints the weights by which six leads let expect a
chest lead (least squares on the median beats of every second recording, each beat of size one), then one JSON line a
damage: in how many recordings of each kind one of the three sentences stands; of "as recorded" all are false alarms.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from echo2ecg_core.ecg.common_beats import CommonBeats, common_beats
from echo2ecg_core.ecg.lead_agreement import SEEN_BY, V1, apart_in_time, beat_of, changed_gain, unexpected
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.phantom.ecg import simulate_ecg
from echo2ecg_core.phantom.heart import draw_heart

RATE_HZ = 500.0
Recording = tuple[np.ndarray, float]
Change = Callable[[np.ndarray, float], None]


def recordings_in(folder: Path) -> list[Recording]:
    """Every recording below a folder once; files that cannot be read are passed over."""
    found: dict[bytes, Recording] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix == ".dat":
            continue
        try:
            record = read_ecg(path, sampling_rate_hz=RATE_HZ if path.suffix == ".txt" else None)
        except Echo2ECGError:
            continue
        found[np.round(record.signal_mv[0, :1000], 2).tobytes()] = (
            record.signal_mv.astype(float),
            record.sampling_rate_hz,
        )
    return list(found.values())


def phantoms(count: int, first: int = 77) -> list[Recording]:
    found = []
    for seed in range(count):
        rng = np.random.default_rng([first, seed])
        found.append((simulate_ecg(draw_heart(rng), rng, version=1 + seed % 2).astype(float), RATE_HZ))
    return found


def weights(signals: list[Recording]) -> np.ndarray:
    """(6, 8) weights of I, II, V1 to V6 for each chest lead, 0 for itself."""
    found = [common_beats(*signal) for signal in signals]
    beats = [beat_of(one) for one in found if one is not None and one.waves is not None and one.beats.leads.all()]
    together = np.concatenate([beat / np.linalg.norm(beat) for beat in beats], axis=1)
    result = np.zeros((6, len(SEEN_BY)))
    for chest in range(6):
        others = [row for row in range(len(SEEN_BY)) if row != 2 + chest]
        energy = together[others] @ together[others].T
        energy += 1e-4 * np.trace(energy) / len(others) * np.eye(len(others))
        result[chest, others] = np.linalg.solve(energy, together[others] @ together[2 + chest])
    return result


def late(rows: slice, milliseconds: float) -> Change:
    def change(signal: np.ndarray, rate_hz: float) -> None:
        signal[rows] = np.roll(signal[rows], round(milliseconds * rate_hz / 1000), axis=1)

    return change


def times(rows: slice, factor: float, from_the_middle: bool = False) -> Change:
    def change(signal: np.ndarray, rate_hz: float) -> None:
        signal[rows, signal.shape[1] // 2 if from_the_middle else 0 :] *= factor

    return change


def exchange(one: int, other: int) -> Change:
    def change(signal: np.ndarray, rate_hz: float) -> None:
        rows = [V1 + one - 1, V1 + other - 1]
        signal[rows] = signal[rows[::-1]]

    return change


def lead(number: int) -> slice:
    return slice(V1 + number - 1, V1 + number)


ALL, CHEST, RIGHT_HALF = slice(0, 12), slice(V1, 12), slice(V1 + 3, 12)
CHANGES: dict[str, Change] = {
    "as recorded": lambda signal, rate_hz: None,
    **{f"chest leads {ms} ms late": late(CHEST, ms) for ms in (60, 120, 400)},
    "V4 to V6 250 ms late": late(RIGHT_HALF, 250),
    "V6 120 ms late": late(lead(6), 120),
    **{f"all leads x{factor} from the middle on": times(ALL, factor, True) for factor in (1.5, 2, 0.5)},
    "V3 x2 from the middle on": times(lead(3), 2, True),
    **{
        f"V{one} and V{other} exchanged": exchange(one, other)
        for one, other in ((1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (1, 3), (1, 6))
    },
    **{f"V{number} x{factor}": times(lead(number), factor) for number in (1, 2, 4, 6) for factor in (2, 3, 5, 0.2, -1)},
}


def told(found: CommonBeats | None) -> bool:
    return found is not None and bool(apart_in_time(found) or changed_gain(found.beats) or unexpected(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=300)
    parser.add_argument("--seed", type=int, default=77, help="of the phantoms")
    parser.add_argument("--every", type=int, default=3, help="of how many recordings one is damaged")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds = {"files": recordings_in(options.samples), "phantoms": phantoms(options.phantoms, options.seed)}
    print(json.dumps({"weights": weights(kinds["files"][::2]).round(2).tolist()}))
    for name, change in CHANGES.items():
        line: dict[str, str | list[int]] = {"row": name}
        for kind, signals in kinds.items():
            chosen = signals if name == "as recorded" else signals[:: options.every]
            n_told = 0
            for signal, rate_hz in chosen:
                changed = signal.copy()
                change(changed, rate_hz)
                n_told += told(common_beats(changed, rate_hz))
            line[kind] = [n_told, len(chosen)]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
