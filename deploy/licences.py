"""Licences of everything that is installed beside this program, and whether one forbids use in a hospital or research.

    .venv/bin/python deploy/licences.py [--out licences.csv]

Read from each package's own metadata (PEP 639 expression, else its classifiers, else its text). Exit status 1 where a
package has none, or one whose words forbid commercial use, or that binds who offers a network service (AGPL, SSPL).
"""

import argparse
import csv
import re
import sys
from importlib import metadata

FORBIDS = re.compile(
    r"non.?commercial|\bNC\b|AGPL|Affero|SSPL|Commons Clause|BUSL|proprietary|evaluation only", re.IGNORECASE
)
KNOWN = {"axe-playwright-python": "MIT"}  # their metadata names none, their repository does
VENDOR = ("nvidia-",)  # CUDA libraries: NVIDIA's licence allows use and redistribution with an application


def licence_of(package: metadata.Distribution) -> str:
    """What the package says of itself, on one line; "" where it says nothing."""
    about = package.metadata
    if about["Name"] in KNOWN:
        return KNOWN[about["Name"]]
    if about.get("License-Expression"):
        return about["License-Expression"]
    named = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License :: ")]
    text = (about.get("License") or "").strip().splitlines()
    return "; ".join(n for n in named if n != "OSI Approved") or (text[0][:100] if text else "")


def problems(rows: list[tuple[str, str, str]]) -> list[str]:
    """Packages without a licence or with one that forbids, in words."""
    said = []
    for name, _, licence in rows:
        if not licence:
            said.append(f"{name} names no licence")
        elif FORBIDS.search(licence) and not name.lower().startswith(VENDOR):
            said.append(f"{name}: {licence}")
    return said


def installed() -> list[tuple[str, str, str]]:
    """(name, version, licence) of every package, by name."""
    found = {p.metadata["Name"].lower(): p for p in metadata.distributions() if p.metadata["Name"]}
    return [(p.metadata["Name"], p.version, licence_of(p)) for _, p in sorted(found.items())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="CSV to write; without, to standard output")
    asked = parser.parse_args()
    rows = installed()
    with open(asked.out, "w", newline="") if asked.out else sys.stdout as file:
        csv.writer(file).writerows([("package", "version", "licence"), *rows])
    said = problems(rows)
    sys.exit("\n".join(said) if said else 0)
