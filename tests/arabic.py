"""A right-to-left language for tests: the catalogue in `tests/locale`, compiled when it is asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from emails.words import DOMAIN, more_catalogues

SOURCE = Path(__file__).parent / "locale"


@contextmanager
def arabic_words() -> Iterator[None]:
    """Arabic is one of the languages for the block."""
    with tempfile.TemporaryDirectory(prefix="weekbrief-locale-") as folder:
        for po in SOURCE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"):
            mo = Path(folder) / po.relative_to(SOURCE).with_suffix(".mo")
            mo.parent.mkdir(parents=True)
            with po.open("rb") as written, mo.open("wb") as compiled:
                write_mo(compiled, read_po(written, locale=po.parts[-3]))
        with more_catalogues(Path(folder)):
            yield
