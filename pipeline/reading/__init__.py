"""Bytes become posts here: Markdown, HTML and plain text, read into one normalised text with its blocks."""

from pipeline.reading.read import Unreadable, read_post

__all__ = ["Unreadable", "read_post"]
