"""The letter in Chromium: no overflow, dark rules that apply, readable without style sheets, axe content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from emails.render import designs
from tests.browser.chromium import Scheme, chromium, executable, page_of
from tests.letters import EVERY, QUESTION, content, finished, in_language, letter

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(executable() is None, reason="no Chromium here: install it (Debian: chromium)"),
]
WIDTHS = (375, 700)
SHIPPED = [
    case
    for case in EVERY
    if case.values[1] == "nl" and (case.values[0] == "weekly" or case.values[2] == "quiet")
]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

# What each element that shows text itself looks like: its colour and the first ground below it.
COLOURS = """() => {
  const ground = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c } return 'none' };
  return [...document.body.querySelectorAll('*')]
    .filter(e => e.getClientRects().length && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => ({tag: e.tagName, role: e.className, text: e.textContent.trim().slice(0, 40),
      ink: getComputedStyle(e).color, ground: ground(e), size: parseFloat(getComputedStyle(e).fontSize)}))
}"""
# The lines that each paragraph breaks into.
LINES = """() => [...document.querySelectorAll('p')].flatMap(p => {
  const lines = new Map(), range = document.createRange();
  const walk = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
  for (let node; node = walk.nextNode();) for (let i = 0; i < node.length; i++) {
    range.setStart(node, i); range.setEnd(node, i + 1);
    const top = Math.round(range.getBoundingClientRect().bottom / 4);
    lines.set(top, (lines.get(top) || '') + node.data[i]) }
  return [...lines.values()].map(line => line.trim()) })"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.mark.standard("R-01")
@pytest.mark.standard("R-06")
@pytest.mark.parametrize("design", designs())
@pytest.mark.parametrize("width", [320, 375, 414, 700, 1200])
def test_nothing_is_wider_than_the_window(browser: Browser, design: str, width: int) -> None:
    unbroken = "meervoudigepersoonlijkheidsstoornissensyndroom"
    address = "https://www.stillewateren.example/" + "a" * 90
    html = letter(
        f"Wat als {unbroken}?", f"{unbroken} en {address} in één zin.", newsletter=in_language("nl", design)
    ).html
    with page_of(browser, html, width=width) as page:
        assert page.evaluate(OVERFLOW) <= 0
    with page_of(browser, finished("confirm", "nl", design).html, width=width) as page:
        assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.standard("R-04")
@pytest.mark.parametrize("design", designs())
def test_text_at_double_size_still_fits(browser: Browser, design: str) -> None:
    html = finished("weekly", "nl", design).html
    doubled = re.sub(r"font-size:(\d+)px", lambda match: f"font-size:{int(match[1]) * 2}px", html)
    with page_of(browser, doubled, width=375) as page:
        assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.standard("K-02")
@pytest.mark.standard("C-05")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("kind", "language", "design"), SHIPPED)
def test_the_dark_rules_really_apply(
    browser: Browser, kind: str, language: str, design: str, width: int
) -> None:
    html = finished(kind, language, design).html
    seen: dict[Scheme, list[dict[str, Any]]] = {}
    for scheme in SCHEMES:
        with page_of(browser, html, width=width, scheme=scheme) as page:
            seen[scheme] = page.evaluate(COLOURS)
    assert len(seen["light"]) == len(seen["dark"]) > 5
    for light, dark in zip(seen["light"], seen["dark"], strict=True):
        assert light["text"] == dark["text"]
        assert light["ink"] != dark["ink"], light
        assert light["ground"] != dark["ground"], light


@pytest.mark.standard("K-03")
@pytest.mark.parametrize("design", designs())
def test_outlook_s_dark_attributes_give_the_same_colours(browser: Browser, design: str) -> None:
    html = finished("weekly", "nl", design).html
    marked = html.replace("<html ", '<html data-ogsc="" data-ogsb="" ', 1)
    with page_of(browser, html, width=700, scheme="dark") as page:
        dark = page.evaluate(COLOURS)
    with page_of(browser, marked, width=700, scheme="light") as page:
        assert page.evaluate(COLOURS) == dark


@pytest.mark.standard("A-06")
@pytest.mark.standard("K-04")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("kind", "language", "design"), SHIPPED)
def test_contrast_as_shown(browser: Browser, kind: str, language: str, design: str, scheme: Scheme) -> None:
    with page_of(browser, finished(kind, language, design).html, width=700, scheme=scheme) as page:
        for shown in page.evaluate(COLOURS):
            ratio = contrast(shown["ink"], shown["ground"])
            assert ratio >= (7 if {"ink", "over"} & set(shown["role"].split()) else 4.5), shown
            assert shown["size"] >= 13


@pytest.mark.standard("C-01")
@pytest.mark.parametrize("width", [700, 1200])
@pytest.mark.parametrize(
    ("kind", "design"), [("weekly", "quiet"), ("weekly", "plain"), ("weekly", "card"), ("confirm", "quiet")]
)
def test_without_its_style_block_it_looks_the_same(
    browser: Browser, kind: str, design: str, width: int
) -> None:
    html = finished(kind, "nl", design).html
    bare = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    assert "<style" not in bare
    pictures = []
    for version in (html, bare):
        with page_of(browser, version, width=width) as page:
            pictures.append(page.screenshot(full_page=True))
    assert pictures[0] == pictures[1]


@pytest.mark.standard("R-02")
@pytest.mark.parametrize("design", designs())
def test_without_its_style_block_it_is_usable_on_a_phone(browser: Browser, design: str) -> None:
    bare = re.sub(r"<style>.*?</style>", "", finished("weekly", "nl", design).html, flags=re.DOTALL)
    with page_of(browser, bare, width=375) as page:
        assert page.evaluate(OVERFLOW) <= 0
        box = page.locator("h1").bounding_box()
        assert box is not None
        assert box["width"] >= 300


@pytest.mark.standard("C-05")
def test_the_phone_rules_really_apply(browser: Browser) -> None:
    sizes = {}
    for width in WIDTHS:
        with page_of(browser, letter().html, width=width) as page:
            sizes[width] = page.locator("h1").evaluate("e => getComputedStyle(e).fontSize")
    assert sizes == {375: "28px", 700: "34px"}


@pytest.mark.standard("R-03")
@pytest.mark.parametrize("design", designs())
def test_lines_are_a_comfortable_length(browser: Browser, design: str) -> None:
    with page_of(browser, letter(newsletter=in_language("nl", design)).html, width=1200) as page:
        lines = page.evaluate(LINES)
    assert len(lines) > 10
    assert max(map(len, lines)) <= 75, max(lines, key=len)


@pytest.mark.standard("A-09")
@pytest.mark.standard("P-02")
def test_the_preheader_is_hidden_and_the_question_comes_first(browser: Browser) -> None:
    with page_of(browser, letter().html, width=375) as page:
        shown = page.evaluate("() => document.body.innerText")
        assert shown.strip().startswith(QUESTION)
        assert content().preheader not in shown
        snapshot = page.locator("body").aria_snapshot()
    assert snapshot.index(QUESTION) < snapshot.index("Een voorbeeld") < snapshot.index("Schrijf je uit")
    assert snapshot.index(f'heading "{QUESTION}" [level=1]') < snapshot.index("paragraph")


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio of two computed colours, `rgb(r, g, b)`."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
