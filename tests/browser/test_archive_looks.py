"""The archive in Chromium: calm, complete, without script, on the web and from a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from emails.delivery import EditionState
from pipeline.archive import static_site
from pipeline.archive_folder import replace_folder
from pipeline.store.archive import Archive
from pipeline.web.archive import Archiving
from tests.acceptance.test_archive_pages import LETTER, edition
from tests.browser.chromium import Scheme
from tests.browser.test_pages import axe, browser, look, visit
from tests.serving import Site, newsletter_site

__all__ = ["browser"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("archive")
    rooms = lambda store, _clock: [Archiving(LETTER, Archive(store.engine))]  # noqa: E731  short, and only here
    with newsletter_site(f"sqlite:///{folder / 'weekbrief.db'}", rooms=rooms) as running:
        for day in ("2026-11-29", "2026-11-22", "2025-12-28"):
            edition(running.opened, day, EditionState.FINISHED)
        yield running


PAGES = ("/archive", "/archive?q=liggen", "/archive?q=nergens", "/archive/2026-11-22", "/archive/2025-12-28")


@pytest.mark.standard("U-07")
@pytest.mark.parametrize(
    ("width", "scheme"), [(375, "light"), (375, "dark"), (1000, "light"), (1000, "dark")]
)
def test_axe_finds_nothing_and_nothing_runs_off_the_page(
    site: Site, browser: Browser, width: int, scheme: Scheme
) -> None:
    source = axe()
    with visit(browser, width=width, scheme=scheme) as (page, _):
        for path in PAGES:
            page.goto(f"{site.base}{path}")
            look(page, source, scheme, path)


def test_a_page_loads_nothing_and_the_browser_has_no_complaint(site: Site, browser: Browser) -> None:
    for path in PAGES:
        with visit(browser) as (page, noted):
            page.goto(f"{site.base}{path}", wait_until="networkidle")
            assert noted == [f"{site.base}{path}"]


@pytest.mark.parametrize("script", [False, True])
def test_a_reader_searches_and_walks_from_letter_to_letter(
    site: Site, browser: Browser, script: bool
) -> None:
    with visit(browser, width=375, script=script) as (page, _):
        page.goto(f"{site.base}/archive")
        page.get_by_label("Zoek jouw thema").fill("LIGGÉN")
        page.get_by_role("button", name="Zoek").click()
        assert page.get_by_role("status").inner_text() == "3 brieven over “LIGGÉN”"
        page.get_by_role("link", name="Wat laat je vandaag liggen?").nth(1).click()
        assert page.url.endswith("/archive/2026-11-22")
        assert page.get_by_role("heading", level=1).inner_text() == "Wat laat je vandaag liggen?"
        page.locator("a[rel=prev]").click()
        assert page.url.endswith("/archive/2025-12-28")
        page.get_by_role("link", name="Alle brieven").click()
        assert page.url.endswith("/archive")


def test_the_folder_works_without_a_server(site: Site, browser: Browser, tmp_path: Path) -> None:
    letters = Archive(site.opened.engine).listed()
    replace_folder(tmp_path / "letters", static_site(LETTER, letters))
    with visit(browser, width=375, script=False) as (page, noted):
        page.goto((tmp_path / "letters" / "index.html").as_uri())
        page.get_by_role("link", name="Wat laat je vandaag liggen?").first.click()
        assert page.url.endswith("/2026-11-29.html")
        page.locator("a[rel=prev]").click()
        page.get_by_role("link", name="Alle brieven").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Eerdere brieven"
    assert all(url.startswith("file:") for url in noted), noted
