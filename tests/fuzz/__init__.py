"""Malformed and malicious input: a corpus that is always tried, and a fuzz target that goes on."""
