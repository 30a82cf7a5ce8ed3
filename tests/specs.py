"""The vendors' own specifications, which lie beside the project and are no part of it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

_SPECS = Path(__file__).parents[1].parent / "shared" / "esp" / "specs"


def specification(name: str) -> Any:
    """The parsed file, e.g. `mailgun/openapi.yaml`; the test is skipped where it is absent."""
    path = _SPECS / name
    if not path.is_file():
        pytest.skip(f"the specification {name} is not here; it is not part of the project")
    return _parsed(path)


@cache
def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def resolved(node: Any, spec: Any, seen: tuple[str, ...] = ()) -> Any:
    """`node` with its local references replaced by what they point to; a reference to itself is `{}`."""
    if isinstance(node, list):
        return [resolved(each, spec, seen) for each in node]
    if not isinstance(node, dict):
        return node
    ref = node.get("$ref")
    if not isinstance(ref, str):
        return {name: resolved(value, spec, seen) for name, value in node.items()}
    if ref in seen:
        return {}
    target = spec
    for part in ref.removeprefix("#/").split("/"):
        target = target[part.replace("~1", "/").replace("~0", "~")]
    return resolved(target, spec, (*seen, ref))
