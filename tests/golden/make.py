"""Writes the golden letters anew: `python -m tests.golden.make`. Look at the difference before keeping it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.arabic import arabic_words
from tests.golden.editions import families, golden

LETTERS = Path(__file__).parent / "letters"


def main() -> None:
    """Replaces everything in `letters`."""
    shutil.rmtree(LETTERS, ignore_errors=True)
    with arabic_words():
        for design, language in families():
            for one in golden(design, language):
                file = LETTERS / one.path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.with_suffix(".html").write_text(one.letter.html, "utf-8", newline="\n")
                file.with_suffix(".txt").write_text(
                    f"Subject: {one.letter.subject}\n\n{one.letter.text}", "utf-8", newline="\n"
                )


if __name__ == "__main__":
    main()
