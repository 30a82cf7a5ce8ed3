"""`weekbrief preview`: the editor's desk."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.output import say


@click.command(
    "preview",
    epilog="""\b
Examples:
  weekbrief preview                       the letter that goes next
  weekbrief preview posts/letting-go.md   this post, as if it were next
  weekbrief preview --port 0 --no-open    on a free port; prints the address
""",
)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--port", default=8027, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--no-open", is_flag=True, help="Do not open the browser.")
@click.pass_obj
def command(config: Path, file: Path | None, port: int, no_open: bool) -> int:
    """Show the next letter in the browser, until stopped. Sends nothing and changes nothing.

    FILE is a post to show instead. The page loads anew when a post, a template or the configuration file
    changes.
    """
    from pipeline.desk import Desk, serve

    def ready(url: str) -> None:
        say(f"Preview at {url}  Stop with Ctrl-C.")
        if not no_open:
            _open(url)

    try:
        serve(Desk(config, file), port=port, ready=ready)
    except KeyboardInterrupt:
        say("Stopped.")
    except OSError as error:
        raise click.ClickException(
            f"the preview cannot start on port {port}: {error.strerror or error}; choose another with --port"
        ) from error
    return 0


def _open(url: str) -> None:
    """In a thread of its own: a browser that runs in the terminal would keep the page from being served."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
