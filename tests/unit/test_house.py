"""The house: imports run one way, each heavy library has few homes, papers hold no machine's path."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BELOW = {"emails": {"subscribers", "pipeline"}, "subscribers": {"pipeline"}, "pipeline": set[str]()}
HOMES = {
    "premailer": {"emails/inlining.py"},
    "apscheduler": {"pipeline/timer.py"},
    "httpx": {
        "emails/esp/http.py",
        "pipeline/condense/chooser.py",
        "pipeline/sources/fetch.py",
    },
    "jinja2": {
        "emails/pages.py",
        "emails/render.py",
        "emails/sandbox/inbox.py",
        "emails/templating.py",
        "pipeline/desk.py",
    },
    "alembic": {"pipeline/store/schema.py", "pipeline/store/migrations/"},
}


def sources(package: str) -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted((ROOT / package).rglob("*.py")):
        yield file.relative_to(ROOT), ast.parse(file.read_text("utf-8"))


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("package", list(BELOW))
def test_imports_run_one_way(package: str) -> None:
    for file, tree in sources(package):
        assert not imports(tree) & BELOW[package], file
        assert "tests" not in imports(tree), file


@pytest.mark.parametrize("library", list(HOMES))
def test_a_library_has_one_home(library: str) -> None:
    users = {
        file.as_posix() for package in BELOW for file, tree in sources(package) if library in imports(tree)
    }
    strangers = {user for user in users if not any(user.startswith(home) for home in HOMES[library])}
    assert users
    assert not strangers


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    files = [ROOT / line for line in listed.stdout.splitlines()]
    return [file for file in files if file.is_file()]


def test_nothing_names_a_machine_or_a_registry() -> None:
    if not tracked():
        pytest.skip("this is no git checkout")
    bad = re.compile(rb"/w[o]rk/|/r[o]ot/|py[p]i\.org|python[h]osted|registry\.np[m]js|deb\.d[e]bian\.org")
    found = [file for file in tracked() if bad.search(file.read_bytes())]
    assert found == []


def test_papers_link_to_what_is_there() -> None:
    for paper in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", paper.read_text("utf-8")):
            if "://" not in target:
                assert (paper.parent / target).exists(), f"{paper.name}: {target}"
