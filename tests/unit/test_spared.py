"""What a start spares itself: parts of libraries we never use, and templates that were compiled before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader

from emails.spared import without
from emails.templating import Sandbox, compiled_beside

SOURCE = "{% for one in many %}{{ one }}.{% endfor %}"


def filled(folder: Path, source: str = SOURCE, made_by: str = __file__) -> str:
    cache = compiled_beside(folder, made_by=made_by)
    environment = Sandbox(loader=DictLoader({"a.html": source}), bytecode_cache=cache)
    return environment.get_template("a.html").render(many=[1, 2])


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*"))


@pytest.fixture(autouse=True)
def _python_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


def test_a_template_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert filled(tmp_path) == "1.2."
    (compiled,) = kept(tmp_path)
    monkeypatch.setattr(Sandbox, "compile", lambda *_args, **_options: pytest.fail("compiled again"))
    assert filled(tmp_path) == "1.2."
    assert kept(tmp_path) == [compiled]


def test_a_template_that_changed_is_compiled_anew(tmp_path: Path) -> None:
    filled(tmp_path)
    assert filled(tmp_path, SOURCE.replace(".", "!")) == "1!2!"


def test_another_version_of_what_compiles_has_files_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it asks of Jinja stands in no template: an upgrade must not be answered with yesterday's code."""
    module = tmp_path / "renderer.py"
    for number, text in enumerate(("trim_blocks=True", "trim_blocks=False"), start=1):
        module.write_text(text)
        filled(tmp_path, made_by=str(module))
        assert len(kept(tmp_path)) == number
    monkeypatch.setattr("emails.templating.jinja_version", "99.0")
    filled(tmp_path, made_by=str(module))
    assert len(kept(tmp_path)) == 3
    assert filled(tmp_path, made_by=str(tmp_path / "no_such_file.py")) == "1.2."
    assert len(kept(tmp_path)) == 3


@pytest.mark.parametrize("left", [0, 20, 200])
def test_half_a_file_does_no_harm(tmp_path: Path, left: int) -> None:
    filled(tmp_path)
    (compiled,) = kept(tmp_path)
    compiled.write_bytes(compiled.read_bytes()[:left])
    assert filled(tmp_path) == "1.2."


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").write_text("in the way")
    assert filled(tmp_path) == "1.2."


def test_who_wants_no_files_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert filled(tmp_path) == "1.2."
    assert kept(tmp_path) == []


def test_files_go_where_python_puts_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "prefix"))
    filled(tmp_path / "templates")
    assert not (tmp_path / "templates").exists()
    assert len(list((tmp_path / "prefix").rglob("*.cpython*"))) == 1


def test_a_module_is_absent_for_a_moment_only() -> None:
    with without("weekbrief_no_such_module"):
        import weekbrief_no_such_module  # type: ignore[import-not-found]
    assert not hasattr(weekbrief_no_such_module, "anything")
    assert "weekbrief_no_such_module" not in sys.modules
    with without("os"):
        assert sys.modules["os"] is os


def test_a_sender_loads_no_library_for_terminals() -> None:
    code = "import sys, emails.esp.http, emails.inlining; print({'rich', 'requests'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
