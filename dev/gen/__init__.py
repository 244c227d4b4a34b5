"""Writes every generated file of the repository from its one source. Run by `make gen`."""
