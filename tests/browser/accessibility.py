"""What axe-core finds on a page: rules of WCAG 2.2, level AA, with an impact of serious or critical.

Left out is what Streamlit draws itself and no page can change: the list of its navigation, whose items stand one level
too deep.
"""

from functools import cache
from importlib.resources import files

NOT_OURS = "[data-testid=stSidebarNavItems]"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
RUN = """async ([rules, notOurs]) => {
  const found = await axe.run(document, { runOnly: rules, resultTypes: ['violations'], elementRef: true });
  const theirs = (node, rule) => rule.startsWith('list') && node.element?.closest(notOurs);
  return found.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => ({
    rule: v.id, help: v.help, where: v.nodes.filter((n) => !theirs(n, v.id))
      .map((n) => `${n.target.flat().join(' ')} | ${n.any[0]?.message ?? ''}`)
  })).filter((v) => v.where.length);
}"""


@cache
def _script() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def serious_findings(page) -> list[dict]:
    """Rules that the page breaks, each with `rule`, `help` and the selectors where."""
    page.evaluate(_script())
    return page.evaluate(RUN, [list(RULES), NOT_OURS])
