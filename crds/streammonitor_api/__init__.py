"""The vocabulary that operator and worker share: resource, assignment, worker status, incident.

Everything here is plain data. The package imports the standard library and pydantic only, so the
operator carries no media code and the worker no Kubernetes client.
"""
