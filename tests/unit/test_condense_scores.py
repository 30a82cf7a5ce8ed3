"""The bars of quality on the labelled posts, where those lie beside the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POSTS = ROOT.parent / "shared" / "condense-dev"
AT_LEAST = {
    "q_acc": 80, "q_exc": 65, "q_abst": 80, "e_acc": 70, "e_exc": 45, "pair": 42, "both": 58, "both_r": 55,
}  # fmt: skip
AT_MOST = {"q_bad": 15, "q_false": 12, "nonverb": 0}


def table(*options: str) -> dict[str, int]:
    """The scorer's line for all posts, column → percent."""
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "benchmarks" / "condense_score.py"),
            "--labels",
            str(POSTS / "labels.jsonl"),
            "--posts",
            str(POSTS / "posts"),
            *options,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=280,
    )
    names = re.search(r"^lang .*$", done.stdout, re.MULTILINE)
    values = re.search(r"^all .*$", done.stdout, re.MULTILINE)
    assert names
    assert values
    cells = zip(names.group().split()[2:], values.group().split()[2:], strict=True)
    return {name: int(value.rstrip("%")) for name, value in cells if value != "-"}


@pytest.mark.skipif(not POSTS.is_dir(), reason="the labelled posts are not beside the checkout")
@pytest.mark.parametrize(
    "options",
    [(), pytest.param(("--leave-one-out",), marks=pytest.mark.slow)],
    ids=["shipped", "leave one blog out"],
)
def test_the_bars_are_met(options):
    scores = table(*options)
    missed = {name: scores[name] for name, bar in AT_LEAST.items() if scores[name] < bar}
    over = {name: scores[name] for name, bar in AT_MOST.items() if scores[name] > bar}
    assert (missed, over) == ({}, {})
