"""The vendors' own specifications of their APIs, where they are at hand; they are no part of the project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

SPECS = Path(__file__).parents[2].parent / "shared" / "esp" / "specs"


def specification(name: str, *where: str) -> dict[str, Any]:
    """What stands at `where` in the file `name` of the specifications, references resolved. Skips the test
    where the file is not here."""
    path = SPECS / name
    if not path.is_file():
        pytest.skip(f"the specification {name} is not here; it is no part of the project")
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    return dict(_resolved(_at(spec, where), spec, ()))


def _resolved(node: Any, spec: Any, seen: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_resolved(each, spec, seen) for each in node]
    if not isinstance(node, dict):
        return node
    ref = node.get("$ref")
    if not isinstance(ref, str):
        return {name: _resolved(value, spec, seen) for name, value in node.items()}
    if ref in seen:
        return {}
    return _resolved(_at(spec, ref.removeprefix("#/").split("/")), spec, (*seen, ref))


def _at(node: Any, where: Sequence[str]) -> Any:
    """YAML makes numbers of keys such as 422."""
    for part in where:
        node = node[int(part)] if isinstance(node, list) or part not in node else node[part]
    return node
