"""The first user's own post, from the folder to a thousand inboxes."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.newsletter import newsletter


@pytest.fixture
def seed(shared: Path) -> str:
    return (shared / "seed" / "de-kracht-van-empathie.txt").read_text("utf-8")


def _sections(text: str) -> list[str]:
    """The post cut at its marked questions: each piece ends with one."""
    return re.split(r"(?<=\?)\n(?=\n)", text)


def test_the_pick_is_a_marked_question_and_an_example_of_its_section(seed: str, tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief") as folder:
        file = folder.path / "posts" / "de-kracht-van-empathie.txt"
        file.write_text(seed, "utf-8")
        said = json.loads(folder.weekbrief("condense", str(file), "--json").stdout)
    question, example = said["question"]["text"], said["example"]["text"]
    assert f"💡 {question}" in seed
    assert f"Voorbeeld: {example}" in seed.replace("\n", " ") or f"Voorbeeld: {example}" in seed
    section = next(piece for piece in _sections(seed) if f"💡 {question}" in piece)
    assert example.splitlines()[0] in section
    assert said["question"]["section"] == said["example"]["section"]


@pytest.mark.slow
def test_a_thousand_people_get_one_copy_each(seed: str, storage: str, tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief", storage=storage) as folder:
        (folder.path / "posts" / "de-tas.md").unlink()
        (folder.path / "posts" / "de-kracht-van-empathie.txt").write_text(seed, "utf-8")
        folder.subscribe(1_000)
        said = folder.run()
        assert (said["outcome"], said["counts"]["accepted"]) == ("sent", 1_000), said
        assert f"💡 {said['question']}" in seed
        assert folder.copies() == Counter({f"lezer{n}@example.org": 1 for n in range(1, 1_001)})
        assert folder.run()["outcome"] == "nothing_due"
        assert folder.record.counts().messages == 1_000
