"""Which lines of the e-mail standards hold: the table of `docs/letter.md`, made from the tests.

`python -m tests.standards` writes it anew.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAPER = ROOT / "docs" / "letter.md"
BEGIN, END = "<!-- standards: begin -->", "<!-- standards: end -->"

LINES = {
    "H-01": "no header missing, none twice",
    "H-02": "From is one mailbox with the sender's name only",
    "H-03": "no address that refuses answers",
    "H-04": "To is the one recipient",
    "H-05": "Date with a numeric zone, put in when it is sent",
    "H-06": "Message-ID in the sender's domain, its own for each recipient, the same on every try",
    "H-07": "List-ID, readable, short and stable",
    "H-08": "List-Unsubscribe verbatim, one https address",
    "H-09": "one-click",
    "H-10": "DKIM covers the List headers",
    "H-11": "every subject comes back as it went in",
    "H-12": "short lines, short encoded words, ASCII",
    "H-13": "line breaks in subject, name or address are refused on entry",
    "H-14": "every display name comes back with its address",
    "H-15": "no Re:, no capitals, at most 70 characters",
    "H-16": "automatic letters say so and have no List headers",
    "H-17": "Content-Language at the top",
    "H-18": "Feedback-ID without a person in it",
    "H-19": "nothing about program or machine",
    "H-20": "envelope sender in a domain with SPF",
    "M-01": "text, then HTML, nothing else",
    "M-02": "CRLF, no long line",
    "M-03": "seven bits only",
    "M-04": "the smaller transfer encoding",
    "M-05": "each part decodes to what was rendered",
    "M-06": "no defect when parsed",
    "M-07": "the mail server gets the very bytes",
    "M-08": "nothing depends on person or machine",
    "T-01": "the text says the same, in the same order",
    "T-02": "no markup, nothing invisible",
    "T-03": "72 characters a line, words whole",
    "T-04": "each address alone on its line",
    "T-05": "sections stand apart",
    "T-06": "the foot can be folded away",
    "T-07": "fixed lines, and not flowed by name only",
    "T-08": "it opens with the question",
    "C-01": "complete without its style sheets",
    "C-02": "inlined once per edition and language",
    "C-03": "two style sheets, one of them kept",
    "C-04": "the inliner's options",
    "C-05": "!important where it must be and nowhere else",
    "C-06": "no invented attribute",
    "C-07": "colours of six digits",
    "C-08": "conditional comments whole",
    "C-09": "a pure function, byte for byte",
    "C-10": "a short list of properties",
    "C-11": "small style sheets",
    "C-12": "no repeated property",
    "C-13": "no feature that a program lacks without a written reason",
    "A-01": "axe-core finds nothing",
    "A-02": "language and direction said twice",
    "A-03": "one h1, the question; then h2",
    "A-04": "layout tables are no tables to a reader",
    "A-05": "alt texts",
    "A-06": "contrast in both schemes",
    "A-07": "links are underlined and say where they go",
    "A-08": "nothing that hinders",
    "A-09": "the question is read first",
    "A-10": "another language says so",
    "A-11": "lists and quotations are what they are",
    "A-12": "nothing moves",
    "P-01": "a preheader of its own, 85 to 140 characters",
    "P-02": "first, hidden, once",
    "P-03": "no filler behind it",
    "P-04": "characters, not entities",
    "P-05": "content follows it",
    "L-01": "right-to-left letters are set so",
    "L-02": "Latin words keep their place in them",
    "L-03": "fonts and line height of the script",
    "L-04": "dates, plurals and quotes by language; no borrowed word",
    "L-05": "counted and cut in whole characters",
    "L-06": "one form of address",
    "U-01": "opening a link changes nothing",
    "U-02": "one-click leaves, in either encoding of a form",
    "U-03": "it needs no cookie, token of a form, origin, login or script",
    "U-04": "no redirect and no cookie on it",
    "U-05": "again is fine; a wrong token is told in one way",
    "U-06": "leaving counts for the edition that is going out",
    "U-07": "one button, in the reader's language, that can be undone",
    "U-08": "tokens that cannot be guessed, hold no address and do not end",
    "U-09": "no referrer, no cache, no index, nothing from elsewhere, no token in the log",
    "U-10": "https, or this very machine",
    "U-11": "no limit ever stands before one-click",
    "U-12": "no mailto that nobody reads",
    "U-13": "a link to leave that can be seen, in both parts",
    "D-01": "TLS with a certificate that holds",
    "D-02": "a look at SPF, DKIM, DMARC and the names behind them",
    "D-03": "what is put off is tried for a day, what is refused never again",
    "D-04": "20 letters a connection at most; a rate, if one is set (else as the answers come)",
    "D-05": "stopped and started: nobody twice, nobody left out",
    "D-06": "who complained or left stays out, whatever is imported",
    "D-07": "complaints that come by mail",
    "D-08": "the thresholds of mailbox providers are written down",
}
"""Line → what it is about, in our words."""
SHOULD = {
    *("M-04", "T-06", "T-07", "C-12", "A-11", "H-16", "H-17", "H-18", "H-19", "P-03", "L-06"),
    *("U-11", "U-12", "D-07", "D-08"),
}
DUTY = {
    "H-10": "Your provider signs. Ask it whether its signature covers List-Unsubscribe and "
    "List-Unsubscribe-Post; [providers.md](providers.md) says what is known of each.",
    "H-20": "Your provider sets the envelope sender; publish the SPF record it asks for.",
    "D-08": "Written in [operator.md](operator.md); the brake holds an edition long before.",
}
"""Lines that no test of ours can decide: the operator's."""
LACKING = {
    "D-02": "no: weekbrief asks no name server. Your provider's page shows whether its records are in place.",
    "D-03": "in part: providers try again by themselves, and a hard bounce ends it at the first. A mail "
    "server of your own is asked three times; then this one person is `refused`.",
    "D-07": "no: mail is not read. Providers report complaints by webhook or when asked.",
}
"""Lines that do not hold, and what is done instead."""


def proofs() -> dict[str, list[str]]:
    """Line → names of the tests that carry its mark."""
    found = defaultdict(set)
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                marks = "\n".join(ast.unparse(mark) for mark in node.decorator_list)
                for line in re.findall(r"mark\.standard\('([A-Z]-\d\d)'\)", marks):
                    found[line].add(f"{file.stem}::{node.name}")
    return {line: sorted(names) for line, names in found.items()}


def table() -> str:
    """The table as Markdown."""
    tests = proofs()
    rows = ["| line | | about | holds |", "|---|---|---|---|"]
    for line, about in LINES.items():
        names = tests.get(line, [])
        holds = (
            DUTY.get(line)
            or LACKING.get(line)
            or (f"yes, {len(names)} test{'s'[: len(names) != 1]}" if names else "**no**")
        )
        rows.append(f"| {line} | {'S' if line in SHOULD else 'M'} | {about} | {holds} |")
    return "\n".join(rows)


def main() -> None:
    """Writes the table into the paper."""
    text = PAPER.read_text("utf-8")
    head, rest = text.split(BEGIN)
    PAPER.write_text(f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
