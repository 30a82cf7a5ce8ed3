"""What it costs to make one letter into many: `python benchmarks/merge.py [RECIPIENTS]`.

One page is rendered per language and design; everyone's own link is put in by splitting once and joining.
Prints processor time per recipient for both bodies, beside that of a bare `str.join` of the same pieces.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from time import process_time

from emails import render as rendering
from emails.edition import Letter
from emails.merge import split
from emails.render import designs, render
from emails.words import languages
from tests.letters import content, in_language

RECIPIENTS = 100_000
LINK = "https://brief.stillewateren.example/u/MjE3LjE0.Zk3v9Qm2x7Rr1cT0yHnB"
LIMIT = 5e-6
"""Seconds of processor per recipient (issue 5)."""


def main(recipients: int = RECIPIENTS) -> int:
    """Measures, prints, and gives 1 when a letter costs more than `LIMIT`."""
    pages, letters, render_seconds = rendered()
    print(f"pages rendered: {pages} for {len(letters)} languages and designs, {render_seconds * 1e3:.0f} ms")
    links = [f"{LINK}{number:07d}" for number in range(recipients)]
    letter = letters[0]
    ours, size = merged(letter, links)
    bare = joined(letter, links)
    print(f"recipients: {recipients}, each {size} characters of HTML and text")
    print(f"merge: {ours / recipients * 1e6:.2f} µs each; bare join: {bare / recipients * 1e6:.2f} µs each")
    print(f"ratio to bare join: {ours / bare:.2f}")
    return int(ours / recipients > LIMIT)


def rendered() -> tuple[int, list[Letter], float]:
    """How many pages were rendered, the letters, and the time it took."""
    calls, real = 0, rendering.Premailer

    class Counted(real):  # type: ignore[misc, valid-type]  # premailer has no types
        def transform(self, *args: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            return super().transform(*args, **options)

    rendering.Premailer = Counted  # type: ignore[misc]  # counted for this run
    began = process_time()
    letters = [
        render(replace(content(newsletter=in_language(language, design)), language=language))
        for language in languages()
        for design in designs()
    ]
    took = process_time() - began
    rendering.Premailer = real  # type: ignore[misc]  # as it was
    return calls, letters, took


def merged(letter: Letter, links: list[str]) -> tuple[float, int]:
    """Processor seconds for both bodies of everyone, and the size of one."""
    size = 0
    began = process_time()
    for link in links:
        parts = split(letter)
        values = {"unsubscribe": link}
        size = len(parts.html.fill(values)) + len(parts.text.fill(values))
    return process_time() - began, size


def joined(letter: Letter, links: list[str]) -> float:
    """The same pieces with nothing but `str.join`."""
    parts = split(letter)
    html, text = parts.html.pieces, parts.text.pieces
    began = process_time()
    for link in links:
        link.join(html)
        link.join(text)
    return process_time() - began


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else RECIPIENTS))
