"""One echo video in memory, whatever file it came from.

A clip knows what is needed to show and to embed it and nothing about the patient: readers leave names, numbers and
dates behind. View ids and their order are EchoPrime's eleven classes (`utils.COARSE_VIEWS` of echonet/EchoPrime).
"""

import hashlib
from dataclasses import dataclass

import numpy as np

VIEWS: dict[str, str] = {
    "A2C": "Apical 2-chamber",
    "A3C": "Apical 3-chamber (long-axis)",
    "A4C": "Apical 4-chamber",
    "A5C": "Apical 5-chamber",
    "Apical_Doppler": "Apical Doppler",
    "Doppler_Parasternal_Long": "Parasternal long-axis colour Doppler",
    "Doppler_Parasternal_Short": "Parasternal short-axis colour Doppler",
    "Parasternal_Long": "Parasternal long-axis",
    "Parasternal_Short": "Parasternal short-axis",
    "SSN": "Suprasternal notch",
    "Subcostal": "Subcostal",
}

SURE = 0.5  # probability below which a view that a classifier names counts as not known: any other is as likely


@dataclass(frozen=True, eq=False)
class EchoClip:
    """The frames of one echo video and what is known about them.

    Attributes:
        frames: (t, h, w, 3) uint8 RGB; of a DICOM film that takes more than long_film.HELD_BYTES a `LongFilm`, which is
            read frame by frame.
        fps: Frames per second.
        format: "DICOM", "AVI", "MP4", "GIF", "phantom", ...
        source: File name without its folder.
        view: A key of VIEWS, or None while unknown.
        view_confidence: Probability of the view that a classifier found likeliest, 0 to 1, or None; below SURE `view`
            is None.
        spacing_mm: Size of a square pixel in millimetres, or None where the file does not say.
        r_wave_times_s: Times of the R waves, in seconds after the first frame.
        synthetic: True when the clip shows a simulated heart.
        notes: What was assumed or converted while reading; sentences.
        regions: Two-dimensional ultrasound regions of the header: left, top, right, bottom in pixels, inclusive.
        burned_in: True where the header says that a person's data are burnt into the picture.
    """

    frames: np.ndarray
    fps: float
    format: str
    source: str
    view: str | None = None
    view_confidence: float | None = None
    spacing_mm: float | None = None
    r_wave_times_s: tuple[float, ...] = ()
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    regions: tuple[tuple[int, int, int, int], ...] = ()
    burned_in: bool = False

    def __post_init__(self):
        shape, dtype = self.frames.shape, self.frames.dtype
        assert dtype == np.uint8 and len(shape) == 4 and shape[3] == 3, (
            f"frames: (t, h, w, 3) uint8, not {shape} {dtype}"
        )
        assert self.fps > 0, f"fps must be positive, not {self.fps}"
        assert self.view is None or self.view in VIEWS, f"view {self.view!r} is no key of VIEWS"

    @property
    def n_frames(self) -> int:
        return self.frames.shape[0]

    @property
    def duration_s(self) -> float:
        return self.n_frames / self.fps

    @property
    def content_hash(self) -> str:
        """SHA-256 of the pixels, their shape and the frame rate; the file's name and container do not matter."""
        digest = hashlib.sha256(f"{self.frames.shape} {self.fps:.6f} ".encode())
        for frame in self.frames:
            digest.update(np.ascontiguousarray(frame).data)
        return digest.hexdigest()


def still_note(n_frames: int) -> tuple[str, ...]:
    """The note that a clip of one frame carries, else nothing."""
    return ("The file holds a single frame, so nothing moves.",) if n_frames == 1 else ()
