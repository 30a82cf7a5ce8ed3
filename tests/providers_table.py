"""The tables of `docs/providers.md`, made from what each provider's code says of itself.

`python -m tests.providers_table --write` puts them in; a test sees that they are fresh.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from emails.delivery import Capabilities
from emails.esp import provider_names
from emails.events import reporter, reporter_names
from emails.events.asking import puller
from pipeline.secrets import provider_needs

PAGE = Path(__file__).parents[1] / "docs" / "providers.md"
UNSUBSCRIBE = {"yes": "kept", "account-setting": "kept, if the account is set so", "no": "do not count on it"}


def capabilities() -> list[Capabilities]:
    """Those of every provider, in the order of `provider_names`."""
    found = []
    for name in provider_names():
        found.append(import_module(f"emails.esp.{name}").CAPABILITIES)
        assert found[-1].name == name
    return found


def table() -> str:
    """One row a provider."""
    names = ("`provider.name`", "people a call", "key", "our List-Unsubscribe", "can be asked", "secrets")
    return "\n".join([f"| {' | '.join(names)} |", f"|{'---|' * len(names)}", *map(_row, capabilities())])


def notes() -> str:
    """What to know about each provider, in lists."""
    return "\n\n".join(
        "\n".join([f"**{each.name}**", "", *(f"- {note}" for note in each.notes)]) for each in capabilities()
    )


def reports() -> str:
    """How each provider's reports reach us and prove where they come from."""
    rows = ["| provider | address | proven by | in `.env` | `weekbrief sync` |", "|---|---|---|---|---|"]
    for name in reporter_names():
        of = reporter(name)
        assert of is not None
        secret = "/SECRET" if "secret in the address" in of.HOW else ""
        names = " ".join(f"`{need}`" for need in of.NEEDS)
        asks = puller(name)
        rows.append(
            f"| {name} | `/hooks/{name}{secret}` | {of.HOW} | {names} | {asks.WHAT if asks else 'no'} |"
        )
    return "\n".join(rows)


BLOCKS: dict[str, Callable[[], str]] = {"table": table, "reports": reports, "notes": notes}


def filled(page: str) -> str:
    """`page` with fresh text between its marks. Raises ValueError where a mark is missing."""
    for name, make in BLOCKS.items():
        begin, end = (
            f"<!-- {name}: made by python -m tests.providers_table --write -->",
            f"<!-- end of {name} -->",
        )
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"{PAGE.name}: {begin} … {end} must stand there once")
        before, rest = page.split(begin)
        after = rest.split(end)[1]
        page = f"{before}{begin}\n{make()}\n{end}{after}"
    return page


def _row(can: Capabilities) -> str:
    needs = " ".join(f"`{name}`" for name in provider_needs(can.name)) or "none"
    cells = [
        f"`{can.name}`",
        f"{can.max_batch}",
        _key(can),
        UNSUBSCRIBE[can.own_list_unsubscribe],
        _search(can),
        needs,
    ]
    return f"| {' | '.join(cells)} |"


def _key(can: Capabilities) -> str:
    if can.key_life is None:
        return "no"
    return f"yes, {_long(can.key_life)}" if can.key_life < timedelta(days=365) else "yes, for good"


def _search(can: Capabilities) -> str:
    if can.search is None:
        return "no"
    finds = "finds all" if can.search.complete else "finds what it took"
    return f"{finds}, after {_long(can.search.settle)}"


def _long(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    return f"{minutes} min" if minutes < 60 or minutes % 60 else f"{minutes // 60} h"


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.providers_table")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/providers.md")
    write = parser.parse_args().write
    old = PAGE.read_text(encoding="utf-8")
    new = filled(old)
    if write:
        PAGE.write_text(new, encoding="utf-8")
    elif new != old:
        print(f"{PAGE.name} is not fresh: python -m tests.providers_table --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
