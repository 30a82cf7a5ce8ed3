"""Pictures of every golden letter on one page: `python -m tests.golden.gallery [FOLDER] [--only TEXT]`.

At 375 and 700 pixels, light and dark, with pictures off, and with text at twice its size.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from html import escape
from pathlib import Path

from playwright.sync_api import Page, Route

from tests.arabic import arabic_words
from tests.browser.chromium import Scheme, chromium
from tests.golden.editions import Golden, families, golden

FOLDER = Path(__file__).parents[2] / "build" / "gallery"
SHOTS: dict[str, tuple[int, Scheme, bool, int]] = {
    "700 light": (700, "light", True, 1),
    "700 dark": (700, "dark", True, 1),
    "375 light": (375, "light", True, 1),
    "375 dark": (375, "dark", True, 1),
    "375 pictures off": (375, "light", False, 1),
    "375 text at 200 %": (375, "light", True, 2),
}
"""Name → width in pixels, colours, pictures, size of text."""
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Golden letters</title><style>
body{{font:16px/1.5 system-ui,sans-serif;margin:2rem;background:#f4f4f4;color:#222}}h2{{margin:3rem 0 .5rem}}
.row{{display:flex;gap:1rem;overflow-x:auto;align-items:flex-start}}figure{{margin:0}}figcaption{{font-size:.8rem}}
img{{display:block;border:1px solid #ccc;max-width:none}}nav a{{margin-right:1rem}}</style>
<h1>Golden letters</h1><nav>{links}</nav>{rows}</html>"""


def main(folder: Path = FOLDER, only: str = "") -> None:
    """Shoots every golden letter whose path holds `only`, and writes `index.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with arabic_words(), chromium() as browser:
        page = browser.new_context(viewport={"width": 700, "height": 900}).new_page()
        page.route("**/*", _answer)
        for design, language in families():
            found = (one for one in golden(design, language) if only in one.path)
            rows += [_row(page, one, folder) for one in found]
    links = "".join(f'<a href="#{d}/{lang}/usual">{d} {lang}</a>' for d, lang in families())
    (folder / "index.html").write_text(_PAGE.format(links=links, rows="".join(rows)), "utf-8")
    print(f"{len(rows)} letters: {folder / 'index.html'}")


def _row(page: Page, one: Golden, folder: Path) -> str:
    figures = []
    for name, (width, scheme, pictures, times) in SHOTS.items():
        if not pictures and "<img" not in one.html:
            continue
        html = re.sub(r"font-size:(\d+)px", lambda m, t=times: f"font-size:{int(m[1]) * t}px", one.html)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.set_content(html if pictures else html.replace('src="https://', 'src="https://off.'))
        file = f"{one.path}-{name}.png".replace("/", "-").replace(" ", "-").replace("%", "")
        page.screenshot(path=folder / file, full_page=True)
        figures.append(
            f'<figure><figcaption>{name}</figcaption><img src="{file}" loading="lazy" alt=""></figure>'
        )
    title = f'<h2 id="{one.path}">{one.path}</h2><p>{escape(one.letter.subject)}</p>'
    return f'{title}<div class="row">{"".join(figures)}</div>'


def _answer(route: Route) -> None:
    if route.request.url.startswith("https://off.") or not route.request.url.endswith(".png"):
        route.abort()
    else:
        route.fulfill(body=_logo(240, 80), content_type="image/png")


def _logo(width: int, height: int) -> bytes:
    """A PNG with three dark waves on nothing (RFC 2083)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def pixel(x: int, y: int) -> bytes:
        wave = abs((x % 80) - 40) // 4
        return b"\x5b\x3a\x8c\xff" if (y + wave) % 26 < 8 and x % 86 < 78 else b"\0\0\0\0"

    rows = b"".join(b"\0" + b"".join(pixel(x, y) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    words = sys.argv[1:]
    wanted = words[words.index("--only") + 1] if "--only" in words else ""
    places = [word for word in words if not word.startswith("--") and word != wanted]
    main(Path(places[0]) if places else FOLDER, wanted)
