"""A style sheet moved into style attributes: many mail clients read no other."""

from __future__ import annotations

from threading import Lock

import cssutils

from emails.spared import without

# Premailer imports it to fetch style sheets from the web. We let it fetch none; then it need not have what to
# fetch with, which is a twelfth of all that a run has to load.
with without("requests"):
    from premailer import Premailer

# A three-digit colour is dropped by Lotus Notes and misread by some spam filters; this switch is global to
# cssutils.
cssutils.ser.prefs.minimizeColorHash = False
_INLINING = Lock()
"""cssutils keeps its log and serialiser in globals that threads would share."""


def inline(html: str) -> str:
    """`html` with its style sheet moved into style attributes; a sheet marked `data-premailer="ignore"`
    stays.

    Opens no socket and reads no file.
    """
    with _INLINING:
        done: str = Premailer(
            html,
            strip_important=False,
            allow_network=False,
            allow_loading_external_files=False,
            disable_validation=True,
            keep_style_tags=False,
            remove_classes=False,
            disable_basic_attributes=["width", "height", "align", "valign", "bgcolor"],
        ).transform(pretty_print=False)
    return done
