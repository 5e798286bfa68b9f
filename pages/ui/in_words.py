"""How a control shows its options by words."""

from collections.abc import Callable, Mapping


def in_words(words: Mapping) -> Callable[[object], str]:
    """The `format_func` of a control: the words of an option, and itself where there are none (an old address)."""
    return lambda option: str(words.get(option, option))
