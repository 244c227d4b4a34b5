"""`python -m streammonitor_worker`."""

from streammonitor_worker.cli import main

main()
