"""Passwords: hashed with Argon2id (RFC 9106), compared in constant time, guesses limited by address.

Memory and passes are those of OWASP's password storage cheat sheet (19 MiB, 2 passes), so that twenty guesses at once
do not fill a small server. Lines of earlier versions (scrypt, RFC 7914) go on opening. After a few wrong attempts an
address has to wait, twice as long after every further one; attempts of other addresses are not held up.
"""

import hashlib
import hmac
import threading
import time

from echo2ecg_core.errors import Echo2ECGError

MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
FREE_ATTEMPTS = 3  # wrong ones before an address has to wait
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 900.0
FORGET_AFTER_S = 3600.0
MOST_ADDRESSES = 10_000  # that are remembered; the oldest are forgotten first


def hashed(password: str) -> str:
    """The password as the line "$argon2id$v=19$m=…,t=…,p=…$salt$hash"; in single quotes where a shell reads it."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES).hash(password)


def matches_hash(password: str, line: str) -> bool:
    """True when the password is the one behind a line of `hashed`.

    Raises:
        Echo2ECGError: the line is not one that `hashed` made.
    """
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

    line = line.strip()
    try:
        if line.startswith("$argon2id$"):
            return PasswordHasher().verify(line, password)
        name, cost, block, parallel, salt, digest = line.split(":")
        if name != "scrypt":
            raise ValueError(name)
        made = _scrypt(password, bytes.fromhex(salt), int(cost), int(block), int(parallel))
        return hmac.compare_digest(made, bytes.fromhex(digest))
    except VerifyMismatchError:
        return False
    except (ValueError, InvalidHashError, VerificationError) as error:
        raise Echo2ECGError(
            "A password hash of the settings is not a line that `hash-password` prints.",
            "Make it again with `hash-password`, and set it in single quotes where a shell reads it.",
        ) from error


def matches(password: str, wanted: str) -> bool:
    """True when both are the same; takes equally long for every wrong one."""
    return hmac.compare_digest(hashlib.sha256(password.encode()).digest(), hashlib.sha256(wanted.encode()).digest())


class Attempts:
    """Wrong attempts by address, and how long each address still has to wait."""

    def __init__(self):
        self._lock, self._wrong = threading.Lock(), {}

    def wait_s(self, address: str) -> float:
        """Seconds before the next attempt of an address is looked at; 0 when it may try."""
        with self._lock:
            count, last = self._wrong.get(address, (0, 0.0))
            if count < FREE_ATTEMPTS or time.monotonic() - last > FORGET_AFTER_S:
                return 0.0
            wait = min(FIRST_WAIT_S * 2 ** (count - FREE_ATTEMPTS), LONGEST_WAIT_S)
            return max(0.0, last + wait - time.monotonic())

    def count(self, address: str, right: bool) -> None:
        """Remember how an attempt ended; a right one clears the address."""
        with self._lock:
            count, last = self._wrong.pop(address, (0, 0.0))
            if right:
                return
            fresh = count if time.monotonic() - last <= FORGET_AFTER_S else 0
            self._wrong[address] = (fresh + 1, time.monotonic())
            while len(self._wrong) > MOST_ADDRESSES:
                del self._wrong[next(iter(self._wrong))]


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=256 * cost * block)
