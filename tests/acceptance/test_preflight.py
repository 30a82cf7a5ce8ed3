"""`weekbrief check` and what it keeps from being approved, in a real folder with real processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.acceptance.newsletter import NOW, POST, Folder, newsletter

BARE = {"PATH": str(Path(sys.executable).parent)}
"""No SpamAssassin on it, which takes seconds to start."""


def letter(path: Path, **changes: str) -> Folder:
    """One draft that waits for approval."""
    with newsletter(path, **changes) as folder:  # type: ignore[arg-type]  # strings are what tests change
        schedule = folder.path / "schedule.yaml"
        schedule.write_text(
            schedule.read_text("utf-8").replace("timezone:", "approval: required\n  timezone:")
        )
        folder.subscribe(1)
        assert folder.run()["outcome"] == "held"
        return folder


def test_the_next_letter_a_file_and_an_edition(tmp_path: Path) -> None:
    with newsletter(tmp_path) as folder:
        for words in ((), (str(folder.path / "posts" / "de-tas.md"),)):
            done = folder.weekbrief("check", *words, "--json", **BARE)
            said = json.loads(done.stdout)
            assert (done.returncode, said["fit"]) == (0, True), said
            assert said["subject"].startswith("Wat draag jij nog met je mee")
            assert set(said["counts"]) == {"error", "warning", "info"}
        told = folder.weekbrief("check")
        assert "fit to go" in told.stderr


def test_a_week_that_is_none_is_named(tmp_path: Path) -> None:
    with newsletter(tmp_path) as folder:
        for word, said in (("2020-W01", "no letter goes on"), ("nergens.md", "is no file that is there")):
            done = folder.weekbrief("check", word, **BARE)
            assert done.returncode in (1, 2)
            assert said in done.stderr
        done = folder.weekbrief("check", "--waive", "length", **BARE)
        assert done.returncode == 2
        assert "go together" in done.stderr


def test_a_letter_with_an_error_does_not_go_by_itself(tmp_path: Path) -> None:
    """Here the operator's own footer has a pixel in it. A word that looks like a sample is let pass."""
    post = POST.replace("Je zet de tas", "Lorem ipsum. Je zet de tas")
    with newsletter(tmp_path, post=post) as folder:
        own = folder.path / "design" / "partials" / "footer.html"
        own.parent.mkdir(parents=True)
        pixel = '<img src="https://mail.example.org/p.gif" width="1" height="1" alt="">'
        own.write_text(f'<a href="{{{{ unsubscribe_url }}}}">uit</a>{pixel}', "utf-8")
        schedule = folder.path / "schedule.yaml"
        schedule.write_text(
            schedule.read_text("utf-8").replace("  name: Stille", "  design: ./design\n  name: Stille")
        )
        folder.subscribe(2)
        held = folder.run()
        assert (held["outcome"], held["counts"]["frozen"]) == ("held", 0)
        assert "not fit to go by itself: tracking-pixel: " in str(held["notes"])
        checked = json.loads(folder.weekbrief("check", "2026-W48", "--json", **BARE).stdout)
        errors = {found["id"] for found in checked["findings"] if found["severity"] == "error"}
        assert errors >= {"tracking-pixel", "sample-text"}
        for found in errors:
            folder.weekbrief("check", "2026-W48", "--waive", found, "--reason", "a test", **BARE)
        assert folder.weekbrief("approve", "2026-W48", "--by", "Marijke", **BARE).returncode == 0
        sent = folder.run()
        assert (sent["outcome"], sent["counts"]["accepted"]) == ("sent", 2)


@pytest.mark.standard("G-06")
def test_an_error_stops_an_approval_until_it_is_waived_with_a_reason(tmp_path: Path) -> None:
    folder = letter(tmp_path, post=POST.replace("Je zet de tas", "Lorem ipsum. Je zet de tas"))
    refused = folder.weekbrief("approve", "2026-W48", "--by", "Marijke", **BARE)
    assert refused.returncode == 3
    assert "sample-text: “lorem ipsum” looks like sample text" in refused.stderr
    checked = folder.weekbrief("check", "2026-W48", "--json", **BARE)
    assert checked.returncode == 3
    assert json.loads(checked.stdout)["fit"] is False

    words = ("--waive", "sample-text", "--reason", "a post about type", "--by", "Marijke")
    waived = folder.weekbrief("check", "2026-W48", *words, "--json", **BARE)
    assert waived.returncode == 0, waived.stderr
    (finding,) = [f for f in json.loads(waived.stdout)["findings"] if f["id"] == "sample-text"]
    assert finding["waived"] == "a post about type (Marijke)"
    assert folder.weekbrief("approve", "2026-W48", "--by", "Marijke", **BARE).returncode == 0
    assert NOW.startswith("2026-11-29")


def test_what_there_is_not_cannot_be_waived(tmp_path: Path) -> None:
    folder = letter(tmp_path)
    done = folder.weekbrief("check", "2026-W48", "--waive", "lenght", "--reason", "x", **BARE)
    assert done.returncode == 1
    assert "there is no check 'lenght'" in done.stderr
    done = folder.weekbrief("check", "--waive", "length", "--reason", "x", **BARE)
    assert "only of an edition" in done.stderr
