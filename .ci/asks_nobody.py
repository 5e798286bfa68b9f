"""Fails where a page of the built site would fetch a script, style, font or picture from another host."""

import re
import sys
from pathlib import Path

FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc\s*=\s*["']?(?:https?:)?//"""
    r"""|<link\b(?![^>]*\brel=["']?canonical)[^>]*\bhref\s*=\s*["']?(?:https?:)?//"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//|\burl\(\s*["']?(?:https?:)?//""",
    re.IGNORECASE,
)


def foreign(site: Path) -> list[str]:
    """Every such place, as "file: what stands there"."""
    files = [path for path in sorted(site.rglob("*")) if path.suffix in {".html", ".css"}]
    return [f"{path.relative_to(site)}: {hit.group(0)}" for path in files for hit in FETCHED.finditer(path.read_text())]


if __name__ == "__main__":
    found = foreign(Path(sys.argv[1]))
    sys.exit("The site asks other hosts:\n" + "\n".join(found) if found else 0)
