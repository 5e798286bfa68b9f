"""From dipoles to electrodes: lead vectors of a torso with misplaced electrodes, and the noise they pick up.

Lead vectors are Dower's (Dower et al., Clin Cardiol 3:87-95, 1980), x left, y feet, z back. Noise is added at the nine
electrodes, so Einthoven's and Goldberger's equations hold exactly. Parameters are frozen.
"""

import numpy as np

# I, II, V1 ... V6 from Frank X, Y, Z.
DOWER = np.array(
    [
        (0.632, -0.235, 0.059), (0.235, 1.066, -0.132),
        (-0.515, 0.157, -0.917), (0.044, 0.164, -1.387), (0.882, 0.098, -1.277),
        (1.213, 0.127, -0.601), (1.125, 0.127, -0.086), (0.831, 0.076, 0.230),
    ]
)  # fmt: skip
ELECTRODES = 9  # RA, LA, LL, V1 ... V6
# I, II, V1 ... V6 from the nine electrodes, precordial ones against Wilson's central terminal.
FROM_ELECTRODES = np.zeros((8, ELECTRODES))
FROM_ELECTRODES[0, [1, 0]] = 1, -1
FROM_ELECTRODES[1, [2, 0]] = 1, -1
FROM_ELECTRODES[2:, 3:] = np.eye(6)
FROM_ELECTRODES[2:, :3] = -1 / 3
# The twelve leads from I, II, V1 ... V6.
TWELVE = np.zeros((12, 8))
TWELVE[0, 0] = TWELVE[1, 1] = 1
TWELVE[2, [0, 1]] = -1, 1
TWELVE[3, [0, 1]] = -0.5, -0.5
TWELVE[4, [0, 1]] = 1, -0.5
TWELVE[5, [0, 1]] = -0.5, 1
TWELVE[6:, 2:] = np.eye(6)


def rotation(angles_deg: np.ndarray) -> np.ndarray:
    """(3, 3) rotation by angles about x (sagittal), y (horizontal) and z (frontal: positive turns the axis to the
    right)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(angles_deg)), np.sin(np.deg2rad(angles_deg))
    about_x = np.array([(1, 0, 0), (0, cx, -sx), (0, sx, cx)])
    about_y = np.array([(cy, 0, sy), (0, 1, 0), (-sy, 0, cy)])
    about_z = np.array([(cz, -sz, 0), (sz, cz, 0), (0, 0, 1)])
    return about_z @ about_y @ about_x


def lead_vectors(
    bsa_m2: float, sex: str, body: np.random.Generator, rng: np.random.Generator, attenuation_sd: float = 0.17,
    shape_sd: float = 0.09, place_shift: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """(8, 3) lead vectors of I, II, V1 ... V6 for one recording of one person.

    A larger body attenuates, most in front (fat, lungs, breast); electrodes miss their place by about 1.5 cm sideways
    and 2 cm in height, V1 and V2 mostly too high (Rajaganeshan et al., Int J Clin Pract 62:65-70, 2008; the centimetres
    are ours). Place counts in electrode distances, about 4.5 cm.

    Args:
        bsa_m2: Body surface area.
        sex: "male" or "female".
        body: Generator of the person: attenuation and chest shape, equal in every recording.
        rng: Generator of this recording: where the electrodes were stuck.
        attenuation_sd: Of all leads together, from person to person, log scale.
        shape_sd: Of each lead.
        place_shift: How far all chest electrodes lie from their place, to the left, in electrode distances.
    """
    attenuation = np.exp(-0.30 * (bsa_m2 - 1.88) + body.normal(0, attenuation_sd))
    shape = np.exp(body.normal(0, shape_sd, 8)) * np.array([1, 1, *([0.93 if sex == "female" else 1.0] * 6)])
    place = np.arange(6) + place_shift + rng.normal(0, 0.16) + rng.normal(0, 0.20, 6)
    precordial = np.stack([np.interp(place, np.arange(6), DOWER[2:, axis]) for axis in range(3)], axis=1)
    height = rng.normal(0, 0.3) + rng.normal(0, 0.15, 6) - np.array([0.2, 0.2, 0.05, 0, 0, 0]) * rng.random()
    precordial[:, 1] += 0.28 * height
    precordial[:, 2] *= 1 + 0.10 * height
    return attenuation * shape[:, None] * np.vstack([DOWER[:2], precordial])


def near_field(vectors: np.ndarray, directions: np.ndarray, gain: float = 0.25) -> np.ndarray:
    """(8, r) lead strengths of regional dipoles of unit size: each chest electrode hears the regions below it
    louder."""
    fields = vectors @ directions.T
    closeness = np.clip(fields / np.linalg.norm(vectors, axis=1, keepdims=True), 0, 1) ** 2
    closeness[:2] = 0
    return fields * (1 + gain * closeness)


def electrode_noise(rng: np.random.Generator, n_samples: int, sampling_rate_hz: float) -> np.ndarray:
    """(8, n) mV of baseline wander, muscle, mains and motion in I, II, V1 ... V6.

    Levels of resting recordings: wander 0.02-0.15 mV below 0.5 Hz, muscle 4-25 uV from 20 Hz, mains up to 15 uV, a
    motion artefact in one of twelve (kinds of noise: Friesen et al., IEEE TBME 37:85-98, 1990; the levels are ours).
    """
    frequencies = np.fft.rfftfreq(n_samples, 1 / sampling_rate_hz)
    bins = len(frequencies)
    muscle_mv = np.exp(rng.normal(np.log(0.008), 0.45, ELECTRODES))[:, None]
    wander_mv = np.exp(rng.normal(np.log(0.035), 0.5) + rng.normal(0, 0.35, ELECTRODES))[:, None]
    muscle = (frequencies / 40) ** 2 / (1 + (frequencies / 40) ** 2) / (1 + (frequencies / 150) ** 4)
    wander = np.where((frequencies > 0) & (frequencies < 1.5), np.exp(-frequencies / 0.22), 0.0)
    level = muscle_mv * (muscle / np.sqrt((muscle**2).mean())) + wander_mv * (
        wander / np.sqrt((wander**2).sum() / bins)
    )
    spectrum = rng.standard_normal((2, ELECTRODES, bins), dtype=np.float32)
    spectrum = (spectrum[0] + 1j * spectrum[1]) * (level * np.sqrt(n_samples / 4)).astype(np.float32)
    mains_hz = 50.0 if rng.random() < 0.5 else 60.0
    mains_mv = 0.004 * rng.exponential(1.0, ELECTRODES) * (rng.random() < 0.6)
    spectrum[:, np.argmin(np.abs(frequencies - mains_hz))] += (
        mains_mv * n_samples / 2 * np.exp(2j * np.pi * rng.random())
    )
    noise = np.fft.irfft(spectrum, n_samples)
    if rng.random() < 1 / 12:
        noise[rng.integers(ELECTRODES)] += motion(rng, n_samples, sampling_rate_hz)
    return FROM_ELECTRODES @ noise


def motion(rng: np.random.Generator, n_samples: int, sampling_rate_hz: float) -> np.ndarray:
    """(n,) one electrode slips: a 0.2-0.6 mV jump that decays within a second."""
    seconds = np.arange(n_samples) / sampling_rate_hz - rng.uniform(0.1, 0.9) * n_samples / sampling_rate_hz
    rise = 1 / (1 + np.exp(-seconds / 0.03))
    return (
        rng.choice((-1, 1)) * rng.uniform(0.2, 0.6) * rise * np.exp(-np.clip(seconds, 0, None) / rng.uniform(0.2, 0.6))
    )
