"""Condensing: one question and one example from a post, word for word."""

from pipeline.condense.picking import condense

__all__ = ["condense"]
