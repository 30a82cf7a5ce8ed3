"""Fixtures that every room's tests share."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command run inside a test sets how much is logged, for the whole process: put it back."""
    root, ours = logging.getLogger(), logging.getLogger("weekbrief")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    ours.setLevel(logging.NOTSET)
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        if not handler.__class__.__module__.startswith("_pytest"):
            root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server for this test session."""
    with postgres.server() as url:
        if url is None:
            missing = "no PostgreSQL found: install it (Debian: postgresql) or set WEEKBRIEF_TEST_PG_URL"
            if os.environ.get("REQUIRE_PG"):
                pytest.fail(missing)
            pytest.skip(missing)
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database: every test that uses this runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'weekbrief.db'}"
        return
    server: str = request.getfixturevalue("postgres_server")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with postgres.database(server, f"t_{worker}_{next(_numbers)}") as url:
        yield url


@pytest.fixture
def shared() -> Path:
    """The team's folder of real posts and vendors' specifications, which is not part of the project."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the team's shared folder is not here")
    return folder
