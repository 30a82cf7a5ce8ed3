"""The command line's own promises: quick help, true lists, one clear message for a mistake."""

from __future__ import annotations

import subprocess
import sys
import time

import click
import pytest
from click.testing import CliRunner

from pipeline.cli import COMMANDS, weekbrief

HEAVY = {"sqlalchemy", "premailer", "httpx", "starlette", "pydantic", "alembic", "rich", "jinja2"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['weekbrief', '--help']\n"
        "from pipeline.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Do what is due" in done.stdout
    assert not HEAVY & set(done.stderr.split())


def test_help_is_quick() -> None:
    """Under 0.3 s more than a bare interpreter: the best of five."""

    def best(*words: str) -> float:
        took = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, *words], capture_output=True, check=True)
            took.append(time.perf_counter() - started)
        return min(took)

    bare = best("-c", "pass")
    assert best("-m", "pipeline", "--help") - bare < 0.3


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(weekbrief, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Example" in shown.output


def test_the_list_of_commands_says_what_they_are() -> None:
    for name in COMMANDS:
        command = weekbrief.get_command(click.Context(weekbrief), name)
        assert command is not None
        assert command.name == name


def test_a_mistyped_command_is_guessed() -> None:
    shown = CliRunner().invoke(weekbrief, ["rnu"])
    assert shown.exit_code == 2
    assert "Did you mean 'run'?" in shown.output


def test_version() -> None:
    assert CliRunner().invoke(weekbrief, ["--version"]).output.startswith("weekbrief, version ")
