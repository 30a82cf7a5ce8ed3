#!/usr/bin/env python3
"""Condenses labelled posts and prints the table of the scorer that lies beside the labels.

    condense_score.py --labels FILE --posts DIR [--leave-one-out] [--errors N]

With --leave-one-out each blog is condensed with weights fitted on the other blogs only (`condense_fit.py`),
from the beliefs in `condense_beliefs.yaml`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from pipeline.condense import condense
from pipeline.condense.weights import Weights
from pipeline.sources.folder import read_file

BELIEFS = Path(__file__).parent / "condense_beliefs.yaml"


def predict(rows: list[dict[str, object]], posts: Path, weights: Weights | None) -> list[dict[str, object]]:
    """One prediction for each labelled post."""
    found = []
    for row in rows:
        condensed = condense(read_file(posts / str(row["file"]), name=str(row["file"])), weights=weights)
        found.append(
            {
                "id": row["id"],
                "question": condensed.question.text if condensed.question else None,
                "example": condensed.example.text if condensed.example else None,
                "reason": condensed.no_question or condensed.no_example or "",
            }
        )
    return found


def leave_one_out(rows: list[dict[str, object]], labels: Path, posts: Path) -> list[dict[str, object]]:
    """Predictions for each blog with weights that have not seen it."""
    from condense_fit import fitted_weights, load_cases

    raw = yaml.safe_load(BELIEFS.read_text("utf-8"))
    cases = load_cases(labels, posts, raw)
    found = []
    for blog in sorted({row["source"]["repo"] for row in rows}):  # type: ignore[index] # labels are JSON
        weights = fitted_weights(cases, raw, blog)
        found += predict([row for row in rows if row["source"]["repo"] == blog], posts, weights)  # type: ignore[index]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--posts", type=Path, required=True)
    parser.add_argument(
        "--leave-one-out", action="store_true", help="fit the weights without the blog at hand"
    )
    parser.add_argument("--errors", type=int, default=0, help="also print the first N wrong posts")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.labels.read_text("utf-8").splitlines() if line.strip()]
    if arguments.leave_one_out:
        predictions = leave_one_out(rows, arguments.labels, arguments.posts)
    else:
        predictions = predict(rows, arguments.posts, None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "leave-one-blog-out.jsonl" if arguments.leave_one_out else "weekbrief.jsonl")
        file.write_text("".join(json.dumps(p, ensure_ascii=False) + "\n" for p in predictions), "utf-8")
        scorer = arguments.labels.resolve().parent / "score.py"
        command = [
            sys.executable,
            str(scorer),
            "--labels",
            str(arguments.labels),
            "--posts",
            str(arguments.posts),
        ]
        return subprocess.run(
            [*command, "--errors", str(arguments.errors), str(file)], check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
