"""Sets the free numbers of the third phantom's ECG against LUDB: a small fit, block by block, from starting values.

Run: python -m benchmarks.phantom_fit --ludb FOLDER [--blocks p qrs t] [--iterations 3] [--start JSON] [--out JSON].
Only records 1, 5, 9, ... are fitted to; `phantom_realism.py --half held` judges by the others. One noise-free median
beat stands for each phantom patient (matched as in phantom_realism.py), seen through the 40 Hz of the package's beats;
the loss is the squared distance of medians and quartiles in LUDB's standard deviations, beyond 1.5 only linear, plus a
pull to the starting values. Gauss-Newton; the same hearts and draws at every step. Prints the loss of every step and
the numbers.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.measurements import RATE_HZ
from benchmarks.phantom_realism import ALL, BANDS_HZ, answering, comparable, measured
from echo2ecg_core.ecg.beats import AFTER, BEFORE, Beats, band, samples
from echo2ecg_core.ecg.delineate import Waves
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.evaluation.features import _of_leads
from echo2ecg_core.phantom import ecg_second, rhythm, torso
from echo2ecg_core.phantom.ecg_parameters import THIRD, Parameters
from echo2ecg_core.phantom.heart import Heart

SEED, MARGIN = 22, samples(600)
PROBE, LONGEST_STEP = 0.4, 1.5
SEEN_LATE_MS = 4.0  # after the true onset a reader sees the complex begin
BLOCKS = {  # number -> size of a step
    "p": {
        "p_right": 0.02, "p_left": 0.02, "p_width_ms": 3.0, "p_delay_ms": 8.0, "p_jitter": 0.006, "atrial_gains": 0.1,
    },
    "qrs": {
        "apex": 0.2, "septal": 0.2, "base_tilt": 0.2, "chest": 0.12, "outflow": 0.25, "apical": 0.25,
        "posterobasal": 0.3, "posterobasal_late": 0.06, "right_ventricle": 0.5, "right_times": 0.08,
        "septum_left": 0.25, "septum_right": 0.2, "septum_delay": 0.04, "front": 0.015, "first": 0.08,
        "first_sd": 0.03, "first_time": 0.03, "spread": 0.03, "direction_scatter": 0.06, "size_scatter": 0.15,
        "frontal": 8.0, "frontal_sd": 6.0, "horizontal": 8.0, "horizontal_sd": 5.0, "attenuation_sd": 0.06,
        "lead_gains": 0.15, "place_shift": 0.3, "near_field": 0.15,
    },
    "t": {
        "t_strength": 20.0, "t_sd": 0.1, "t_direction": 0.3, "t_peak": 0.015, "t_rise": 0.04, "t_fall": 0.02,
        "t_front_strength": 15.0, "t_front_direction": 0.3, "t_front_peak": 0.015, "t_front_rise": 0.02,
        "t_front_sd": 0.12, "st_sd": 0.005, "t_jitter": 0.1,
    },
}  # fmt: skip
JUDGED = {
    "p": ("p_highest_mv", "p_lowest_mv", "p_axis", "p_ms"),
    "qrs": ("r_mv", "s_mv", "q_mv", "r_time_ms", "turns", "axis", "sokolow", "cornell", "log10_power"),
    "t": ("t_mv", "st_mv", "j_mv", "t_time_ms", "t_axis"),
}  # fmt: skip
NOT_JUDGED = ("log10_power_0.5_1.5_hz", "log10_power_1.5_5_hz", "log10_power_75_150_hz")


def clean_numbers(heart: Heart, index: int, p: Parameters) -> np.ndarray:
    """(len(ALL),) of one noise-free beat, NaN where this short way does not measure."""
    body, rng = np.random.default_rng([heart.body_seed, 2]), np.random.default_rng([SEED, index, 1])
    source = ecg_second.Source(heart, body, rng, RATE_HZ, p)
    beat = np.zeros((8, 2 * MARGIN + BEFORE + AFTER))
    onset = MARGIN + BEFORE
    rhythm.lay(beat, source.beat(source.vectors), onset)
    if heart.rhythm != "af":
        rhythm.lay(beat, source.atrial_vectors @ source.p_wave, onset - samples(heart.pr_ms))
    found = dict.fromkeys(ALL, np.nan)
    spectrum = np.abs(np.fft.rfft(beat, axis=1)) ** 2 * 2 / RATE_HZ**2 * heart.heart_rate_bpm / 60
    hertz = np.fft.rfftfreq(beat.shape[1], 1 / RATE_HZ)
    for low, high in BANDS_HZ:
        power = spectrum[:, (hertz >= low) & (hertz < high)].mean(axis=1)
        found[f"log10_power_{low}_{high}_hz"] = float(np.median(np.log10(power + 3e-7)))
    twelve = torso.TWELVE @ band(beat, 0.5, 40.0)
    peak = onset + int(np.argmax(np.linalg.norm(twelve[:, onset : onset + samples(180)], axis=0)))
    beat = twelve[:, peak - BEFORE : peak + AFTER]
    first = onset - peak + BEFORE + samples(SEEN_LATE_MS)
    last = first + samples(heart.qrs_ms)
    waves = Waves(first, last, None, None, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    beats = Beats(np.zeros(1), np.ones(1, bool), beat[None], 1.0, 0, np.zeros(0), np.ones(12, bool), np.zeros(0))
    for name, values in _of_leads(beats, waves).items():
        found |= {f"{name}_{lead}": float(value) for lead, value in zip(LEADS, values, strict=True)}
    beat = beat - beat[:, first - samples(20) : first - samples(4)].mean(axis=1, keepdims=True)
    qrs = beat[:, first : last + 1]
    for lead, wave in zip(LEADS, qrs, strict=True):
        found[f"q_mv_{lead}"] = min(0.0, wave[: wave.argmax() + 1].min()) if wave.max() > 0.02 else 0.0
    found["axis_sin"], found["axis_cos"] = _direction(qrs)
    found["t_axis_sin"], found["t_axis_cos"] = _direction(beat[:, last + samples(60) : last + samples(320)])
    r, s = ({lead: found[f"{name}_{lead}"] for lead in LEADS} for name in ("r_mv", "s_mv"))
    found |= {"sokolow_lyon_mv": max(r["V5"], r["V6"]) - s["V1"], "cornell_mv": r["aVL"] - s["V3"]}
    if heart.rhythm != "af":
        p_begin = first - samples(heart.pr_ms) + samples(4)
        p_wave = beat[:, p_begin : first - samples(10)]
        ramp = np.linspace(0, 1, p_wave.shape[1])
        p_wave = p_wave - p_wave[:, :1] * (1 - ramp) - p_wave[:, -1:] * ramp
        found["p_axis_sin"], found["p_axis_cos"] = _direction(p_wave)
        energy = np.cumsum((p_wave**2).sum(axis=0))
        found["p_ms"] = 2.0 * ((energy > 0.02 * energy[-1]) & (energy < 0.98 * energy[-1])).sum()
    return np.array([found[name] for name in ALL])


def _direction(wave: np.ndarray) -> tuple[float, float]:
    angle = np.arctan2(wave[LEADS.index("aVF")].sum() * 2 / np.sqrt(3), wave[LEADS.index("I")].sum())
    return float(np.sin(angle)), float(np.cos(angle))


def packed(p: Parameters, names: list[str]) -> np.ndarray:
    return np.concatenate([np.atleast_1d(np.asarray(getattr(p, name), float)) for name in names])


def unpacked(p: Parameters, names: list[str], values: np.ndarray) -> Parameters:
    changes, at = {}, 0
    for name in names:
        held = getattr(p, name)
        size = len(held) if isinstance(held, tuple) else 1
        part = values[at : at + size]
        changes[name] = tuple(float(v) for v in part) if isinstance(held, tuple) else float(part[0])
        at += size
    return replace(p, **changes)


class Distance:
    """Distances of phantom quartiles and medians from LUDB's, in LUDB's standard deviations, for one block."""

    def __init__(self, block: str, real: np.ndarray, hearts: list[tuple[int, Heart]]):
        names = [n for n in ALL if n.startswith(JUDGED[block]) and n not in NOT_JUDGED]
        self.columns, self.hearts = [ALL.index(n) for n in names], hearts
        self.target = np.nanpercentile(real[:, self.columns], [25, 50, 75], axis=0)
        low, high = np.nanpercentile(real[:, self.columns], [16, 84], axis=0)
        floor = np.array([0.01 if "mv" in n else 0.7 if "turns" in n else 3.0 if "_ms" in n else 0.05 for n in names])
        self.sd = np.maximum((high - low) / 2, floor)

    def __call__(self, p: Parameters) -> np.ndarray:
        """(3 * numbers,) of the lower quartiles, medians and upper quartiles; quartiles count 0.6 times."""
        rows = np.array([clean_numbers(heart, index, p) for index, heart in self.hearts])[:, self.columns]
        z = (np.nanpercentile(rows, [25, 50, 75], axis=0) - self.target) / self.sd
        return (np.array([[0.6], [1.0], [0.6]]) * z).ravel()


def loss(distances: np.ndarray) -> float:
    """Squared up to 1.5, linear beyond."""
    z = np.abs(distances)
    return float(np.where(z < 1.5, z**2, 3.0 * z - 2.25).mean())


def improved(p: Parameters, scales: dict[str, float], distance: Distance, iterations: int) -> Parameters:
    """Gauss-Newton with a pull to the starting values, steps of at most `LONGEST_STEP` scales."""
    names = list(scales)
    size = np.concatenate([np.full(np.size(getattr(p, name)), scales[name]) for name in names])
    start, steps = packed(p, names), np.zeros(len(size))
    at = distance(p)
    for iteration in range(iterations):
        slopes = np.stack(
            [
                (distance(unpacked(p, names, start + size * (steps + PROBE * row))) - at) / PROBE
                for row in np.eye(len(size))
            ],
            axis=1,
        )
        weights = 1.5 / np.maximum(np.abs(at), 1.5)
        tries = []
        for pull in (1.0, 6.0):
            normal = (slopes.T * weights) @ slopes + pull * np.eye(len(size))
            change = -np.linalg.solve(normal, (slopes.T * weights) @ at + 0.3 * steps)
            for share in (1.0, 0.5):
                new = np.clip(steps + share * np.clip(change, -LONGEST_STEP, LONGEST_STEP), -4, 4)
                found = distance(unpacked(p, names, start + size * new))
                tries.append((loss(found), new, found))
        best = min(tries, key=lambda found: found[0])
        print(json.dumps({"iteration": iteration, "before": loss(at), "after": best[0]}), flush=True)
        if best[0] >= loss(at) - 1e-4:
            break
        _, steps, at = best
    return unpacked(p, names, start + size * steps)


def numbers(p: Parameters) -> dict:
    return {name: value for name, value in asdict(p).items() if name != "devices"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ludb", type=Path, required=True)
    parser.add_argument("--blocks", nargs="+", choices=list(BLOCKS), default=list(BLOCKS))
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    p = THIRD
    if options.start:
        given = json.loads(options.start.read_text())
        p = replace(p, **{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    signals, kinds = comparable(options.ludb, "set")
    real = np.array([measured(signal) for signal in signals])
    hearts = answering(kinds, 2, SEED)
    for block in options.blocks:
        distance = Distance(block, real, hearts)
        p = improved(p, BLOCKS[block], distance, options.iterations)
        print(json.dumps({"block": block, "loss": loss(distance(p))}), flush=True)
        if options.out:
            options.out.write_text(json.dumps(numbers(p), indent=1))
    print(json.dumps(numbers(p)))


if __name__ == "__main__":
    main()
