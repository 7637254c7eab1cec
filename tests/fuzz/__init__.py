"""Hostile inputs: every target takes bytes and must neither raise, hang nor grow.

`python -m tests.fuzz` runs them under atheris (coverage-guided), `test_fuzz.py` for seconds under hypothesis.
"""
