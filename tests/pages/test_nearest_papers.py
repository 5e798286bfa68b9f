"""The nearest ECGs as small papers, and the waves of every lead, as the ECG page shows them."""

import numpy as np

from echo2ecg_core.ecg.lead_waves import LeadWaves
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import StoreError
from pages.ui.ecg import evidence
from pages.ui.ecg.signal_tables import wave_table


def test_the_nearest_ecgs_are_drawn_in_the_order_of_the_table_and_one_that_is_gone_is_left_out(monkeypatch):
    def stored_ecg(ecg_id):
        if ecg_id == "E-2":
            raise StoreError("Its file is missing.", "Import it again.")
        return EcgRecord(np.zeros((12, 2000), np.float32), 500.0, "made", ecg_id)

    shown, captions = [], []
    monkeypatch.setattr(evidence.resources, "stored_ecg", stored_ecg)
    monkeypatch.setattr(evidence, "show_charts", lambda papers, key: shown.extend(papers))
    monkeypatch.setattr(evidence.st, "caption", captions.append)
    rows = [{"ecg_id": f"E-{i}", "phenotypes": {"lvef": 40.0 + i} if i != 3 else {}} for i in (1, 2, 3)]
    evidence.papers(rows)
    assert [(name, words) for name, words, _ in shown] == [("E-1", "LVEF 41\u202f% measured"), ("E-3", "")]
    assert all(svg.startswith("<svg") for *_, svg in shown) and "25\u202fmm/s" in captions[0]
    evidence.papers(rows[1:2])
    assert len(shown) == 2 and len(captions) == 1, "nothing to draw, nothing said"


def test_every_lead_has_its_waves_with_signs_and_no_ratio_without_an_s_wave():
    html = wave_table((LeadWaves("V1", 0.214, -1.1, 0.05, 0.1), LeadWaves("V5", 1.5, -0.01, -0.12, 0.0)), "mV")
    first, second = html.split("<tbody>")[1].split("</tr>")[:2]
    assert ">V1<" in first and ">0.21<" in first and ">−1.10<" in first and ">0.2<" in first and ">0.10<" in first
    assert ">V5<" in second and ">−0.12<" in second and ">–<" in second
