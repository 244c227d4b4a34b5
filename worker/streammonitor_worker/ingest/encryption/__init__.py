"""Encrypted media: what is encrypted with which key, and how it is decrypted."""
