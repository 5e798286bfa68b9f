"""Who may do what: three roles, the one table of actions that change what others see, and the file of local people.

A role may what those before it may. Everything that is not in the table changes nothing for anybody else (opening an
ECG, searching, exporting one's own prediction) and asks for no role. What is asked for is asked on the server, when
the action is carried out (pages/ui/admin_gate.py); the terminal belongs to whoever may read the workspace's files.
"""

from dataclasses import dataclass
from pathlib import Path

from echo2ecg_core.errors import StoreError

VIEWER, RESEARCHER, ADMIN = ROLES = ("viewer", "researcher", "admin")

ON_THE_SERVER = "on the server"  # a browser there, whom no login names

NEEDED = {
    "evaluate": RESEARCHER,
    "draw the map": RESEARCHER,
    "export a cohort": RESEARCHER,
    "mark a hit": RESEARCHER,
    "keep a cohort": RESEARCHER,
    "keep a view": RESEARCHER,
    "import": ADMIN,
    "settle a clip": ADMIN,
    "import weights": ADMIN,
    "prepare a model": ADMIN,
    "promote": ADMIN,
    "remove": ADMIN,
    "correct": ADMIN,
    "train": ADMIN,
    "stop a job": ADMIN,
    "resume a job": ADMIN,
    "dismiss a job": ADMIN,
    "second reader": ADMIN,
    "back up": ADMIN,
    "see the audit log": ADMIN,
    "see the metrics": ADMIN,
}


def by_whom(who: str) -> str:
    """Who did something, as a part of a sentence: "by ada", "on the server"."""
    return who if who == ON_THE_SERVER else f"by {who}"


def may(role: str, action: str) -> bool:
    """True when a role ("" for nobody) allows an action of the table."""
    return at_least(role, NEEDED[action])


def at_least(role: str, wanted: str) -> bool:
    """True when a role may what another may; "" may nothing."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(wanted)


@dataclass(frozen=True)
class Person:
    """Somebody of the file of people: a name, a role, and the line that `hash-password` printed."""

    name: str
    role: str
    password_hash: str


def read_people(file: Path) -> tuple[Person, ...]:
    """The people of a file with one `name:role:hash` a line; empty lines and those that begin with # are passed over.

    Raises:
        StoreError: the file cannot be read, or a line is none of these; the number of the line is told, never its text.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"The file of people cannot be read ({type(error).__name__}).", "Check ECHO2ECG_PEOPLE_FILE."
        ) from error
    people: dict[str, Person] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, role, password_hash, *_ = *(part.strip() for part in line.split(":", 2)), "", ""
        if not name or role not in ROLES or not password_hash or name in people:
            raise StoreError(
                f"Line {number} of the file of people is not name:role:hash with a new name and a role of "
                f"{', '.join(ROLES)}.",
                "Make it with `hash-password --name NAME --role ROLE`.",
            )
        people[name] = Person(name, role, password_hash)
    return tuple(people.values())
