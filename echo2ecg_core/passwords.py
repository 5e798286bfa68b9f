"""The admin password: hashed with scrypt (RFC 7914), compared in constant time, tried one attempt at a time.

Sizes are those that RFC 7914 names for interactive logins. A wrong attempt costs a second in which nobody else's is
looked at, so guessing from many browsers at once is no faster.
"""

import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable

from echo2ecg_core.errors import Echo2ECGError

COST, BLOCK, PARALLEL = 2**14, 8, 1
WRONG_COSTS_S = 1.0
_one_at_a_time = threading.Lock()


def hashed(password: str) -> str:
    """The password as "scrypt:cost:block:parallel:salt:hash", both in hex."""
    salt = os.urandom(16)
    return f"scrypt:{COST}:{BLOCK}:{PARALLEL}:{salt.hex()}:{_scrypt(password, salt, COST, BLOCK, PARALLEL).hex()}"


def matches_hash(password: str, line: str) -> bool:
    """True when the password is the one behind a line of `hashed`.

    Raises:
        Echo2ECGError: the line is not one that `hashed` made.
    """
    try:
        name, cost, block, parallel, salt, digest = line.strip().split(":")
        if name != "scrypt":
            raise ValueError(name)
        made = _scrypt(password, bytes.fromhex(salt), int(cost), int(block), int(parallel))
        return hmac.compare_digest(made, bytes.fromhex(digest))
    except ValueError as error:
        raise Echo2ECGError(
            "ECHO2ECG_ADMIN_PASSWORD_HASH is not a line that `hash-password` prints.",
            "Make it again with `hash-password`.",
        ) from error


def matches(password: str, wanted: str) -> bool:
    """True when both are the same; takes equally long for every wrong one."""
    return hmac.compare_digest(hashlib.sha256(password.encode()).digest(), hashlib.sha256(wanted.encode()).digest())


def slowly(check: Callable[[], bool]) -> bool:
    """The answer of one attempt; attempts wait for each other, and after a wrong one everybody waits a second."""
    with _one_at_a_time:
        right = check()
        if not right:
            time.sleep(WRONG_COSTS_S)
        return right


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=256 * cost * block)
