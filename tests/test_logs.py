"""JSON logs: one object a line, with the session it belongs to, and nothing of what an error quotes."""

import json
import logging
import subprocess
import sys

from echo2ecg_core import logs
from echo2ecg_core.logs import JsonLines


def line(message, *args, exc_info=None, **more) -> dict:
    record = logging.LogRecord("echo2ecg.jobs", logging.ERROR, __file__, 1, message, args, exc_info)
    for name, value in more.items():
        setattr(record, name, value)
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_is_one_object_with_time_level_message_facts_and_session():
    token = logs.session_id.set("5e551011")
    told = line("job %s\nended", 7, facts={"job": 7, "state": "done"})
    logs.session_id.reset(token)
    assert told["message"] == "job 7\nended" and told["level"] == "error" and told["time"].endswith("+00:00")
    assert (told["job"], told["state"], told["session"]) == (7, "done", "5e551011") and "request" not in told


def test_an_error_is_told_by_type_and_place_and_never_by_its_text():
    try:
        raise ValueError("Patient Müller, 1950")
    except ValueError as error:
        told = line("Uncaught: %s", error, exc_info=sys.exc_info())
    assert told["error"] == "ValueError" and "test_logs.py" in told["places"][0]
    assert "Müller" not in json.dumps(told, ensure_ascii=False)


def test_with_the_setting_every_logger_but_those_of_readers_writes_json_and_without_it_none_changes():
    code = (
        "import logging; from echo2ecg_core import logs; other = logging.getLogger('other');"
        "other.addHandler(logging.StreamHandler()); logs.set_up('FORMAT'); other.warning('a'); logging.warning('b');"
        "logging.getLogger('pydicom').warning('Invalid value for VR UI: Erna'); logging.captureWarnings(True);"
        "import warnings; warnings.warn('Erna')"
    )
    run = [sys.executable, "-c", code.replace("FORMAT", "json")]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stderr.splitlines()
    assert [json.loads(one)["message"] for one in lines] == ["a", "b"]
    run[-1] = code.replace("FORMAT", "text")
    assert subprocess.run(run, capture_output=True, text=True, check=True).stderr.splitlines()[0] == "a"
