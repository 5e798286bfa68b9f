"""Logs of the server and the worker: one JSON object a line where the settings ask for it, without patient data.

A line names the request and the session of the browser it belongs to, so that what one visitor met can be put
together. Of an error only its type and its places in the code are written: its text may quote a file. What readers of
files of others log quotes them too, and is not written.
"""

import json
import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str] = ContextVar("request_id", default="")
session_id: ContextVar[str] = ContextVar("session_id", default="")

_READERS = {"pydicom", "wfdb", "ecgdatakit", "nibabel", "openpyxl", "libav", "PIL", "py"}  # "py": py.warnings


class JsonLines(logging.Formatter):
    """Time (UTC), level, logger, message, then request, session, `extra={"facts": {…}}` and error where there are."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request": request_id.get() or None,
            "session": session_id.get() or None,
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["message"] = str(record.msg)  # its arguments may hold the error's text
            line["error"] = record.exc_info[0].__name__
            line["places"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(record.exc_info[2])]
        return json.dumps({name: value for name, value in line.items() if value is not None}, default=str)


def set_up(log_format: str) -> None:
    """Let every logger of this process but those of readers write to standard error in a format ("json" or "text")."""
    if log_format != "json":
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(lambda record: record.name.split(".")[0] not in _READERS)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(min(logging.root.level or logging.INFO, logging.INFO))
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.handlers:  # Streamlit and uvicorn bring their own
            logger.handlers[:], logger.propagate = [], True
