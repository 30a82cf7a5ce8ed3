"""The reasons that speak for and against a pick, with their weights and plain words (`reasons.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.own_yaml import load_own


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How one kind of candidate is weighed: `base` plus each reason's weight times its strength."""

    base: float
    enough: float
    """Candidates below this score are not offered."""
    weights: Mapping[str, float]
    words: Mapping[str, str]

    def score(self, reasons: Mapping[str, float]) -> float:
        """The score of a candidate with these reasons (name → strength, mostly 0-1)."""
        return round(self.base + sum(self.weights[name] * strength for name, strength in reasons.items()), 4)

    def explain(self, reasons: Mapping[str, float]) -> tuple[str, ...]:
        """The reasons in plain words with what each adds, the weightiest first."""
        parts = [(self.weights[name] * strength, name) for name, strength in reasons.items()]
        parts = sorted(
            (part for part in parts if abs(part[0]) >= 0.05), key=lambda part: (-abs(part[0]), part[1])
        )
        return tuple(f"{value:+.1f} {self.words[name]}" for value, name in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Both scales, and what makes a question and an example belong together."""

    question: Scale
    example: Scale
    pair: Mapping[str, float]


@cache
def load_weights() -> Weights:
    """The weights we ship."""
    return build_weights(load_own("pipeline.condense", "reasons.yaml"))


def build_weights(raw: Mapping[str, Any]) -> Weights:
    """Weights from the content of a `reasons.yaml`."""
    return Weights(question=_scale(raw["question"]), example=_scale(raw["example"]), pair=dict(raw["pair"]))


def _scale(raw: Mapping[str, Any]) -> Scale:
    reasons = raw["reasons"]
    return Scale(
        base=float(raw["base"]),
        enough=float(raw["enough"]),
        weights={name: float(entry["weight"]) for name, entry in reasons.items()},
        words={name: str(entry["words"]) for name, entry in reasons.items()},
    )
