"""Container images of worker and operator, built without a container engine or a registry."""

from dev.images.builder import Image, build, image
from dev.images.debian import base
from dev.images.loading import load_into_cluster

__all__ = ["Image", "base", "build", "image", "load_into_cluster"]
