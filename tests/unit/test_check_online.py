"""`check --online` against a real server on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.check.online import page_status
from tests import faultfeed
from tests.faultfeed import FaultFeed, fault_feed


@pytest.fixture
def site() -> Iterator[FaultFeed]:
    with fault_feed() as made:
        made.play(faultfeed.body("a page", "text/html"), path="/there")
        made.play(faultfeed.body("x" * 2_000_000, "text/html"), path="/long")
        made.play(faultfeed.redirect("/there", 301), path="/moved")
        made.play(faultfeed.status(403), path="/forbidden")
        yield made


@pytest.mark.parametrize(
    ("path", "status"),
    [("/there", 200), ("/long", 200), ("/moved", 200), ("/gone", 404), ("/forbidden", 403)],
)
def test_what_a_page_answers(site: FaultFeed, path: str, status: int) -> None:
    assert page_status(site.url + path, internal=site.url) == status


def test_nobody_answers() -> None:
    with fault_feed() as gone:
        pass
    assert page_status(f"{gone.url}/", internal=gone.url) is None
    assert page_status("mailto:marijke@example.org") is None
    assert page_status("http://[bad") is None


@pytest.mark.fault(137)
def test_a_link_that_leads_inside_is_dead_to_readers_and_not_asked(site: FaultFeed) -> None:
    assert page_status(f"{site.url}/there") is None
    with fault_feed() as inner:
        site.play(faultfeed.redirect(inner.feed), path="/inside")
        assert page_status(f"{site.url}/inside", internal=site.url) is None
        assert inner.asked == []
    assert site.asked == ["/inside"]
