"""What one visitor is about to import: the preview that is shown and the columns that were corrected."""

import streamlit as st

from echo2ecg_core.intake.mapping import Column

_PREVIEW = "import_preview"
_TOLD = "import_told"
_UPLOAD = "import_upload"
_ROUND = "import_round"
_OUTLINES = "waiting_outlines"
_LETTERS = "waiting_letters"
_SETTLED = "waiting_settled"
_MORE = "import_more"


def preview_of(key: tuple) -> dict | None:
    """The preview that was made for these choices, None when they are others now."""
    kept = st.session_state.get(_PREVIEW)
    return kept[1] if kept and kept[0] == key else None


def keep_preview(key: tuple, found: dict) -> None:
    """Keep a preview with what was chosen for it."""
    st.session_state[_PREVIEW] = (key, found)


def forget() -> None:
    """Forget what was looked into."""
    for key in (_PREVIEW, _UPLOAD):
        st.session_state.pop(key, None)


def uploader_key() -> str:
    """Key of the uploader; another one after every import that was queued, so that it is empty."""
    return f"archive_zip{st.session_state.get(_ROUND, '')}"


def path_key() -> str:
    """Key of the field for a folder; another one after every import that was queued, so that it is empty."""
    return f"archive_path{st.session_state.get(_ROUND, '')}"


def begin_anew() -> None:
    """Forget what was looked into and empty uploader and path: the import is queued and stands below."""
    forget()
    st.session_state[_ROUND] = int(st.session_state.get(_ROUND, 0)) + 1


def shows_more(is_open: bool) -> bool:
    """Whether what is rarely told is drawn: since it was first unfolded, so that folding it up untells nothing."""
    st.session_state[_MORE] = is_open or bool(st.session_state.get(_MORE))
    return st.session_state[_MORE]


def kept_upload() -> tuple[str, str] | None:
    """The name the visitor's upload waits under and the folder it was unpacked into; None before there is one."""
    return st.session_state.get(_UPLOAD)


def keep_upload(kept: str, folder: str) -> tuple[str, str]:
    """Remember where an upload waits."""
    st.session_state[_UPLOAD] = (kept, folder)
    return kept, folder


def told_columns(folder: str) -> dict[str, Column]:
    """The columns that the visitor has corrected in this folder."""
    kept = st.session_state.get(_TOLD)
    return kept[1] if kept and kept[0] == folder else {}


def tell_columns(folder: str, columns: dict[str, Column]) -> None:
    """Keep what the columns of this folder mean."""
    st.session_state[_TOLD] = (folder, columns)


def outlines_of(waiting_id: str) -> list | None:
    """What was drawn on a clip that waits; None before anything was."""
    kept = st.session_state.get(_OUTLINES)
    return kept[1] if kept and kept[0] == waiting_id else None


def keep_outlines(waiting_id: str, outlines: object) -> None:
    """Keep what a browser says was drawn; letters inside another outline are asked about anew."""
    st.session_state[_OUTLINES] = (waiting_id, outlines if isinstance(outlines, list) else None)
    st.session_state.pop(_LETTERS, None)


def ask_about_letters(waiting_id: str) -> None:
    """Letters were found inside what was drawn: a person has to say that they are no name."""
    st.session_state[_LETTERS] = waiting_id


def asked_about_letters(waiting_id: str) -> bool:
    """True while that is asked."""
    return st.session_state.get(_LETTERS) == waiting_id


def settle(sentence: str) -> None:
    """Keep what became of a clip for the next run of the page."""
    st.session_state[_SETTLED] = sentence


def settled() -> str | None:
    """What became of the last clip, once."""
    return st.session_state.pop(_SETTLED, None)
