"""Tests of the operator, mirroring its modules."""
