"""How often the detectors are right, measured on media whose defects are exact by construction.

`python -m tests.accuracy` runs the bench and writes docs/accuracy.md; `python -m
tests.accuracy.inject` puts a defect into any clip. A defect is benched by one file in `defects/`.
"""
