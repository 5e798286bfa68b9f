"""The interpretation that a device printed, without the people who signed it.

Devices append lines such as "Confirmed by ..." to their statements; a record carries no names, so such lines go.
"""

import re
from collections.abc import Iterable

MAX_STATEMENTS = 50
_SIGNED = re.compile(
    r"\b((un)?confirmed|reviewed|referred|ordered|edited|over-?read|read|signed|verified|interpreted|approved)\s*(by\b|:)"
    r"|\b(M\.?D\.?|D\.?O\.?|Ph\.?D\.?|Dr\.?)(?=[\s,;]|$)",
    re.IGNORECASE,
)


def without_people(statements: Iterable[str]) -> tuple[str, ...]:
    """Statements in their order, tidied, without repetitions and without lines that name a person.

    Args:
        statements: Texts as the file holds them.
    """
    tidy = (" ".join(str(text).split())[:300] for text in statements)
    kept = dict.fromkeys(text for text in tidy if text and not _SIGNED.search(text))
    return tuple(kept)[:MAX_STATEMENTS]
