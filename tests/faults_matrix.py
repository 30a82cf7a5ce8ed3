"""The fault matrix row by row, with the tests that prove each: `make faults`.

A row is proved by a test that carries `@pytest.mark.fault(number)`. What the rows say is read from the team's
shared folder where it is there; it is no part of the project.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent
ROWS = range(1, 157)


def proofs() -> dict[int, list[str]]:
    """Row → names of the tests that carry its mark, as `file::test`."""
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted(ROOT.rglob("test_*.py")):
        for test, numbers in _marked(ast.parse(file.read_text("utf-8"))):
            for number in numbers:
                found[number].append(f"{file.relative_to(ROOT)}::{test}")
    return {row: sorted(set(tests)) for row, tests in found.items()}


def titles() -> dict[int, str]:
    """Row → what happens in it, or nothing where the shared folder is not here."""
    matrix = ROOT.parents[1] / "shared" / "faults.md"
    if not matrix.is_file():
        return {}
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", matrix.read_text("utf-8"), re.MULTILINE)
    return {int(number): title.strip() for number, title in rows}


def main() -> None:
    found, named = proofs(), titles()
    for row in ROWS:
        tests = found.get(row, [])
        print(f"{row:>3}  {len(tests) or '-':>3}  {named.get(row, '')}")
        for test in tests:
            print(f"          {test}")
    proved = [row for row in ROWS if row in found]
    print(f"\n{len(proved)} of {len(ROWS)} rows have a test; without: {_spans(set(ROWS) - set(proved))}")


def _marked(tree: ast.Module) -> Iterator[tuple[str, set[int]]]:
    """Tests with the rows they prove: by decorator, by a parameter's marks, or for the whole file."""
    whole = {n for node in tree.body if _is_pytestmark(node) for n in _numbers(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            numbers = {n for decorator in node.decorator_list for n in _numbers(decorator)} | whole
            if numbers:
                yield node.name, numbers


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _numbers(node: ast.AST) -> Iterator[int]:
    """The numbers in every `….fault(1, 2)` below `node`."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "fault":
            yield from (
                a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, int)
            )


def _spans(rows: set[int]) -> str:
    """`3, 5-9`."""
    spans: list[list[int]] = []
    for row in sorted(rows):
        if spans and row == spans[-1][-1] + 1:
            spans[-1].append(row)
        else:
            spans.append([row])
    return ", ".join(str(s[0]) if len(s) == 1 else f"{s[0]}-{s[-1]}" for s in spans) or "none"


if __name__ == "__main__":
    main()
