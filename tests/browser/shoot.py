"""Pictures of the letter for the README: `python -m tests.browser.shoot [FOLDER]`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from emails.merge import split
from tests.browser.chromium import Scheme, chromium, page_of
from tests.letters import UNSUBSCRIBE, in_language, letter

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES: dict[str, tuple[str, int, Scheme]] = {
    "letter-phone": ("quiet", 390, "light"),
    "letter-desktop": ("quiet", 900, "light"),
    "letter-dark": ("quiet", 390, "dark"),
    "letter-plain": ("plain", 900, "light"),
    "letter-card": ("card", 900, "light"),
}


def main(folder: Path = IMAGES) -> None:
    """Shoots every picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name, (design, width, scheme) in PICTURES.items():
            newsletter = replace(in_language("nl", design), archive=True)
            html = split(letter(newsletter=newsletter)).html.fill({"unsubscribe": UNSUBSCRIBE})
            with page_of(browser, html, width=width, scheme=scheme, scale=2 if width < 600 else 1) as page:
                page.screenshot(path=folder / f"{name}.png", full_page=True)
            print(folder / f"{name}.png")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
