"""What a scene is made of: chambers, thin strands, jets of blood, and the scene that holds them.

All points are millimetres over time, (t, k, 2): x to the right of the screen, y downwards. Row 0 is end-diastole at
rest (`CycleStates.with_rest`), from which shapes take their sizes; `Scene.frames` drops it.
"""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass
class Chamber:
    """A cavity inside a wall, star-shaped around its centre.

    Attributes:
        inner, outer: (t, k, 2), (t, m, 2) closed outlines of cavity and wall, mm; they coincide where a valve opens.
        along: (k,) position of each inner point along the tissue at end-diastole, mm: the speckle's coordinate.
        thickness: (k,) wall thickness at end-diastole, mm.
        wall, blood: Amplitude of the echo from wall and cavity (1 = heart muscle).
        lining: Extra brightness of the outer surface (pericardium), amplitude.
    """

    inner: np.ndarray
    outer: np.ndarray
    along: np.ndarray
    thickness: np.ndarray
    wall: float = 1.0
    blood: float = 0.02
    lining: float = 0.0


@dataclass
class Strand:
    """A thin bright structure: leaflet, chord, annulus. points (t, k, 2) mm; amplitude of its echo; thickness mm."""

    points: np.ndarray
    amplitude: float
    thickness: float = 0.8


@dataclass
class Jet:
    """Blood flow that colour Doppler shows: a cone from an orifice into one chamber.

    Attributes:
        start, direction: (t, 2) orifice and unit direction of the flow, mm.
        length, width: mm at full strength; the coloured area is about 0.6 * length * width.
        strength: (t,) 0 ... 1, scales size and speed.
        speed: Peak speed over the colour scale's limit; above 1 the colour wraps.
        turbulent: True gives a mosaic (regurgitation, stenosis), False one smooth colour.
        inside: Index of the chamber whose cavity confines it.
    """

    start: np.ndarray
    direction: np.ndarray
    length: float
    width: float
    strength: np.ndarray
    speed: float
    turbulent: bool
    inside: int


@dataclass(frozen=True)
class ColourBox:
    """Where a view looks for flow: around these chambers of its scene, and so far (radians) to their left."""

    chambers: tuple[int, ...]
    left_rad: float = 0.03


@dataclass
class Scene:
    """All structures of one view; chambers in front hide those behind.

    Attributes:
        endocardium, epicardium: (t, k, 2) contours of the left ventricle, mm.
        jets: Flows shown in colour Doppler.
        liver: True in the subcostal window.
    """

    chambers: list[Chamber]
    strands: list[Strand]
    endocardium: np.ndarray
    epicardium: np.ndarray
    jets: list[Jet] = field(default_factory=list)
    liver: bool = False

    def moved(self, angle_deg: float, offset: np.ndarray) -> "Scene":
        """The scene turned clockwise on the screen by `angle_deg` and shifted by offset (2,) or (t, 2) mm."""
        a = np.radians(angle_deg)
        turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        return self._mapped(turn, np.broadcast_to(offset, (len(self.endocardium), 2))[:, None])

    def frames(self, every: int) -> "Scene":
        """Without the rest row 0: the states 1, 1 + every, 1 + 2 * every, ..."""
        at = slice(1, None, every)
        chambers = [replace(c, inner=c.inner[at], outer=c.outer[at]) for c in self.chambers]
        strands = [replace(s, points=s.points[at]) for s in self.strands]
        jets = [replace(j, start=j.start[at], direction=j.direction[at], strength=j.strength[at]) for j in self.jets]
        return Scene(chambers, strands, self.endocardium[at], self.epicardium[at], jets, self.liver)

    def squashed(self, share: float) -> "Scene":
        """The scene with its long axis shortened to `share`, as when the cut misses the apex."""
        return self._mapped(np.diag([1.0, share]), np.zeros((1, 1, 2)))

    def enlarged(self, factor: float, offset: np.ndarray) -> "Scene":
        """The scene `factor` times as large and then shifted by offset (2,) mm."""
        scene = self._mapped(factor * np.eye(2), offset)
        scene.jets = [replace(j, length=factor * j.length, width=factor * j.width) for j in scene.jets]
        return scene

    def _mapped(self, matrix: np.ndarray, shift: np.ndarray) -> "Scene":
        """All points times matrix (2, 2) plus shift (t or 1, 1, 2)."""

        def place(points: np.ndarray) -> np.ndarray:
            return points @ matrix + shift

        chambers = [replace(c, inner=place(c.inner), outer=place(c.outer)) for c in self.chambers]
        strands = [replace(s, points=place(s.points)) for s in self.strands]
        jets = [
            replace(j, start=place(j.start[:, None])[:, 0], direction=unit(j.direction @ matrix)) for j in self.jets
        ]
        return Scene(chambers, strands, place(self.endocardium), place(self.epicardium), jets, self.liver)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 2) scaled to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def curve(start: np.ndarray, control: np.ndarray, end: np.ndarray, n: int = 33) -> np.ndarray:
    """Quadratic Bezier curves (t, n, 2)."""
    s = np.linspace(0, 1, n)[:, None]
    return (1 - s) ** 2 * start[:, None] + 2 * s * (1 - s) * control[:, None] + s**2 * end[:, None]


def sample(contour: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points (t, n, 2) of contours (t, k, 2) at fractional indices (n,)."""
    low = np.clip(np.floor(at).astype(int), 0, contour.shape[1] - 2)
    share = (at - low)[:, None]
    return contour[:, low] * (1 - share) + contour[:, low + 1] * share


def arc_length(points: np.ndarray) -> np.ndarray:
    """Distance (k,) of each point from the first along the line, mm."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def disc(centre: np.ndarray, radius: float, wall: float, wall_mm: float) -> Chamber:
    """A round vessel or muscle around centre (t, 2)."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ray = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    inner, outer = (centre[:, None] + r * ray for r in (radius, radius + wall_mm))
    return Chamber(inner, outer, angles * (radius + wall_mm / 2), np.full(24, wall_mm), wall)
