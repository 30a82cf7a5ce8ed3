"""A folder of posts: what is read, in which order, and what one bad file does to the rest."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from pipeline.sources.folder import read_folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "b.md").write_text("---\ntitle: B\n---\nTekst.\n", "utf-8")
    (tmp_path / "a.txt").write_text("Tekst.\n", "utf-8")
    (tmp_path / "sub" / "c.html").write_text("<p>Tekst.</p>", "utf-8")
    (tmp_path / "draft.md").write_text("---\ndraft: true\n---\nTekst.\n", "utf-8")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / ".secret.md").write_text("Weg.\n", "utf-8")
    (tmp_path / ".hidden" / "d.md").write_text("Weg.\n", "utf-8")
    return tmp_path


def test_every_post_has_its_path_as_key(folder):
    result = read_folder(folder, language="nl")
    assert [post.key for post in result.posts] == ["a.txt", "b.md", "sub/c.html"]
    assert result.problems == ()
    assert {post.language for post in result.posts} == {"nl"}


def test_the_files_time_dates_a_post_without_a_date(folder):
    os.utime(folder / "a.txt", (0, 86_400))
    first = read_folder(folder, language="nl").posts[0]
    assert first.published == datetime(1970, 1, 2, tzinfo=UTC)


def test_an_unreadable_post_is_named_and_the_others_are_read(folder):
    (folder / "bad.md").write_text("---\ntitle: a: b: c\n---\nTekst.\n", "utf-8")
    (folder / "empty.md").write_bytes(b"")
    (folder / "binary.txt").write_bytes(b"\x00\x01")
    (folder / "gone.md").symlink_to(folder / "nowhere.md")
    result = read_folder(folder, language="nl")
    assert len(result.posts) == 3
    assert [problem.split(":")[0] for problem in result.problems] == [
        "bad.md",
        "binary.txt",
        "empty.md",
        "gone.md",
    ]


def test_a_name_that_is_no_text_is_written_so_that_it_can_be_kept(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("Tekst.\n", "utf-8")
    (tmp_path / "één.md").write_text("Tekst.\n", "utf-8")
    (tmp_path / os.fsdecode(b"\xff.md")).write_bytes(b"")
    result = read_folder(tmp_path, language="nl")
    assert [post.key for post in result.posts] == [r"caf\xe9.md", "één.md"]
    assert [problem.split(":")[0] for problem in result.problems] == [r"\xff.md"]
    for said in (*result.problems, *(post.key + post.title for post in result.posts)):
        said.encode("utf-8")


def test_what_is_no_file_does_not_keep_the_others_waiting(folder):
    os.mkfifo(folder / "pipe.md")
    assert len(read_folder(folder, language="nl").posts) == 3


def test_no_more_of_a_file_is_read_than_a_post_may_have(folder):
    with (folder / "huge.md").open("wb") as huge:
        huge.truncate(50_000_000_000)  # takes no room on the disk, and no computer's memory
    result = read_folder(folder, language="nl")
    assert (len(result.posts), result.problems) == (3, ("huge.md: is larger than 20 MB, which is no post",))


def test_an_empty_folder_has_no_posts(tmp_path):
    result = read_folder(tmp_path, language="nl")
    assert (result.posts, result.problems) == ((), ())


def test_no_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(NotADirectoryError, match="nowhere"):
        read_folder(tmp_path / "nowhere", language="nl")
