#!/usr/bin/env python3
"""CPU time to read and condense posts of 1,000 words each, as Markdown and as a feed's HTML.

    condense_speed.py [--posts 500]

The budget is 10,000 such posts in under three minutes of CPU.
"""

from __future__ import annotations

import argparse
import random
import time

from pipeline.condense import condense
from pipeline.reading import read_post

SENTENCES = [
    "Gisteren belde mijn moeder terwijl ik in de keuken stond.",
    "Onderzoek laat zien dat mensen die loslaten meer rust ervaren.",
    "Waarom is dat zo? Omdat we vasthouden aan wat we kennen.",
    "Je merkt dat je adem hoog zit en je schouders zich aanspannen.",
    "Neem de tijd om elke dag vijf minuten stil te zitten.",
    "“Ik weet het niet,” zei ze, en ze keek naar het raam.",
    "Wat heb jij nodig om vandaag tot rust te komen?",
    "In de straat waar we woonden stond een boom die elk jaar later bloeide dan de andere.",
    "Stel je voor dat je niets hoeft op te lossen.",
    "Dat klinkt eenvoudig, maar het vraagt oefening en mildheid voor jezelf.",
]


def make_post(seed: int) -> tuple[str, str]:
    """(Markdown, HTML) of one post of about 1,000 words, never the same twice."""
    chance = random.Random(seed)
    paragraphs: list[str] = []
    words = 0
    while words < 1_000:
        text = " ".join(chance.choice(SENTENCES) for _ in range(chance.randint(2, 5)))
        words += len(text.split())
        paragraphs.append(f"{text} ({seed}-{len(paragraphs)})")
    head = f"---\ntitle: Post {seed}\ndate: 2026-01-01\n---\n\n"
    parts = [f"## Deel {n}\n\n{text}" if n % 5 == 0 else text for n, text in enumerate(paragraphs)]
    return head + "\n\n".join(parts), "".join(f"<p>{text}</p>\n" for text in paragraphs)


def measure(sources: list[str], name: str) -> float:
    """Seconds of CPU for one post, reading and condensing."""
    condense(read_post(sources[0].encode(), name=name))
    began = time.process_time()
    for source in sources:
        condense(read_post(source.encode(), name=name))
    return (time.process_time() - began) / len(sources)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--posts", type=int, default=300)
    made = [make_post(seed) for seed in range(parser.parse_args().posts)]
    for place, name in enumerate(("post.md", "feed.html")):
        seconds = measure([sources[place] for sources in made], name)
        print(f"{name:10} {seconds * 1000:5.1f} ms a post, {seconds * 10_000 / 60:4.1f} minutes for 10,000")


if __name__ == "__main__":
    main()
