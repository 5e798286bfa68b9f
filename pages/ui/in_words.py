"""How a control shows its options by words, and one of which an option is always chosen."""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st


def in_words(words: Mapping) -> Callable[[object], str]:
    """The `format_func` of a control: the words of an option, and itself where there are none (an old address)."""
    return lambda option: str(words.get(option, option))


def one_of(label: str, options: Sequence[str], key: str, words: Callable[[str], str]) -> str:
    """The option chosen of a few side by side, also by the address; the first where that has an empty one (`?split=`),
    which Streamlit takes for none."""
    chosen = st.segmented_control(
        label,
        list(options),
        default=options[0],
        required=True,
        key=key,
        format_func=words,
        bind="query-params",
        label_visibility="collapsed",
    )
    return chosen or options[0]
