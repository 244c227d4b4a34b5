"""Builders of Kubernetes objects: spec in, manifest out. No client, no clock."""
