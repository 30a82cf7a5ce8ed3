"""A stop that is asked for while the posts of a week are read."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from pipeline.catalogue import Catalogue
from pipeline.report import Report, stopped_early
from pipeline.sources import AskedToStop
from pipeline.week import Week


def until_stopped(week: Week, stop: Event, work: Callable[[Week], Report]) -> Report:
    """What `work` reports of the week. Its feeds are waited for until `stop` is set: nothing has been made of
    them then, and the next run begins anew."""
    if isinstance(week.source, Catalogue):
        week.source.heed(stop)
    try:
        return work(week)
    except AskedToStop:
        return stopped_early()
