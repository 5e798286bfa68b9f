"""Weights and inputs of the goldens, by formula: float64 and 32-bit integers throughout, float32 only at the end.

`spec` is the content of constants.json; a name or key and a place decide every number.
"""

from zlib import crc32

import numpy as np

TURN = 6.2831853  # the goldens were made with this many digits


def hash_u(name: str, n: int, salt: int) -> np.ndarray:
    """(n,) float64 in [-1, 1): place times 2654435761, plus crc32 of the name and salt, through murmur3's finaliser."""
    word = np.uint64((1 << 32) - 1)
    places = np.arange(n, dtype=np.uint64) * np.uint64(2654435761)
    mixed = (places + np.uint64(crc32(name.encode()) + salt)) & word
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = ((mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)) & word
    return (mixed ^ (mixed >> np.uint64(16))) / 2.0**31 - 1


def fill(filling: str, key: str, shape, spec: dict) -> np.ndarray:
    """A weight by its key: "sin" small and smooth, "hash" of full rank and unit gain; norm weights lie around 1."""
    n = int(np.prod(shape))
    is_norm = len(shape) == 1 and key.endswith("weight")
    if filling == "sin":
        crc = crc32(key.encode())
        frequency = spec["sin_a0"] + crc % 1000 / 1009
        start = crc // 1000 % 1000 / 991 * TURN + spec["sin_phase"]
        values = spec["sin_scale"] * np.sin(frequency * np.arange(1, n + 1, dtype=float) + start)
    else:
        gain = np.sqrt(3 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
        values = hash_u(key, n, spec["hash_salt"]) * gain
    return ((1 + values) if is_norm else values).reshape(shape).astype(np.float32)


def noise(name: str, shape, spec: dict, amp: float = 1.0) -> np.ndarray:
    """Uniform in [-amp, amp)."""
    return (amp * hash_u(f"input:{name}", int(np.prod(shape)), spec["hash_salt"])).reshape(shape).astype(np.float32)


def synthetic_ecg(spec: dict, n: int = 5000, rate_hz: float = 500.0) -> np.ndarray:
    """(12, n) float32 mV: five waves a beat, two wanders, mains hum and noise, rounded to the microvolt."""
    seconds, lead = np.arange(n) / rate_hz, np.arange(12.0)[:, None]
    phase = np.mod(seconds + spec["ecg_shift"], spec["ecg_period"])
    axis = np.cos(0.5 * lead + spec["ecg_axis"])
    waves = (
        (0.15 * (1 + 0.3 * axis), 0.18, 0.025),
        (-0.12, 0.315, 0.010),
        (1.2 * axis, 0.345, 0.012),
        (-0.25 * (1 - 0.5 * axis), 0.380, 0.012),
        (0.30 * (0.6 + axis), 0.600, 0.045),
    )
    signal = sum(height * np.exp(-0.5 * ((phase - centre) / width) ** 2) for height, centre, width in waves)
    signal = signal + 0.25 * np.sin(2 * np.pi * 0.23 * seconds + 0.7 * lead)
    signal = signal + 0.10 * np.sin(2 * np.pi * 0.05 * seconds + 0.3 * lead)
    signal = signal + 0.02 * np.sin(2 * np.pi * 50.0 * seconds) + 0.05 * (lead - 5)
    signal = signal + 0.01 * hash_u("input:ecg_a", 12 * n, spec["hash_salt"]).reshape(12, n)
    return (np.round(signal * 1000) / 1000).astype(np.float32)


def ecg_cases(spec: dict) -> dict[str, np.ndarray]:
    """The inputs of section 1 by case, (12, 5000) each: spikes to clip, gaps, leads that are constant or missing."""
    cases = {name: synthetic_ecg(spec) for name in ("clean", "spike", "nan", "flat_const", "flat_zero", "nan_lead")}
    cases["spike"][4, 1000:1010], cases["spike"][9, 3000:3005] = 25.0, -18.0
    gap = slice(spec["nan_start"], spec["nan_start"] + 400)
    cases["nan"][1, gap] = cases["nan"][7, ::97] = cases["nan"][10, -250:] = np.nan
    for name, value in (("flat_const", 0.37), ("flat_zero", 0.0), ("nan_lead", np.nan)):
        cases[name][spec["flat_lead"]] = value
    return cases


def encoder_input(spec: dict, batch: int, time_steps: int, name: str = "encoder") -> np.ndarray:
    """(batch, 1, 12, time_steps) float32: two sines and noise."""
    b, lead = np.arange(batch)[:, None, None, None], np.arange(12)[:, None]
    t = np.arange(time_steps, dtype=float)
    x = np.sin(0.21 * t + 0.5 * lead + 1.1 * b)
    x = x + 0.5 * np.sin(0.057 * t * (1 + 0.05 * lead) + 0.3 * b + spec["sin_phase"])
    return (x + 0.5 * hash_u(f"input:{name}", x.size, spec["hash_salt"]).reshape(x.shape)).astype(np.float32)


def echo_views(spec: dict, counts, max_views: int = 128, dim: int = 512, name: str = "echo_views"):
    """(b, max_views, dim) float32 that is zero behind each study's last view, and (b, max_views) bool: True there."""
    is_padding = np.arange(max_views) >= np.asarray(counts)[:, None]
    views = noise(name, (len(counts), max_views, dim), spec, amp=1.5)
    return np.where(is_padding[..., None], np.float32(0), views), is_padding


def clip_video(spec: dict) -> np.ndarray:
    """(1, 3, 16, 224, 224) float32: what the video encoder sees."""
    colour, time, row, column = np.ogrid[0:3.0, 0:16.0, 0:224.0, 0:224.0]
    waves = np.sin(0.11 * row + 0.07 * column * (1 + 0.3 * colour) + 0.5 * time + colour + spec["sin_phase"])
    return (waves + 0.5 * np.cos(0.002 * row * column + 0.9 * time))[None].astype(np.float32)


def raw_video(spec: dict, frames: int, height: int, width: int) -> np.ndarray:
    """(frames, height, width, 3) uint8: a triangle wave in whole numbers."""
    time, row, column, colour = np.ogrid[0:frames, 0:height, 0:width, 0:3]
    down, right, on, tint = spec["video"]
    ramp = down * row + right * column + on * time + tint * colour + row * column // 64
    return np.abs(ramp % 510 - 255).astype(np.uint8)


def class_features(name: str, labels, spec: dict, dim: int = 192, n_classes: int = 3) -> np.ndarray:
    """(n, dim) float32: noise around a centre a class."""
    salt = spec["hash_salt"]
    centres = hash_u("input:centres", n_classes * dim, salt).reshape(n_classes, dim)
    around = hash_u(f"input:{name}", len(labels) * dim, salt).reshape(len(labels), dim)
    return (around + spec["knn_sep"] * centres[np.asarray(labels)]).astype(np.float32)


def checksum(x: np.ndarray) -> dict:
    """Shape, sum, sum of absolute values and a sum that notices order, in float64."""
    flat = np.asarray(x, dtype=float).ravel()
    weighted = flat * np.cos(0.001 * np.arange(flat.size, dtype=float))
    sums = {"sum": flat.sum(), "sum_abs": np.abs(flat).sum(), "weighted": weighted.sum()}
    return {"shape": list(np.shape(x))} | {name: float(value) for name, value in sums.items()}
