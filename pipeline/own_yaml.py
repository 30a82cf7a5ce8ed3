"""The YAML files that come with weekbrief: ours, so read without suspicion, and in C where PyYAML can."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_own(package: str, name: str) -> Any:
    """The content of the file `name` of one of our packages."""
    text = files(package).joinpath(name).read_text("utf-8")
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a SafeLoader
