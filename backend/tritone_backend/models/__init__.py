"""Acoustic models as files: where they are found, added, described. No weights are read here."""
