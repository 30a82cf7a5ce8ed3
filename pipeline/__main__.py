"""`python -m pipeline` is `weekbrief`."""

from pipeline.cli import main

main()
