"""The public pages in Chromium over HTTP: with JavaScript and without, by keyboard, dark, small."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from subscribers.addresses import normalise
from tests.browser.chromium import Scheme, chromium, executable
from tests.serving import DAY, Site, newsletter_site

pytestmark = pytest.mark.browser

GROUND = {"light": "rgb(250, 247, 241)", "dark": "rgb(29, 26, 23)"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if executable() is None:
        missing = "no Chromium found: install it (Debian: chromium)"
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail(missing)
        pytest.skip(missing)
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pages")
    with newsletter_site(f"sqlite:///{folder / 'weekbrief.db'}") as running:
        yield running


@contextmanager
def visit(
    browser: Browser, *, width: int = 1000, scheme: Scheme = "light", script: bool = True
) -> Iterator[tuple[Page, list[str]]]:
    """A new visitor, and the addresses and complaints that their browser comes to."""
    context = browser.new_context(
        viewport={"width": width, "height": 760}, color_scheme=scheme, java_script_enabled=script
    )
    page = context.new_page()
    noted: list[str] = []
    page.on("request", lambda request: noted.append(request.url))
    page.on("console", lambda message: noted.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: noted.append(f"error: {error}"))
    try:
        yield page, noted
    finally:
        assert context.cookies() == []
        context.close()


def every_page(site: Site, language: str) -> dict[str, str]:
    """An address for each page that a visitor can come to by reading."""
    reader = site.reader(f"reader-{language}@voorbeeld.example", language)
    gone = site.reader(f"gone-{language}@voorbeeld.example", language)
    site.opened.subscribers.unsubscribe(gone, at=site.clock(), how="page")
    long_gone = site.reader(f"long-gone-{language}@voorbeeld.example", language)
    site.opened.subscribers.unsubscribe(long_gone, at=site.clock() - 2 * DAY, how="page")
    return {
        "join": f"{site.base}/join?language={language}",
        "privacy": f"{site.base}/privacy?language={language}",
        "leave": site.unsubscribe_url(reader),
        "left": site.unsubscribe_url(gone),
        "left long ago": site.unsubscribe_url(long_gone),
        "confirm": f"{site.base}/c/{asked(site, language)}",
        "confirmed": f"{site.base}/c/{site.signer.confirm_token(reader, 1)}",
        "over": f"{site.base}/c/{site.signer.confirm_token(gone, 1)}",
        "unknown": f"{site.base}/u/unknown",
        **own_pages(site, language, reader, gone),
    }


def own_pages(site: Site, language: str, reader: int, gone: int) -> dict[str, str]:
    """Those of somebody who gets the letter, of someone who left, and of someone who was erased."""
    now = site.clock()
    address = f"forgotten-{language}-{len(site.asked)}@voorbeeld.example"
    forgotten = site.reader(address, language)
    site.opened.subscribers.erase(forgotten, shadow=site.signer.shadow(address), at=now)
    paused = site.reader(f"paused-{language}@voorbeeld.example", language)
    site.opened.preferences.pause(paused, until=now + 14 * DAY)
    change = site.opened.preferences.ask_move(reader, normalise(f"new-{language}@voorbeeld.example"), at=now)
    assert change is not None
    own = f"{site.base}/p/{site.signer.personal_token(reader, now)}"
    return {
        "preferences": f"{site.unsubscribe_url(reader)}/preferences",
        "preferences, paused": f"{site.unsubscribe_url(paused)}/preferences",
        "preferences, left": f"{site.unsubscribe_url(gone)}/preferences",
        "own": own,
        "own, left": f"{site.base}/p/{site.signer.personal_token(gone, now)}",
        "erase": f"{own}/erase",
        "erased": f"{site.base}/p/{site.signer.personal_token(forgotten, now)}",
        "expired": f"{site.base}/p/{site.signer.personal_token(reader, now - 2 * DAY)}",
        "move": f"{site.base}/a/{site.signer.move_token(change.id)}",
    }


def asked(site: Site, language: str) -> str:
    """The token of someone who signed up and has not confirmed."""
    from subscribers.joining import JoinForm, JoinPages  # the same pages that are being served

    pages = JoinPages(
        store=site.opened.subscribers, signer=site.signer, newsletter=site.newsletter, clock=site.clock
    )
    address = f"asked-{language}-{len(site.asked)}@voorbeeld.example"
    reply = pages.join(JoinForm(email=address, language=language))
    assert reply.ask is not None
    site.asked.append(reply.ask)
    return reply.ask.url.rpartition("/")[2]


@pytest.mark.standard("U-07")
@pytest.mark.standard("G-05")
@pytest.mark.parametrize("script", [False, True], ids=["without JavaScript", "with JavaScript"])
def test_a_visitor_joins_confirms_leaves_and_undoes_by_pressing_one_button_each(
    site: Site, browser: Browser, script: bool
) -> None:
    address = f"lena-{script}@voorbeeld.example".lower()
    with visit(browser, width=375, script=script) as (page, _):
        page.goto(f"{site.base}/")
        page.get_by_label("Je e-mailadres").fill(address)
        page.get_by_label("Je voornaam").fill("Lena")
        site.clock.move(timedelta(seconds=20))
        page.get_by_role("button", name="Stuur mij de brief").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Kijk even in je mailbox"
        lena = site.opened.subscribers.by_key(address)
        assert lena is not None
        page.goto(f"{site.base}/c/{site.signer.confirm_token(lena.id, lena.confirm_round)}")
        assert site.state(lena.id) == "pending"
        page.get_by_role("button", name="Ja, stuur mij de brief").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Fijn dat je meeleest"
        assert site.state(lena.id) == "active"
        page.goto(site.unsubscribe_url(lena.id))
        assert site.state(lena.id) == "active"
        page.get_by_role("button", name="Meld mij af").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Je bent afgemeld"
        assert site.state(lena.id) == "unsubscribed"
        page.get_by_role("button", name="Maak het ongedaan").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Je leest weer mee"
        assert site.state(lena.id) == "active"


@pytest.mark.standard("U-07")
def test_leaving_and_undoing_need_only_a_keyboard(site: Site, browser: Browser) -> None:
    reader = site.reader("keyboard@voorbeeld.example", "en")
    with visit(browser) as (page, _):
        page.goto(site.unsubscribe_url(reader))
        for name in ("Unsubscribe me", "Undo this"):
            page.keyboard.press("Tab")
            button = page.get_by_role("button", name=name)
            assert button.evaluate("it => it === document.activeElement")
            assert button.evaluate("it => getComputedStyle(it).outlineStyle") == "solid", "focus can be seen"
            with page.expect_navigation():
                page.keyboard.press("Enter")
    assert site.state(reader) == "active"


@pytest.mark.fault(126)
def test_nobody_sees_or_tabs_into_the_field_that_catches_programs(site: Site, browser: Browser) -> None:
    with visit(browser, width=375) as (page, _):
        page.goto(f"{site.base}/join")
        reached = []
        for _step in range(6):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate("() => document.activeElement.name || document.activeElement.localName")
            )
        box = page.locator("#website").bounding_box()
    assert reached[:2] == ["email", "name"]
    assert "website" not in reached
    assert box is not None
    assert box["x"] + box["width"] < 0


@pytest.mark.fault(121)
@pytest.mark.standard("U-01")
def test_a_scanner_that_runs_a_browser_changes_nothing(site: Site, browser: Browser) -> None:
    pages = every_page(site, "nl")
    before = site.everything()
    with visit(browser) as (page, _):
        for url in pages.values():
            page.goto(url, wait_until="networkidle")
            page.mouse.wheel(0, 2000)
    assert site.everything() == before


@pytest.mark.fault(130)
@pytest.mark.standard("U-09")
def test_a_page_loads_nothing_else_and_the_browser_has_no_complaint(site: Site, browser: Browser) -> None:
    for name, url in every_page(site, "nl").items():
        with visit(browser) as (page, noted):
            page.goto(url, wait_until="networkidle")
            complaints = [line for line in noted if line != url and "status of 404" not in line]
            assert complaints == [], name


@pytest.mark.standard("U-07")
@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [("nl", 375, "light"), ("nl", 1000, "dark"), ("en", 375, "dark"), ("en", 1000, "light")],
)
def test_axe_finds_nothing_and_nothing_runs_off_the_page(
    site: Site, browser: Browser, language: str, width: int, scheme: Scheme
) -> None:
    source = axe()
    with visit(browser, width=width, scheme=scheme) as (page, _):
        for name, url in every_page(site, language).items():
            page.goto(url)
            look(page, source, scheme, name)
            if name == "join":
                page.locator("#email").evaluate("it => { it.type = 'text'; it.value = 'lena' }")
                page.get_by_role("button").click()
                assert page.get_by_role("alert").is_visible()
                look(page, source, scheme, "join, mistyped")
                page.locator("#email").fill(f"axe-{language}-{width}@voorbeeld.example")
                site.clock.move(timedelta(seconds=20))
                page.get_by_role("button").click()
                look(page, source, scheme, "asked")
            if name == "left":
                page.get_by_role("button").click()
                look(page, source, scheme, "back")


def look(page: Page, source: str, scheme: Scheme, name: str) -> None:
    """axe's verdict, the ground colour, and no scrolling sideways, also at 320 pixels (WCAG 1.4.10)."""
    page.evaluate(source)
    found: dict[str, Any] = page.evaluate("() => axe.run(document)")
    for outcome in ("violations", "incomplete"):
        told = [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found[outcome]]
        assert told == [], f"{name}: {outcome}"
    assert len(found["passes"]) > 10
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == GROUND[scheme]
    assert page.locator("h1").count() == 1
    size = page.viewport_size
    assert size is not None
    for width in (size["width"], 320):
        page.set_viewport_size({"width": width, "height": size["height"]})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, f"{name} at {width}"
    page.set_viewport_size(size)


@pytest.mark.standard("U-07")
def test_buttons_are_large_enough_for_a_thumb(site: Site, browser: Browser) -> None:
    with visit(browser, width=375) as (page, _):
        for name, url in every_page(site, "nl").items():
            page.goto(url)
            for button in page.get_by_role("button").all():
                box = button.bounding_box()
                assert box is not None, name
                assert box["height"] >= 44, name
                side_by_side = button.evaluate("it => it.parentElement.className === 'row'")
                assert box["width"] >= (80 if side_by_side else 300), name


def axe() -> str:
    """The source of axe-core, as its Python package carries it."""
    found = find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no axe-core here: pip install axe-playwright-python")
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")
