"""Draws runs as HTML and Markdown; measures and decides nothing."""
