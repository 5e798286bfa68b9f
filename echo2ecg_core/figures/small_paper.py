"""A small ECG paper as inline SVG: twelve leads, 2.5 s each, to look at beside others."""

from html import escape

import numpy as np

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.ecg import reach_of

SPEED_MM_S, GAIN_MM_MV, SECONDS = 25, 10, 2.5
COLUMN_MM, CLEAR_MM, LABEL_MM = SPEED_MM_S * SECONDS, 2.0, 5.0
BINS = 125  # of a lead, half a millimetre each: lowest and highest point of each are kept


def small_paper(record: EcgRecord, alt: str) -> str:
    """The first 2.5 s of every lead in three rows of four on millimetre paper (1 unit = 1 mm, 25 mm/s, 10 mm/mV); rows
    grow, so that nothing is cut. A lead that was not recorded stays empty.

    Args:
        record: Drawn as recorded.
        alt: What it shows, in words.
    """
    signal = record.signal_mv[:, : round(SECONDS * record.sampling_rate_hz)]
    reach = reach_of(signal)
    paths, labels, y = [], [], 0.0
    for row in range(3):
        leads = range(row, 12, 3)
        up = max(reach[LEADS[i]][1] for i in leads) * GAIN_MM_MV + CLEAR_MM
        down = -min(reach[LEADS[i]][0] for i in leads) * GAIN_MM_MV + CLEAR_MM
        zero = y + max(up, LABEL_MM + CLEAR_MM)
        for column, i in enumerate(leads):
            x = column * COLUMN_MM
            paths.append(_path(signal[i], record.sampling_rate_hz, x, zero))
            labels.append(f'<text x="{x + 1:g}" y="{y + LABEL_MM:.1f}">{LEADS[i]}</text>')
        y = zero + down
    width, height = 4 * COLUMN_MM, np.ceil(y)
    lines = "".join(f"M{x} 0V{height:g}" for x in range(0, int(width) + 1, 5))
    lines += "".join(f"M0 {at}H{width:g}" for at in range(0, int(height) + 1, 5))
    return (
        f'<svg class="ecg" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">'
        f'<path class="grid" d="{lines}"/><path class="trace" d="{"".join(paths)}"/>{"".join(labels)}</svg>'
    )


def small_paper_file(record: EcgRecord, alt: str, dark: bool = False) -> bytes:
    """A small paper as an SVG file, with the colours of a light or a dark page in it."""
    ink, ground = ("#E6EBF0", "#12161B") if dark else ("#17202A", "#FFFFFF")
    style = (
        f"svg{{background:{ground}}}path{{fill:none}}.grid{{stroke:#c0392b;stroke-opacity:{0.4 if dark else 0.25};"
        f"stroke-width:.4}}.trace{{stroke:{ink};stroke-width:.8;stroke-linejoin:round}}"
        f"text{{fill:{ink};font:600 5px sans-serif}}"
    )
    begin, _, rest = small_paper(record, alt).partition(">")
    return f'{begin} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>{rest}'.encode()


def _path(lead: np.ndarray, rate_hz: float, x: float, zero: float) -> str:
    """SVG path of one lead in tenths of a millimetre, each point from the one before; a gap begins anew."""
    path, last = "", None
    for part in np.array_split(np.arange(len(lead)), min(BINS, len(lead))):
        there = part[np.isfinite(lead[part])]
        if not len(there):
            last = None
            continue
        for at in sorted({int(there[lead[there].argmin()]), int(there[lead[there].argmax()])}):
            place = round(10 * (x + at / rate_hz * SPEED_MM_S)), round(10 * (zero - lead[at] * GAIN_MM_MV))
            if last is None:
                path += f"M{place[0] / 10:g} {place[1] / 10:g}"
            else:
                path += f"l{(place[0] - last[0]) / 10:g} {(place[1] - last[1]) / 10:g}"
            last = place
    return path
