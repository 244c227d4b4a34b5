"""Brings the images of the present tree into the local cluster."""

from dev import cluster
from dev.images.builder import build
from dev.product import Images


def load_into_cluster() -> Images:
    """Build what changed, load what the cluster lacks, and name the images."""
    operator, worker = build("operator"), build("worker")
    there = set(cluster.images())
    missing = [image.archive for image in (operator, worker) if image.ref not in there]
    if missing:
        cluster.load(missing)
    return Images(operator=operator.ref, worker=worker.ref)
