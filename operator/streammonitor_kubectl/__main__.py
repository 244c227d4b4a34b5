"""`python -m streammonitor_kubectl`."""

from streammonitor_kubectl.cli import main

main()
