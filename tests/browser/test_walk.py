"""A reader's whole way in Chromium, with everything real: the pages, the provider that writes to a folder,
and an edition that is picked, rendered and sent. With JavaScript and without."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import Scheme
from tests.browser.test_pages import axe, browser, look, visit
from tests.running import Running, link, running

__all__ = ["browser"]

pytestmark = pytest.mark.browser

NAME, ADDRESS = "Zeldzaam", "kanarie@voorbeeld.example"
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@pytest.mark.fault(84)
@pytest.mark.fault(85)
@pytest.mark.standard("U-07")
@pytest.mark.standard("U-12")
@pytest.mark.standard("U-13")
@pytest.mark.parametrize("script", [False, True], ids=["without JavaScript", "with JavaScript"])
def test_from_signing_up_to_being_forgotten(browser: Browser, tmp_path: Path, script: bool) -> None:
    with running(tmp_path / "brief") as made, visit(browser, width=375, script=script) as (page, noted):
        seen = looking(page, script=script)
        join(page, made)
        seen("Kijk even in je mailbox")
        page.goto(link(made.letter(1), r"/c/[\w-]+"))
        seen("Zullen we je de brief sturen?")
        page.get_by_role("button", name="Ja, stuur mij de brief").click()
        seen("Fijn dat je meeleest")
        welcome = made.letter(2)
        assert welcome["To"].addresses[0].addr_spec == ADDRESS
        made.send_week()
        weekly = made.letter(3)
        assert weekly["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "mailto:" not in weekly["List-Unsubscribe"], "nobody reads such mail"
        leave_and_undo(page, weekly, seen)
        pause_and_lift(page, weekly, seen)
        page.get_by_role("button", name="Stuur mij die link").click()
        seen("Kijk even in je mailbox")
        own = link(made.letter(4), r"/p/[\w-]+")
        move(page, made, own, seen)
        page.goto(link(weekly, r"/u/[\w-]+/preferences"))
        page.get_by_role("button", name="Stuur mij die link").click()
        again = made.letter(6)
        assert again["To"].addresses[0].addr_spec == f"nieuw.{ADDRESS}"
        erase(page, link(again, r"/p/[\w-]+"), seen)
        page.goto(link(weekly, r"/u/[\w-]+"))
        seen("Je bent afgemeld")
        assert len(made.letters()) == 6
        assert [line for line in noted if not line.startswith(made.base)] == [], "nothing from elsewhere"
        database = Path(made.store.engine.url.database or "")
        kept = b"".join(file.read_bytes() for file in database.parent.glob(f"{database.name}*"))
        assert b"kanarie" not in kept.lower()
        assert NAME.encode() not in kept


def looking(page: Page, *, script: bool) -> Callable[[str], None]:
    """Checks where the visitor is; where a script can run, axe looks at the page in light and dark too."""
    source = axe() if script else ""

    def seen(title: str) -> None:
        assert page.get_by_role("heading", level=1).inner_text() == title
        if script:
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                look(page, source, scheme, title)

    return seen


def join(page: Page, made: Running) -> None:
    page.goto(f"{made.base}/join?language=nl")
    page.get_by_label("Je e-mailadres").fill(ADDRESS)
    page.get_by_label("Je voornaam").fill(NAME)
    page.wait_for_timeout(2_500)  # quicker than any person counts as a program
    page.get_by_role("button", name="Stuur mij de brief").click()


def leave_and_undo(page: Page, weekly: EmailMessage, seen: Callable[[str], None]) -> None:
    page.goto(link(weekly, r"/u/[\w-]+"))
    seen("Wil je je afmelden?")
    page.get_by_role("button", name="Meld mij af").click()
    seen("Je bent afgemeld")
    page.get_by_role("button", name="Maak het ongedaan").click()
    seen("Je leest weer mee")


def pause_and_lift(page: Page, weekly: EmailMessage, seen: Callable[[str], None]) -> None:
    page.goto(link(weekly, r"/u/[\w-]+/preferences"))
    seen("Je voorkeuren")
    page.get_by_role("button", name="4 weken").click()
    assert "Je hebt pauze tot" in page.get_by_role("status").inner_text()
    seen("Je voorkeuren")
    page.get_by_role("button", name="Stop de pauze").click()
    assert "De pauze is voorbij" in page.get_by_role("status").inner_text()
    page.get_by_label("Om de andere brief").check()
    page.get_by_label("Taal van deze pagina").select_option("en")
    page.get_by_role("button", name="Bewaar").click()
    seen("Your preferences")
    assert page.get_by_label("Every second letter").is_checked()
    page.get_by_label("Language of these pages").select_option("nl")
    page.get_by_role("button", name="Save").click()


def move(page: Page, made: Running, own: str, seen: Callable[[str], None]) -> None:
    page.goto(own)
    seen("Wat we van je bewaren")
    assert ADDRESS in page.locator("dl").inner_text()
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download alles").click()
    assert json.loads(begun.value.path().read_text("utf-8"))["address"] == ADDRESS
    page.get_by_label("Een ander adres").fill(f"nieuw.{ADDRESS}")
    page.get_by_role("button", name="Stuur het bericht").click()
    seen("Kijk in je nieuwe mailbox")
    page.goto(link(made.letter(5), r"/a/[\w-]+"))
    seen("De brief voortaan hier?")
    page.get_by_role("button", name="Ja, voortaan hier").click()
    seen("Dat is geregeld")
    page.goto(own)
    seen("Deze link is verlopen")


def erase(page: Page, own: str, seen: Callable[[str], None]) -> None:
    page.goto(own)
    page.get_by_role("link", name="Laat alles wissen").click()
    seen("Zullen we alles wissen?")
    page.get_by_role("button", name="Wis alles").click()
    seen("Alles is gewist")
    page.goto(own)
    seen("Alles is gewist")
