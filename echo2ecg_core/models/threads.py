"""How many CPU threads a network may use here and now, chosen by what else the machine does.

Threads of one operation wait for each other by spinning: beside another process that keeps the cores busy, two threads
took 1.3 to 2.4 s an ECG where one took 0.1 to 0.2 s (two cores, load 16; 240 to 330 ms of processor time against 17).
On a free machine more threads are faster. The load of the last minute decides, before every prediction.
"""

import os
from pathlib import Path

from echo2ecg_core.settings import settings

MOST = 8  # more than this does not help networks of this size
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Cores that this process may use: of its affinity, and of its container's quota where there is one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()[:2]
        return max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return allowed


def threads() -> int:
    """What the settings say, else the cores that the last minute left free, at least one."""
    if told := settings().threads:
        return told
    return max(1, min(MOST, cores() - round(os.getloadavg()[0])))


def use_threads() -> None:
    """Let torch use so many in this thread, from its next operation on."""
    import torch

    torch.set_num_threads(threads())
