"""`python -m bench.scale`: what thousands of StreamMonitors cost the operator.

A real etcd and API server, controllers that make Deployments into pods, KWOK for the nodes, and
one process that answers for every worker; all of it on loopback, with ports and folders of its own.
"""
