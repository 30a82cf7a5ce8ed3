"""Golden letters in Chromium and html-validate: nothing is found, and nothing runs off a phone.

A sample of them; all with WEEKBRIEF_ALL_LETTERS=1.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Page

from emails.render import designs
from tests.arabic import arabic_words
from tests.browser.chromium import Scheme, chromium, executable
from tests.golden.editions import Golden, families, golden
from tests.golden.make import LETTERS

ROOT = Path(__file__).parents[2]
ALL = bool(os.environ.get("WEEKBRIEF_ALL_LETTERS"))
SAMPLE = {
    "nl": {"usual", "own-look", "hostile", "every-link", "run-report", "draft-ready"},
    "ar": {"usual", "long-words"},
}
AXE = """() => axe.run(document, {rules: {region: {enabled: false}, bypass: {enabled: false},
  'landmark-one-main': {enabled: false}}})"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
VALIDATE = {
    "root": True,
    "extends": ["html-validate:standard", "html-validate:a11y"],
    "rules": {
        "no-deprecated-attr": "off",
        "no-inline-style": "off",
        # mail programs turn <article> into something else, so the wrapper is a div that says its role.
        "prefer-native-element": ["error", {"exclude": ["article"]}],
        # The subject is the title, and a subject may have the 70 characters of H-15; entities cost more.
        "long-title": "off",
    },
}


@pytest.fixture(scope="module", autouse=True)
def arabic() -> Iterator[None]:
    with arabic_words():
        yield


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if executable() is None:
        pytest.skip("no Chromium here: install it (Debian: chromium)")
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 375, "height": 800}, offline=True)
        yield context.new_page()


def chosen(design: str) -> Iterator[Golden]:
    for other, language in families():
        if other == design:
            wanted = SAMPLE.get(language, set())
            yield from (one for one in golden(design, language) if ALL or one.name in wanted)


@pytest.mark.browser
@pytest.mark.standard("A-01")
@pytest.mark.standard("K-04")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("design", designs())
def test_axe_finds_nothing_and_nothing_runs_off(page: Page, design: str, scheme: Scheme) -> None:
    source, looked = axe(), 0
    page.emulate_media(color_scheme=scheme)
    for number, one in enumerate(chosen(design)):
        page.set_viewport_size({"width": (375, 700)[number % 2], "height": 800})
        page.set_content(one.html, wait_until="domcontentloaded")
        page.evaluate(source)
        found = cast("dict[str, Any]", page.evaluate(AXE))
        assert _told(found["violations"]) == [], one.path
        assert _told(found["incomplete"]) == [], one.path
        assert len(found["passes"]) > 10
        for width in (700, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(OVERFLOW) <= 0, f"{one.path} at {width}"
        looked += 1
    assert looked >= 6


def _told(rules: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What axe found, but for one doubt of its own: a heading whose first line is exactly as wide as its box
    looks to it as if something stood before it. (`pipeline.check` computes every contrast by itself.)"""
    return [
        (rule["id"], node["html"][:120])
        for rule in rules
        for node in rule["nodes"]
        if not any(
            isinstance(reason["data"], dict) and reason["data"].get("messageKey") == "elmPartiallyObscured"
            for reason in node["any"]
        )
    ]


@pytest.mark.browser
@pytest.mark.standard("I-01")
@pytest.mark.standard("R-04")
@pytest.mark.parametrize("design", designs())
def test_without_pictures_and_at_double_size(page: Page, design: str) -> None:
    (one,) = [one for one in golden(design, "nl") if one.name == "own-look"]
    page.set_viewport_size({"width": 375, "height": 800})
    page.set_content(one.html, wait_until="domcontentloaded")
    box = page.locator("img").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (120, 40), "a blocked picture keeps its place"
    assert page.evaluate(OVERFLOW) <= 0
    doubled = re.sub(r"font-size:(\d+)px", lambda match: f"font-size:{int(match[1]) * 2}px", one.html)
    page.set_content(doubled, wait_until="domcontentloaded")
    assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.standard("S-04")
def test_html_validate_finds_nothing_in_any_golden_letter(tmp_path: Path) -> None:
    places = [ROOT / "tests" / "node_modules" / ".bin", ROOT / "node_modules" / ".bin"]
    tool = os.environ.get("WEEKBRIEF_HTML_VALIDATE") or shutil.which(
        "html-validate", path=os.pathsep.join([*map(str, places), os.environ["PATH"]])
    )
    if not tool:
        pytest.skip("no html-validate here: npm ci in tests/, or name it in WEEKBRIEF_HTML_VALIDATE")
    shutil.copytree(LETTERS, tmp_path / "letters")
    (tmp_path / ".htmlvalidate.json").write_text(json.dumps(VALIDATE), encoding="utf-8")
    done = subprocess.run(
        [tool, "--formatter", "text", "letters/**/*.html"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[:3000] + done.stderr


def axe() -> str:
    """The source of axe-core, as its Python package carries it."""
    found = find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no axe-core here: pip install axe-playwright-python")
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")
