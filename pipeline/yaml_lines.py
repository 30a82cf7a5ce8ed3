"""YAML as people write it, with line numbers. Text stays text unless it is plainly a number or true/false.

The rules are YAML 1.2's core, where `at: 10:30` is text and not 630, `on:` is a key and not `True`, and
`zondag: no` is not false. Anchors, tags and several documents in one file are refused: no settings file
needs them, and they can make ten lines into gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionStartEvent, Event, ScalarEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from pipeline.complaints import Complaint, SettingsError, shown

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20

Place = tuple[str | int, ...]
"""Where a value stands: `("sources", 0, "folder")`."""

_BOOL, _INT, _FLOAT, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null"))
_HINTS = {
    "mapping values are not allowed here": "there is a ':' too many, or text with ': ' that needs quotes",
    "found character '\\t' that cannot start any token": "there is a tab; indent with spaces",
    "could not find expected ':'": "a ':' is missing after a key, or a quote is not closed",
    "found unexpected end of stream": "a quote or bracket is not closed before the file ends",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says, and on which line it says it."""

    value: dict[str, Any]
    """Only dict, list, str, int, float, bool and None."""
    lines: Mapping[Place, int]
    complaints: tuple[Complaint, ...] = ()
    """Keys written twice (the first one counts) and keys that are not words."""

    def line(self, place: Place) -> int:
        """The line of a place; of the nearest thing around it when the place itself is missing."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_document(content: bytes, file: str) -> Document:
    """The one mapping that a YAML file holds. `file` is its name in complaints.

    Raises SettingsError where the file is not UTF-8, not YAML, or not lines of `key: value`.
    """
    node = _compose(_text(content, file), file)
    if not isinstance(node, MappingNode):
        found = "is empty" if node is None else "does not hold lines of 'key: value'"
        raise SettingsError([Complaint(file=file, line=1, text=f"{found}; see docs/configuration.md")])
    reading = _Reading(file=file)
    value = reading.mapping(node, ())
    return Document(value=value, lines=reading.lines, complaints=tuple(reading.complaints))


def dotted(place: Place) -> str:
    """`sources[0].folder`, as complaints name it."""
    words = ""
    for step in place:
        if isinstance(step, int):
            words += f"[{step}]"
        else:
            words += ("." if words else "") + (step if re.fullmatch(r"[\w-]{1,40}", step) else shown(step))
    return words


def _text(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise SettingsError(
            [Complaint(file=file, text=f"is larger than {MAX_BYTES // 1024} KiB: the wrong file?")]
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsError(
            [Complaint(file=file, line=line, text="is not UTF-8 text; save it as UTF-8")]
        ) from error


def _compose(text: str, file: str) -> Node | None:
    loader = None
    try:
        loader = _StrictLoader(text)
        return loader.get_single_node()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = "has a control character that no settings file may have; delete it"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = f"is not YAML: {_plain(error)}"
    except (ValueError, OverflowError):
        # PyYAML turns "\UFFFFFFFF" and "%YAML 1.99999…" into numbers without looking at their size
        line = loader.get_mark().line + 1 if loader else 1
        problem = "has an escape or a number that is out of range"
    raise SettingsError([Complaint(file=file, line=line, text=problem)])


def _plain(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it cannot be read"
    return _HINTS.get(problem) or (f"{problem} ({error.context})" if error.context else problem)


class _StrictLoader(yaml.SafeLoader):
    """Composes nodes; it never constructs objects. Plain values follow YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the name and shape that PyYAML reads

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Event = self.peek_event()  # type: ignore[no-untyped-call]  # its stubs have no types
        if refusal := _refusal(event, self._depth):
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=refusal, problem_mark=mark)
        self._depth += 1
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _refusal(event: Event, depth: int) -> str | None:
    if isinstance(event, AliasEvent):
        return "aliases (*name) are not used here; write the value out"
    if isinstance(event, ScalarEvent | CollectionStartEvent):
        if event.anchor is not None:
            return "anchors (&name) are not used here; quote text that begins with &"
        if event.tag is not None:
            return "tags (!name) are not used here; quote text that begins with !"
    return "it is nested too deep" if depth >= MAX_DEPTH else None


for _tag, _pattern, _first in (
    (_BOOL, r"(?:true|True|TRUE|false|False|FALSE)\Z", "tTfF"),
    (_INT, r"[-+]?[0-9]{1,18}\Z", "-+0123456789"),
    (_FLOAT, r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})\Z", "-+.0123456789"),
    (_NULL, r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
):
    _StrictLoader.add_implicit_resolver(_tag, re.compile(_pattern, re.ASCII), list(_first))


@dataclass(slots=True, kw_only=True)
class _Reading:
    """Nodes to plain values, noting the line of each."""

    file: str
    lines: dict[Place, int] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)

    def mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, place)
            if key is None:
                continue
            inside = (*place, key)
            if key in result:
                first = f"it stands on line {self.lines[inside]} already; delete one of the two"
                self._complain(key_node, inside, first)
                continue
            self.lines[inside] = _line(key_node)
            result[key] = self._value(value_node, inside)
        return result

    def _key(self, node: Node, place: Place) -> str | None:
        if isinstance(node, ScalarNode):
            return _without_surrogates(node.value)
        self._complain(node, place, "a key must be a word, such as 'name'")
        return None

    def _value(self, node: Node, place: Place) -> Any:
        self.lines.setdefault(place, _line(node))
        if isinstance(node, MappingNode):
            return self.mapping(node, place)
        if isinstance(node, SequenceNode):
            return [self._value(item, (*place, number)) for number, item in enumerate(node.value)]
        return _scalar(node)

    def _complain(self, node: Node, place: Place, text: str) -> None:
        self.complaints.append(Complaint(file=self.file, line=_line(node), field=dotted(place), text=text))


def _scalar(node: Node) -> str | int | float | bool | None:
    text: str = node.value
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return text.lower() == "true"
    if node.tag == _INT:
        return int(text)
    return float(text) if node.tag == _FLOAT else _without_surrogates(text)


def _without_surrogates(text: str) -> str:
    """A lone half of a surrogate pair ("\\ud800") is no text that could be stored or shown."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _line(node: Node) -> int:
    line: int = node.start_mark.line
    return line + 1
