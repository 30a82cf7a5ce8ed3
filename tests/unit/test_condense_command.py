"""`weekbrief condense`: what it reads, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

POST = (
    "---\ntitle: Rust\nlang: nl\n---\n\n## Begin\n\n"
    "Voorbeeld: Vorige week zat ik op de trap met mijn jas nog aan. Mijn dochter kwam naast me "
    "zitten en vroeg "
    "niets. We keken samen naar de regen tegen het raam.\n\n💡 Wat heb jij nodig om tot rust te komen?\n"
)


def run(
    *arguments: str, text: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", "condense", *arguments],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONUTF8": "1", **(env or {})},
    )


@pytest.fixture
def post(tmp_path):
    file = tmp_path / "rust.md"
    file.write_text(POST, "utf-8")
    return file


def test_json_is_one_object_a_line_with_the_contracts_keys(post):
    (post.parent / "leeg.md").write_text("Een zin zonder meer.\n", "utf-8")
    done = run(str(post.parent), "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["id"] for line in lines] == ["leeg", "rust"]
    keys = {"id", "title", "language", "question", "example", "abstained", "findings", "candidates"}
    assert all(set(line) == keys for line in lines)
    empty, full = lines
    assert empty["question"] is None
    assert empty["abstained"]["question"]
    assert full["question"]["text"] == "Wat heb jij nodig om tot rust te komen?"
    assert set(full["question"]) == {"text", "start", "end", "section", "score", "reasons"}
    assert full["abstained"] == {"question": None, "example": None}
    assert full["candidates"] == []


@pytest.mark.fault(96)
@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252", "koi8-r", "utf-16"])
def test_a_file_whose_charset_lies(post, label):
    words = POST.partition("## Begin")[2].replace("rust", "rúst").split("\n\n")
    paragraphs = "".join(f"<p>{part}</p>" for part in words)
    page = f"<html lang=nl><meta charset={label}><body>{paragraphs}</body></html>"
    file = post.parent / "rust.html"
    file.write_text(page, "utf-8")
    done = run(str(file), "--json")
    assert json.loads(done.stdout)["question"]["text"] == "Wat heb jij nodig om tot rúst te komen?"


def test_explain_ranks_all_candidates(post):
    done = run(str(post), "--json", "--explain")
    candidates = json.loads(done.stdout)["candidates"]
    for kind in ("question", "example"):
        scores = [candidate["score"] for candidate in candidates if candidate["kind"] == kind]
        assert scores
        assert scores == sorted(scores, reverse=True)
    assert all(candidate["reasons"] for candidate in candidates)


def test_people_read_the_pick_and_its_reasons(post):
    done = run(str(post), "--explain")
    assert done.returncode == 0
    assert "question  Wat heb jij nodig om tot rust te komen?" in done.stdout
    assert "marked by the writer" in done.stdout
    assert "candidates for the example" in done.stdout


def test_standard_input_and_a_forced_language():
    done = run("-", "--json", "--lang", "nl", text=POST.split("---\n\n", 1)[1])
    answer = json.loads(done.stdout)
    assert (answer["id"], answer["language"]) == ("-", "nl")
    assert answer["question"]


def test_a_bad_post_is_named_and_the_good_one_still_printed(post, tmp_path):
    bad = tmp_path / "bad.md"
    bad.write_text("---\ntitle: a: b: c\n---\nTekst.\n", "utf-8")
    done = run(str(bad), str(tmp_path / "gone.md"), str(post), "--json")
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert "bad.md" in done.stderr
    assert "gone.md" in done.stderr


def test_a_draft_can_be_looked_at_before_it_is_published(post):
    post.write_text(POST.replace("lang: nl", "lang: nl\ndraft: true"), "utf-8")
    for place in (post, post.parent):
        assert json.loads(run(str(place), "--json").stdout)["question"]


def test_nothing_to_read_is_wrong_use():
    done = run()
    assert done.returncode == 2
    assert "FILE_OR_URL" in done.stderr


def test_a_wrong_chooser_setting_is_wrong_use(post):
    done = run(str(post), env={"WEEKBRIEF_CHOOSER": "oracle"})
    assert done.returncode == 2
    assert "WEEKBRIEF_CHOOSER" in done.stderr


def test_it_needs_no_configuration_and_no_database(post, tmp_path):
    (tmp_path / "schedule.yaml").write_text("broken: [", "utf-8")
    assert run(str(post)).returncode == 0
    assert not list(tmp_path.glob("**/*.db"))
