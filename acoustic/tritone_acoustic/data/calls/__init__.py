"""Telephone talk by topic: words with their inflection, sentence patterns, and the grammar that joins them.

`tritone_acoustic.data.templates` draws the sentences; nothing here draws or keeps state.
"""
