"""The operator: keeps one fleet of workers for every StreamMonitor.

Arrows point down only: app → handlers → reconcile → steps → plan, status, specs → kube → api.
"""
