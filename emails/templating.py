"""The sandbox in which templates are filled, an operator's own among them: they see the values they are
given, change nothing, and end.

Jinja's sandbox keeps templates from Python's insides; what it leaves open is making very much of very little,
by padding or multiplying text, or by loops in loops.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from jinja2 import BytecodeCache, FileSystemBytecodeCache, Template
from jinja2 import __version__ as jinja_version
from jinja2.bccache import Bucket
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_CHARACTERS: Final = 2_000_000
"""Of one filled template. A letter has some tens of thousands."""
MAX_PIECES: Final = 200_000
"""Steps of filling it, so that loops in loops end."""
_LARGEST = 10_000
_PADDING_METHODS = {"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"}
_PADDING_FILTERS = ("center", "format", "indent")


class Sandbox(ImmutableSandboxedEnvironment):
    """Raises `jinja2.exceptions.SecurityError` for what a template may not do."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in _PADDING_FILTERS:
            del self.filters[name]
        self.globals.clear()

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _PADDING_METHODS and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic with small numbers only: text times a million is a million texts."""
        if not all(isinstance(side, int) and abs(side) <= _LARGEST for side in (left, right)):
            raise SecurityError(f"{operator} is for small whole numbers")
        if operator == "**" and abs(right) > 10:
            raise SecurityError("the exponent is too large")
        return super().call_binop(context, operator, left, right)


def fill(template: Template, values: Mapping[str, object]) -> str:
    """The template with these values. Raises `SecurityError` when it does not come to an end in good time,
    and `jinja2.TemplateError` for other mistakes in it."""
    pieces: list[str] = []
    left = MAX_CHARACTERS
    for piece in template.generate(values):
        left -= len(piece)
        pieces.append(piece)
        if left < 0 or len(pieces) > MAX_PIECES:
            raise SecurityError("it makes too much text: is there a loop in a loop?")
    return "".join(pieces)


class _Compiled(FileSystemBytecodeCache):
    """Where nothing can be written, nothing is kept; what cannot be read is made anew."""

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except Exception:  # whatever half a file makes of itself
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                Path(self.directory).mkdir(parents=True, exist_ok=True)
                super().dump_bytecode(bucket)


def compiled_beside(folder: Path, *, made_by: str) -> BytecodeCache | None:
    """A cache of our own templates' compiled code beside them, as Python keeps that of modules, and by the
    same wishes (`PYTHONDONTWRITEBYTECODE`, `PYTHONPYCACHEPREFIX`): to compile them takes a twentieth of a
    start.

    `made_by` is the file of the module that makes the environment: what it and this one ask of Jinja is
    compiled in, so another version of either, or of Jinja, has other files. None where they cannot be read.
    """
    try:
        sources = [Path(file).read_bytes() for file in (made_by, __file__)]
    except OSError:
        return None
    asked = sha256(b"\0".join([jinja_version.encode(), *sources])).hexdigest()[:16]
    home = Path(sys.pycache_prefix, *folder.parts[1:]) if sys.pycache_prefix else folder
    return _Compiled(str(home / "__pycache__"), f"{asked}-%s.{sys.implementation.cache_tag}")
