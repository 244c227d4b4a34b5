"""The wall: a read-only page that shows every stream to those who may see it.

Served by the leader alone: only it follows the workers. Nothing is computed while nobody looks.
"""
