"""Free memory goes back to the system."""

import platform
from pathlib import Path

import pytest

from echo2ecg_core.memory import give_back


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, which keeps what is free")
def test_what_lies_free_between_pieces_that_live_is_given_back():
    pieces = [bytes(20_000) for _ in range(8_000)]  # 160 MB
    kept = pieces[::40]
    del pieces
    before = resident_mb()
    give_back()
    assert before - resident_mb() > 80 and len(kept) == 200
