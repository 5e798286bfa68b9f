"""Memory that is free goes back to the system, which glibc keeps for later as long as anything above it lives."""

import ctypes
import gc
import sys
from contextlib import suppress


def give_back() -> None:
    """Collect garbage, and hand what is free back to the system where the C library can (glibc's `malloc_trim`).

    Of readers that make and drop arrays and texts of every size a process otherwise grows with the files it has read.
    """
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)
