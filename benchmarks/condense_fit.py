#!/usr/bin/env python3
"""Fits the weights of `pipeline/condense/reasons.yaml` to labelled posts, staying close to what we believe.

    condense_fit.py --labels FILE --posts DIR [--write reasons.yaml]

What a reason is, and which way it should count, is decided by thinking; this only says how much. Every
weight is pulled towards its value in `reasons.yaml`, and must keep its sign, so that a few posts cannot
turn a belief round. A candidate's chance is a softmax over the candidates of its post and over "none";
fitted is the expected worth of the pick, where a bad question costs more than none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.condense.examples import find_examples
from pipeline.condense.language import load_language
from pipeline.condense.layout import lay_out
from pipeline.condense.questions import find_questions
from pipeline.condense.text_facts import read_facts
from pipeline.condense.weights import Weights, build_weights
from pipeline.sources.folder import read_file

REASONS = Path(__file__).parents[1] / "pipeline" / "condense" / "reasons.yaml"
PULL = {"question": 0.3, "example": 0.3}
SHARPNESS = 2.0
STEPS = 400
RATE = 0.1


@dataclass(frozen=True)
class Case:
    """One post: its candidates' reasons as rows, what picking each is worth, and what "none" is worth."""

    blog: str
    rows: np.ndarray
    worth: np.ndarray
    none: float


def load_cases(labels: Path, posts: Path, raw: dict[str, Any]) -> dict[str, list[Case]]:
    """The cases of all labelled posts, for questions and for examples."""
    sys.path.insert(0, str(labels.resolve().parent))
    scorer: Any = import_module("score")
    cases: dict[str, list[Case]] = {"question": [], "example": []}
    for line in labels.read_text("utf-8").splitlines():
        row = json.loads(line)
        post = read_file(posts / row["file"], name=row["file"])
        language = load_language(post.language)
        if language is None:
            continue
        parts = lay_out(post, language)
        facts = read_facts(post.text, parts, language)
        document = scorer.Doc(
            (posts / row["file"]).read_text("utf-8", errors="replace"), row["format"], row["title"]
        )
        blog = row["source"]["repo"]
        questions = find_questions(post, parts, language, facts)
        worth = [_question_worth(scorer, q.sentence.text, row) for q in questions]
        none = 1.0 if row["none_ok"]["question"] else -0.2
        cases["question"].append(_case(blog, raw["question"], [q.reasons for q in questions], worth, none))
        examples = find_examples(post, parts, language, facts)
        worth = [_example_worth(scorer, post.text[e.start : e.end], row, document) for e in examples]
        none = 0.9 if row["none_ok"]["example"] else -0.2
        cases["example"].append(_case(blog, raw["example"], [e.reasons for e in examples], worth, none))
    return cases


def _question_worth(scorer: Any, text: str, row: dict[str, Any]) -> float:
    grade, _, bad = scorer.grade_question(text, row)
    return {2: 1.0, 1: 0.75}.get(grade, -0.6 if bad else -0.3)


def _example_worth(scorer: Any, text: str, row: dict[str, Any], document: Any) -> float:
    grade, _ = scorer.grade_example(text, row, document)
    return {2: 1.0, 1: 0.75}.get(grade, 0.0)


def _case(blog: str, scale: dict[str, Any], reasons: Sequence[Any], worth: list[float], none: float) -> Case:
    names = list(scale["reasons"])
    rows = np.array([[float(r.get(name, 0.0)) for name in names] for r in reasons]).reshape(-1, len(names))
    return Case(blog, rows, np.array(worth), none)


def fit(cases: Sequence[Case], scale: dict[str, Any], pull: float) -> tuple[np.ndarray, float]:
    """(weights, enough) of one scale."""
    believed = np.array([float(entry["weight"]) for entry in scale["reasons"].values()])
    weights, enough = believed.copy(), float(scale["enough"])
    believed_enough = enough
    moment, speed = np.zeros(len(weights) + 1), np.zeros(len(weights) + 1)
    for step in range(1, STEPS + 1):
        gradient = np.zeros(len(weights) + 1)
        for case in cases:
            scores = SHARPNESS * np.append(case.rows @ weights, enough)
            chances = np.exp(scores - scores.max())
            chances /= chances.sum()
            worth = np.append(case.worth, case.none)
            slope = SHARPNESS * chances * (worth - chances @ worth)
            gradient[:-1] += case.rows.T @ slope[:-1]
            gradient[-1] += slope[-1]
        gradient /= len(cases)
        gradient[:-1] -= pull * (weights - believed)
        gradient[-1] -= pull * (enough - believed_enough)
        moment = 0.9 * moment + 0.1 * gradient
        speed = 0.99 * speed + 0.01 * gradient**2
        move = (
            RATE
            * (1 - 0.9 * step / STEPS)
            * (moment / (1 - 0.9**step))
            / (np.sqrt(speed / (1 - 0.99**step)) + 1e-3)
        )
        weights = weights + move[:-1]
        enough += float(move[-1])
        weights = np.where(np.sign(weights) * np.sign(believed) < 0, 0.0, weights)
    return weights, enough


def fitted(cases: dict[str, list[Case]], raw: dict[str, Any], without: str = "") -> dict[str, Any]:
    """The content of `reasons.yaml` with fitted weights, learnt without one blog."""
    result = json.loads(json.dumps(raw))
    for name, pull in PULL.items():
        weights, enough = fit([case for case in cases[name] if case.blog != without], raw[name], pull)
        for entry, weight in zip(result[name]["reasons"].values(), weights, strict=True):
            entry["weight"] = round(float(weight), 2)
        result[name]["enough"] = round(enough, 2)
    return result


def fitted_weights(cases: dict[str, list[Case]], raw: dict[str, Any], without: str) -> Weights:
    """`fitted` as weights ready for use."""
    return build_weights(fitted(cases, raw, without))


HEAD = """\
# What speaks for and against a pick: the weight of each reason, and its plain words.
# A candidate's score is the sum of the weights that apply. Below `enough` it is not offered.
# Written by benchmarks/condense_fit.py from benchmarks/condense_beliefs.yaml.
"""


def dump(content: dict[str, Any]) -> str:
    """The YAML of a `reasons.yaml`, one reason a line."""
    lines = []
    for kind in ("question", "example"):
        lines += [
            f"{kind}:",
            f"  base: {content[kind]['base']}",
            f"  enough: {content[kind]['enough']}",
            "  reasons:",
        ]
        for name, entry in content[kind]["reasons"].items():
            words = json.dumps(entry["words"], ensure_ascii=False)
            lines.append(f"    {name}: {{weight: {entry['weight']}, words: {words}}}")
    lines += ["pair:", *(f"  {name}: {value}" for name, value in content["pair"].items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--posts", type=Path, required=True)
    parser.add_argument("--beliefs", type=Path, default=REASONS)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    raw = yaml.safe_load(arguments.beliefs.read_text("utf-8"))
    result = fitted(load_cases(arguments.labels, arguments.posts, raw), raw)
    for name in PULL:
        print(f"{name}: enough {raw[name]['enough']} -> {result[name]['enough']}")
        for reason, entry in result[name]["reasons"].items():
            print(f"  {reason:18} {raw[name]['reasons'][reason]['weight']:6.2f} -> {entry['weight']:6.2f}")
    if arguments.write:
        arguments.write.write_text(HEAD + dump(result), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
