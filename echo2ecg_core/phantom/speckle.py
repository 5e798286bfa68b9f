"""From moving outlines to ultrasound pictures: numba kernels, imported only while rendering.

Each chamber becomes a table over direction (radius of cavity and wall, tissue coordinate, surface normal), so that a
sample in beam space finds its tissue in a few operations. Scatterers are a complex noise texture looked up in tissue
coordinates, hence move and deform with it; blurring the complex field with the beam's point spread function and taking
its magnitude gives fully developed speckle whose grain grows with depth. The picture is scan-converted last.
"""

from typing import Any

import numpy as np
from numba import njit

N_DIRECTIONS = 256
# Columns of a chamber's table.
RADIUS_IN, RADIUS_OUT, ALONG, THICKNESS, NORMAL_X, NORMAL_Y = range(6)
TEXTURE = 256
CELL_MM = 0.55
_OPTIONS: dict[str, Any] = {"cache": True, "fastmath": True, "nogil": True, "boundscheck": False}


@njit(**_OPTIONS)
def _direction_index(x, y):
    """Position 0 ... 4 of a direction: angle without trigonometry (1 per quadrant)."""
    ax, ay = abs(x), abs(y)
    q = ay / (ax + ay + 1e-12)
    if x >= 0:
        return q if y >= 0 else 4.0 - q
    return 2.0 - q if y >= 0 else 2.0 + q


@njit(**_OPTIONS)
def _fill_radius(table, column, points, cx, cy, along, thickness):
    """Enter the outline `points` (k, 2) around (cx, cy) into one table: the farthest crossing in each direction."""
    k = points.shape[0]
    for i in range(k):
        j = i + 1 if i + 1 < k else 0
        x0, y0 = points[i, 0] - cx, points[i, 1] - cy
        ex, ey = points[j, 0] - cx - x0, points[j, 1] - cy - y0
        p0 = _direction_index(x0, y0)
        step = _direction_index(x0 + ex, y0 + ey) - p0
        if step > 2.0:
            step -= 4.0
        elif step < -2.0:
            step += 4.0
        first = min(p0, p0 + step) * (N_DIRECTIONS / 4.0)
        last = max(p0, p0 + step) * (N_DIRECTIONS / 4.0)
        norm = 1.0 / (np.sqrt(ex * ex + ey * ey) + 1e-9)
        for index in range(int(np.ceil(first)), int(np.floor(last)) + 1):
            place = index & (N_DIRECTIONS - 1)
            p = place * (4.0 / N_DIRECTIONS)
            q = p % 1.0
            if p < 1.0:
                dx, dy = 1.0 - q, q
            elif p < 2.0:
                dx, dy = -q, 1.0 - q
            elif p < 3.0:
                dx, dy = q - 1.0, -q
            else:
                dx, dy = q, q - 1.0
            length = np.sqrt(dx * dx + dy * dy)
            dx, dy = dx / length, dy / length
            cross = dx * ey - dy * ex
            if abs(cross) < 1e-9:
                continue
            radius = (x0 * ey - y0 * ex) / cross
            if radius > table[place, column]:
                table[place, column] = radius
                if column == RADIUS_IN:
                    share = ((dx * radius - x0) * ex + (dy * radius - y0) * ey) * norm * norm
                    share = min(max(share, 0.0), 1.0)
                    table[place, ALONG] = along[i] + share * (along[j] - along[i])
                    table[place, THICKNESS] = thickness[i]
                    table[place, NORMAL_X] = ey * norm
                    table[place, NORMAL_Y] = -ex * norm


@njit(**_OPTIONS)
def chamber_tables(inner, outer, centre, along, thickness):
    """Tables (t, N_DIRECTIONS, 6) float32 of one chamber, and the square (t,) of its largest radius."""
    frames = inner.shape[0]
    tables = np.zeros((frames, N_DIRECTIONS, 6), np.float32)
    reach = np.zeros(frames, np.float32)
    for t in range(frames):
        table = tables[t]
        cx, cy = centre[t, 0], centre[t, 1]
        _fill_radius(table, RADIUS_IN, inner[t], cx, cy, along, thickness)
        _fill_radius(table, RADIUS_OUT, outer[t], cx, cy, along, thickness)
        for i in range(N_DIRECTIONS):
            table[i, RADIUS_OUT] = max(table[i, RADIUS_OUT], table[i, RADIUS_IN])
            reach[t] = max(reach[t], table[i, RADIUS_OUT])
        reach[t] = (reach[t] + 4.0) ** 2
    return tables, reach


@njit(**_OPTIONS)
def scatter(texture, u, v):
    """Complex scatterer amplitude at texture position (u, v), bilinear and periodic."""
    iu, iv = int(np.floor(u)), int(np.floor(v))
    fu, fv = np.float32(u - iu), np.float32(v - iv)
    a, b = iu & (TEXTURE - 1), (iu + 1) & (TEXTURE - 1)
    c, d = iv & (TEXTURE - 1), (iv + 1) & (TEXTURE - 1)
    one = np.float32(1.0)
    w00, w01, w10, w11 = (one - fu) * (one - fv), (one - fu) * fv, fu * (one - fv), fu * fv
    re = w00 * texture[a, c, 0] + w01 * texture[a, d, 0] + w10 * texture[b, c, 0] + w11 * texture[b, d, 0]
    im = w00 * texture[a, c, 1] + w01 * texture[a, d, 1] + w10 * texture[b, c, 1] + w11 * texture[b, d, 1]
    return re, im


@njit(**_OPTIONS)
def echo_field(
    field, cavity, beams, depths, texture, tables, reach, centres, looks, gain, background, clutter, outside_at, shift
):
    """Fill field (2, beams, depths) with the complex echo before the beam's blur, and cavity (beams, depths) with the
    chamber whose blood a sample meets (-1: none).

    Args:
        beams: (b, 2) sine and cosine of each beam; depths: (r,) mm.
        texture: (TEXTURE, TEXTURE, 2) complex noise of unit variance.
        tables, reach, centres: Chambers in front-to-back order: (c, N_DIRECTIONS, 6), (c,), (c, 2).
        looks: (c, 4) wall, blood and lining amplitude, texture offset.
        gain, background, clutter: (b, r) amplitude factors of beam and depth, of tissue outside the heart, of haze.
        outside_at: (2,) where the tissue outside the heart has moved, mm; shift: (4,) int, texture offsets of blood
            (first two) and receiver noise (last two) in this frame.
    """
    n_beams, n_depths = field.shape[1], field.shape[2]
    per_index = np.float32(N_DIRECTIONS / 4.0)
    for b in range(n_beams):
        sine, cosine = beams[b, 0], beams[b, 1]
        for r in range(n_depths):
            x, y = depths[r] * sine, depths[r] * cosine
            amplitude = background[b, r]
            cavity[b, r] = -1
            u, v = (x - outside_at[0]) / CELL_MM, (y - outside_at[1]) / CELL_MM
            for c in range(tables.shape[0]):
                dx, dy = x - centres[c, 0], y - centres[c, 1]
                square = dx * dx + dy * dy
                if square > reach[c]:
                    continue
                distance = np.sqrt(square)
                place = np.float32(_direction_index(dx, dy)) * per_index
                low = int(place)
                share = place - low
                low, high = low & (N_DIRECTIONS - 1), (low + 1) & (N_DIRECTIONS - 1)
                inside = tables[c, low, RADIUS_IN] * (1 - share) + tables[c, high, RADIUS_IN] * share
                if distance < inside:
                    amplitude = looks[c, 1]
                    cavity[b, r] = c
                    u, v = b + shift[0], r + shift[1]
                    break
                outside = tables[c, low, RADIUS_OUT] * (1 - share) + tables[c, high, RADIUS_OUT] * share
                facing = abs(tables[c, low, NORMAL_X] * sine + tables[c, low, NORMAL_Y] * cosine)
                facing *= facing
                if distance < outside:
                    w = (distance - inside) / (outside - inside + 1e-6)
                    edge = max(0.0, 1.0 - 6.0 * w) + 0.7 * max(0.0, 6.0 * w - 5.0)
                    amplitude = looks[c, 0] * (0.42 + 0.58 * facing) * (1.0 + 1.1 * edge * facing)
                    along = tables[c, low, ALONG]
                    along += (
                        share * (tables[c, high, ALONG] - along) if abs(tables[c, high, ALONG] - along) < 9 else 0.0
                    )
                    u = along / CELL_MM + looks[c, 3]
                    v = w * tables[c, low, THICKNESS] / CELL_MM + looks[c, 3]
                    patches, _ = scatter(texture, np.float32(u * 0.09), np.float32(v * 0.09))
                    amplitude *= max(0.25, 1.0 + 0.30 * patches)
                    break
                beyond = distance - outside
                if outside > inside and beyond < 3.0 and looks[c, 2] > 0:
                    glow = looks[c, 2] * (0.25 + 0.75 * facing) * (1.0 - beyond / 3.0)
                    amplitude = max(amplitude, glow)
            re, im = scatter(texture, np.float32(u), np.float32(v))
            haze = clutter[b, r]
            i, j = (b * 5 + 11) & (TEXTURE - 1), (r + 7) & (TEXTURE - 1)
            field[0, b, r] = gain[b, r] * (amplitude * re + haze * texture[i, j, 0])
            field[1, b, r] = gain[b, r] * (amplitude * im + haze * texture[i, j, 1])


@njit(**_OPTIONS)
def add_strands(field, points, amplitudes, phases, gain, half_angle, first_mm, per_depth_mm):
    """Add point reflectors (p, 2) mm with amplitude (p,) and phase (p, 2) to the field, shared among four samples."""
    n_beams, n_depths = field.shape[1], field.shape[2]
    for p in range(points.shape[0]):
        x, y = points[p, 0], points[p, 1]
        if y <= 0:
            continue
        b = (np.arctan2(x, y) / half_angle + 1) * 0.5 * (n_beams - 1)
        r = (np.sqrt(x * x + y * y) - first_mm) / per_depth_mm
        ib, ir = int(np.floor(b)), int(np.floor(r))
        if ib < 0 or ir < 0 or ib >= n_beams - 1 or ir >= n_depths - 1:
            continue
        fb, fr = b - ib, r - ir
        size = amplitudes[p] * gain[ib, ir]
        for db in range(2):
            for dr in range(2):
                weight = size * (fb if db else 1 - fb) * (fr if dr else 1 - fr)
                field[0, ib + db, ir + dr] += weight * phases[p, 0]
                field[1, ib + db, ir + dr] += weight * phases[p, 1]


@njit(**_OPTIONS)
def blur(field, spare, lateral, axial):
    """Convolve field (2, b, r) with the point spread function: lateral (2 n + 1,) across beams, axial along depth."""
    n_beams, n_depths = field.shape[1], field.shape[2]
    reach, deep = lateral.shape[0] // 2, axial.shape[0] // 2
    for part in range(2):
        for b in range(n_beams):
            for r in range(n_depths):
                spare[b, r] = 0.0
            for k in range(-reach, reach + 1):
                source = min(max(b + k, 0), n_beams - 1)
                weight = lateral[k + reach]
                for r in range(n_depths):
                    spare[b, r] += weight * field[part, source, r]
        for b in range(n_beams):
            for r in range(n_depths):
                field[part, b, r] = 0.0
            for k in range(-deep, deep + 1):
                weight = axial[k + deep]
                for r in range(max(0, -k), min(n_depths, n_depths - k)):
                    field[part, b, r] += weight * spare[b, r + k]


@njit(**_OPTIONS)
def compress(field, gray, texture, noise, shift, floor_db, range_db):
    """Log-compressed brightness 0 ... 1 of the field into gray (b, r); `noise` is the receiver's, new in each frame."""
    scale = np.float32(10.0 / np.log(10.0) / range_db)
    offset = np.float32(-floor_db / range_db)
    for b in range(field.shape[1]):
        i = (b + shift[2]) & (TEXTURE - 1)
        for r in range(field.shape[2]):
            j = (r + shift[3]) & (TEXTURE - 1)
            re = field[0, b, r] + noise[r] * texture[i, j, 0]
            im = field[1, b, r] + noise[r] * texture[i, j, 1]
            value = np.log(re * re + im * im + np.float32(1e-9)) * scale + offset
            gray[b, r] = min(max(value, np.float32(0.0)), np.float32(1.0))


@njit(**_OPTIONS)
def scan_convert(gray, picture, pixels, sources, weights, colours):
    """Write colours (256, 3) of gray (b, r) into picture (h * w, 3) at `pixels`, bilinear by sources and weights."""
    flat = gray.ravel()
    n_depths = gray.shape[1]
    for n in range(pixels.shape[0]):
        s = sources[n]
        value = weights[n, 0] * flat[s] + weights[n, 1] * flat[s + 1]
        value += weights[n, 2] * flat[s + n_depths] + weights[n, 3] * flat[s + n_depths + 1]
        level = int(value * np.float32(255.0) + np.float32(0.5))
        for channel in range(3):
            picture[pixels[n], channel] = colours[level, channel]
