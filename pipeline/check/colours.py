"""Contrast of every piece of text, from the styles it really has, in light, dark and forced dark mode."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from selectolax.lexbor import LexborNode

from pipeline.check.sample import Sample, classes_of, style_of

LEAST = 4.5
"""WCAG 2.2, 1.4.3, for text."""


class Scheme(StrEnum):
    LIGHT = "light"
    DARK = "dark"
    FORCED = "forced"
    """A mail program that turns the lightness of every light colour round, and reads no rules."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A piece of text with its colour and the ground it stands on."""

    text: str
    ink: str
    ground: str

    @property
    def ratio(self) -> float:
        """WCAG 2.2 contrast ratio, 1 to 21."""
        high, low = sorted((_luminance(self.ink), _luminance(self.ground)), reverse=True)
        return (high + 0.05) / (low + 0.05)


def pairs(sample: Sample, scheme: Scheme) -> Iterator[Pair]:
    """One pair for each piece of text that shows. A colour nobody set is black on white."""
    dark = _dark_rules(sample.css) if scheme is Scheme.DARK else {}
    turn = _inverted if scheme is Scheme.FORCED else str
    for node in sample.texts():
        said = " ".join((node.text_content or "").split())
        if said == "\xa0" or not said:
            continue
        ink = _inherited(node, "color", dark) or "#000000"
        ground = _inherited(node, "background-color", dark) or "#ffffff"
        yield Pair(said[:40], turn(ink), turn(ground))


def _inherited(node: LexborNode, name: str, dark: dict[tuple[str, str], str]) -> str:
    at: LexborNode | None = node.parent
    while at is not None:
        ruled = [dark[key] for key in ((one, name) for one in classes_of(at)) if key in dark]
        value = ruled[-1] if ruled else style_of(at).get(name, "")
        if re.fullmatch(r"#[0-9a-f]{6}", value.lower()):
            return value.lower()
        at = at.parent
    return ""


def _dark_rules(css: str) -> dict[tuple[str, str], str]:
    """(class, property) → colour, of the `prefers-color-scheme: dark` block."""
    block = re.search(r"@media \(prefers-color-scheme:\s*dark\)\s*\{((?:[^{}]*\{[^{}]*\})*)\s*\}", css)
    found = {}
    for name, body in re.findall(r"\.([\w-]+)\{([^{}]*)\}", block[1] if block else ""):
        for part in filter(None, body.split(";")):
            key, _, value = part.partition(":")
            found[name, key.strip()] = value.replace("!important", "").strip()
    return found


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _inverted(colour: str) -> str:
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    return "#" + "".join(f"{round(c * 255):02x}" for c in colorsys.hls_to_rgb(hue, 1 - lightness, saturation))
