"""Hostile input of every kind, made up by a machine.

Each test is one target: what it is given comes from Hypothesis, in the suite a few examples, in
``harness.py`` as many as there is time for, guided by coverage.
"""
