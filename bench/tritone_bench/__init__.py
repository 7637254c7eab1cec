"""Measures a running service: paced load, the most streams it carries, reports, comparison, planning.

It talks to the service over the network alone; nothing here runs inside it.
"""
