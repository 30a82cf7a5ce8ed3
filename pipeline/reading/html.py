"""HTML into blocks: a feed's fragment, WordPress blocks, rendered Markdown, or a whole page.

selectolax (Lexbor) parses. A whole page is first cut down to its article: by the marks pages give it
(`article`, `main`, `articleBody`), else by asking trafilatura where the running text stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.post import Block, BlockKind
from pipeline.reading.frontmatter import parse_date, web_address
from pipeline.reading.normal import FORCED_BREAK, TextBuilder, clean_inline, clean_line

DEEPEST = 600
"""Elements inside one another beyond which a file is no post; Lexbor needs quadratic time for such."""

MOST_ATTRIBUTES = 1_000
"""In one tag; Lexbor compares each with all before it, so 200,000 take minutes."""

_ATTRIBUTE = r"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+"""
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_OPENING = re.compile(rf"(<[a-zA-Z][^\s/>]*+)((?:{_ATTRIBUTE})*+)")
"""A tag up to its end, as a parser reads it (HTML, 13.2.5.32 to 39). Nothing in it is tried twice."""

LONGEST_STRUCK_OUT = 400
"""Characters: a longer one is a `<s>` that nobody closed."""
LONGEST_EMOJI = 16
"""Characters: a family of four is seven, a flag of a region seven."""

_HEADINGS = {f"h{rank}": rank for rank in range(1, 7)}
_DROPPED = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "math",
        "iframe",
        "object",
        "embed",
        "video",
        "audio",
        "canvas",
        "map",
        "nav",
        "form",
        "button",
        "select",
        "option",
        "textarea",
        "input",
        "dialog",
        "menu",
        "head",
        "rt",
        "rp",
    ]
)
"""Not words of the post."""
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "body",
        "blockquote",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "header",
        "hgroup",
        "hr",
        "html",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "caption",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
    ]
)
_LISTS = frozenset({"ul", "ol"})
_OTHER = frozenset(["figcaption", "caption", "td", "th", "dt", "legend", "address"])
_HEADING_LIKE = frozenset({"summary"})
_WHOLE_PAGE = re.compile(r"<!doctype html|<html[\s>]|<body[\s>]", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)(?=[\s/>])")
_ANY_TAG = re.compile(r"<[^<>]{0,2000}>")
_CLOSED_BY_THEMSELVES = frozenset(
    [
        "p",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "option",
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    ]
)

# Names that themes and plug-ins give to what stands round a post. Matched as whole words of class and id.
_AROUND = re.compile(
    r"(?:^|[\s_-])(?:"
    r"comments?|comment-?(?:list|respond|form|area)|respond|disqus|"
    r"newsletter|subscribe|subscription|sign-?up|mailchimp|mc_embed\w*|opt-?in|convertkit|"
    r"related(?:posts?)?|jp-relatedposts|yarpp|recommended|read-?next|more-?posts|recent-?posts|"
    r"share|sharing|sharedaddy|social|"
    r"cookies?|consent|gdpr|cmplz\w*|cookie-?(?:banner|notice|law\w*)|"
    r"breadcrumbs?|sidebar|widgets?|widget-area|menu|navbar|navigation|post-?nav\w*|pagination|pager|"
    r"site-?(?:header|footer)|footer|masthead|colophon|"
    r"byline|entry-?meta|post-?meta|author-?(?:bio|box|info)|about-?author|toc|table-of-contents|"
    r"screen-?reader-?text|sr-?only|visually-?hidden|skip-?link|popup|modal|advert\w*|adsbygoogle|promo|banner|search-?form"
    r")(?:$|[\s_-])",
    re.IGNORECASE,
)
_AROUND_FRAGMENT = re.compile(
    r"(?:^|[\s_-])(?:sharedaddy|jp-relatedposts|yarpp|newsletter|mailchimp|mc_embed\w*|convertkit|"
    r"wp-block-(?:search|latest-posts|latest-comments|social-links|buttons?))(?:$|[\s_-])",
    re.IGNORECASE,
)
_STRUCK_OUT = {"s", "strike", "del"}
_UNSEEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
"""Not `font-size:0` or `visibility:hidden`: what is inside may undo these, and mail builders use that."""
_ARTICLE_MARKS = (
    "[itemprop=articleBody]",
    ".entry-content",
    ".post-content",
    ".article-content",
    ".post-body",
    ".gh-content",
    "article",
    "main",
    "[role=main]",
)
_ENOUGH_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlContent:
    """What an HTML text says: its normalised text with blocks, and what its head tells."""

    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    language: str = ""
    url: str | None = None
    published: datetime | None = None
    lead: str = ""


def is_whole_page(source: str) -> bool:
    """True for a whole page (doctype, html or body element), false for a fragment."""
    return _WHOLE_PAGE.search(source[:4000]) is not None


def read_html(source: str) -> HtmlContent:
    """The content of a page or fragment. Never raises for odd markup; time is linear in its length."""
    source = _OPENING.sub(_uncrowded, source)
    if deepest(source) > DEEPEST:
        source = _ANY_TAG.sub("\n<br><br>\n", source)
    tree = LexborHTMLParser(source)
    whole = is_whole_page(source)
    root = _article(tree, source) if whole else tree.body
    builder = TextBuilder()
    if root is not None:
        _Walk(builder, around=_AROUND if whole else _AROUND_FRAGMENT, whole=whole).walk(root)
    text, blocks = builder.build()
    return HtmlContent(text=text, blocks=blocks, **(_head(tree) if whole else {}))  # type: ignore[arg-type] # keys fit


def _uncrowded(tag: re.Match[str]) -> str:
    if len(tag[2]) <= 2 * MOST_ATTRIBUTES or len(_ATTRIBUTES.findall(tag[2])) <= MOST_ATTRIBUTES:
        return tag[0]
    return tag[1]


def deepest(source: str) -> int:
    """How many elements stand inside one another at most, counted from the tags alone."""
    depth = most = 0
    for match in _TAG.finditer(source):
        if match.group(2).lower() in _CLOSED_BY_THEMSELVES:
            continue
        depth = max(0, depth - 1) if match.group(1) else depth + 1
        most = max(most, depth)
    return most


def _head(tree: LexborHTMLParser) -> dict[str, object]:
    def attribute(selector: str, name: str) -> str:
        node = tree.css_first(selector)
        return ((node.attributes.get(name) or "") if node is not None else "").strip()

    title = attribute('meta[property="og:title"]', "content")
    heading, head_title = tree.css_first("h1"), tree.css_first("title")
    if not title and heading is not None:  # a line break in it is a space
        title = read_html(heading.html or "").text
    if not title and head_title is not None:
        title = head_title.text()
    published = attribute('meta[property="article:published_time"]', "content") or attribute(
        "time[datetime]", "datetime"
    )
    url = attribute("link[rel=canonical]", "href") or attribute('meta[property="og:url"]', "content")
    return {
        "title": clean_line(title),
        "language": attribute("html", "lang"),
        "url": web_address(url),
        "published": parse_date(published),
        "lead": clean_line(
            attribute("meta[name=description]", "content")
            or attribute('meta[property="og:description"]', "content")
        ),
    }


def _article(tree: LexborHTMLParser, source: str) -> LexborNode | None:
    body = tree.body
    if body is None:
        return None
    for mark in _ARTICLE_MARKS:
        found = [node for node in tree.css(mark) if not _is_around(node, _AROUND)]
        best = max(found, key=_text_length, default=None)
        if best is not None and _text_length(best) >= _ENOUGH_TEXT:
            return best
    return _where_trafilatura_reads(body, source) or body


def _text_length(node: LexborNode) -> int:
    return len(node.text(strip=True))


def _where_trafilatura_reads(body: LexborNode, source: str) -> LexborNode | None:
    """The smallest element that holds nearly all of what trafilatura takes for the running text."""
    import trafilatura  # only pages without marks need it; it takes half a second to load

    extracted = trafilatura.extract(source, include_comments=False, include_tables=True, favor_recall=True)
    lines = [squeeze(line) for line in (extracted or "").splitlines() if len(line) > 40]
    if not lines:
        return None
    node = body
    while (inner := _holder(node, lines)) is not None:
        node = inner
    return node


def _holder(node: LexborNode, lines: list[str]) -> LexborNode | None:
    for child in _children(node):
        if child.is_element_node:
            inside = squeeze(child.text())
            if sum(len(line) for line in lines if line in inside) >= 0.9 * sum(map(len, lines)):
                return child
    return None


def squeeze(text: str) -> str:
    """`text` without any white space and Markdown emphasis, for comparing."""
    return re.sub(r"[\s*_#>|-]+", "", text)


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _is_around(node: LexborNode, pattern: re.Pattern[str]) -> bool:
    """True for an element whose names, role or style say that it is not part of the post."""
    attributes = node.attributes
    if not attributes:
        return False
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    if _UNSEEN.search(attributes.get("style") or ""):
        return True
    if attributes.get("role") in {"navigation", "search", "banner", "contentinfo", "complementary"}:
        return True
    names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
    return pattern.search(names) is not None


@dataclass(slots=True)
class _Walk:
    """One walk through a tree, without recursion: pages may nest deeper than Python does."""

    builder: TextBuilder
    around: re.Pattern[str]
    whole: bool
    _buffer: list[str] = field(default_factory=list)
    _bold: int = 0
    _plain_seen: bool = False
    _open: list[str] = field(default_factory=list)
    _breaks: int = 0

    def walk(self, root: LexborNode) -> None:
        node: LexborNode | None = root
        while node is not None:
            if self._enter(node) and node.child is not None:
                node = node.child
                continue
            while node is not None:
                self._leave(node)
                if node.mem_id == root.mem_id:
                    node = None
                    break
                if node.next is not None:
                    node = node.next
                    break
                node = node.parent
        self._flush()

    def _enter(self, node: LexborNode) -> bool:
        """Takes in what begins here; true when the children are to be read."""
        tag = node.tag or ""
        if tag == "-text":
            self._add_text(node.text_content or "")
            return False
        if tag == "br":
            self._add_break()
            return False
        if tag == "img":
            self._add_text(_drawn(node))
            return False
        if tag.startswith(("-", "_")) or self._is_dropped(tag, node):
            if tag in _BLOCKS or tag in {"form", "nav"}:
                self._flush()
            return False
        if tag in {"b", "strong"}:
            self._bold += 1
        if tag in _BLOCKS:
            self._flush()
            self._open.append(tag)
        return True

    def _is_dropped(self, tag: str, node: LexborNode) -> bool:
        if tag in _STRUCK_OUT:
            return len(node.text()) <= LONGEST_STRUCK_OUT
        if tag in _DROPPED:
            return True
        if self.whole and tag in {"header", "footer", "aside"} and self._open:
            return tag != "header" or node.css_first("h1") is None
        if tag in {"html", "body", "article", "main"} or not self._open:
            return False
        if tag == "sup":
            return re.fullmatch(r"\W*\d+\W*", node.text()) is not None
        return _is_around(node, self.around)

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag in {"b", "strong"}:
            self._bold = max(0, self._bold - 1)
        if tag in _BLOCKS and self._open and self._open[-1] == tag:
            self._flush()
            self._open.pop()

    def _add_text(self, text: str) -> None:
        """Takes in words; a character that stands for a forced break here means nothing in a post."""
        text = text.replace(FORCED_BREAK, "")
        if text.strip():
            self._breaks = 0
            self._plain_seen = self._plain_seen or (self._bold == 0 and re.search(r"\w", text) is not None)
        self._buffer.append(text)

    def _add_break(self) -> None:
        self._breaks += 1
        if self._breaks == 2:
            self._flush()
        self._buffer.append(FORCED_BREAK)

    def _flush(self) -> None:
        text = "".join(self._buffer)
        bold = not self._plain_seen
        self._buffer.clear()
        self._plain_seen, self._breaks = False, 0
        if not text.strip():
            return
        kind, level = self._kind()
        text = clean_inline(text)
        if kind is BlockKind.PARAGRAPH and bold and _reads_as_heading(text):
            kind, level = BlockKind.HEADING, 6
        self.builder.add(kind, text, level=level)

    def _kind(self) -> tuple[BlockKind, int]:
        """What the innermost telling element makes of the text at hand."""
        in_paragraph = False
        for tag in reversed(self._open):
            in_paragraph = in_paragraph or tag == "p"
            if tag in _HEADINGS:
                return BlockKind.HEADING, _HEADINGS[tag]
            if tag in _HEADING_LIKE:
                return BlockKind.HEADING, 6
            if tag == "li":
                return BlockKind.LIST_ITEM, max(0, sum(name in _LISTS for name in self._open) - 1)
            if tag == "pre":
                return BlockKind.CODE, 0
            if tag == "blockquote":
                return BlockKind.QUOTE, 0
            if tag in _OTHER and not (in_paragraph and tag in {"td", "th"}):
                return BlockKind.OTHER, 0
        return BlockKind.PARAGRAPH, 0


def _drawn(image: LexborNode) -> str:
    """The emoji that a picture stands for: WordPress draws those of its feeds, and names them in `alt`."""
    alt = (image.attributes.get("alt") or "").strip()
    signs = max(alt, default="") >= "\u2190" and not any(sign.isalpha() or sign.isspace() for sign in alt)
    return alt if signs and len(alt) <= LONGEST_EMOJI else ""


def _reads_as_heading(text: str) -> bool:
    """A line in bold alone, short and without a full stop, is a heading in all but name."""
    return (
        len(text) <= 90
        and "\n" not in text
        and not text.endswith((".", "!", "?", "…", ":", ",", ";", "”", '"'))
    )
