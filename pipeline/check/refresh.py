"""Makes `caniemail.json` anew: `python -m pipeline.check.refresh caniemail/data/caniemail.json LICENSE`.

The first file is the data of the npm package `caniemail` (MIT), the second its licence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CLIENTS = {
    "gmail": ("desktop-webmail", "ios", "android"),
    "apple-mail": ("macos", "ios"),
    "outlook": ("windows", "macos", "outlook-com", "ios", "android"),
    "yahoo": ("desktop-webmail", "ios", "android"),
    "samsung-email": ("android",),
}
"""The programs that matter, as caniemail names them."""


def main(data: Path, licence: Path) -> None:
    """Write what we need of `data` beside this file."""
    whole = json.loads(data.read_text("utf-8"))
    families, platforms = whole["nicenames"]["family"], whole["nicenames"]["platform"]
    kept = {
        "source": "caniemail.com, by way of the npm package caniemail",
        "date": whole["last_update_date"],
        "licence": licence.read_text("utf-8"),
        "features": {
            feature["slug"]: {
                "title": feature["title"],
                "lacking": [
                    f"{families[family]} {platforms[platform]}"
                    for family, names in CLIENTS.items()
                    for platform in names
                    if _newest(feature, family, platform).startswith("n")
                ],
            }
            for feature in whole["data"]
        },
    }
    out = Path(__file__).with_name("caniemail.json")
    out.write_text(json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")


def _newest(feature: dict[str, Any], family: str, platform: str) -> str:
    """`y`, `a #1`, `n` or `u`: the verdict on the newest version that was tested."""
    tested = feature["stats"].get(family, {}).get(platform, {})
    return str(tested[max(tested, key=_version)]) if tested else "u"


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.replace("-", ".").split(".") if part.isdigit())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
