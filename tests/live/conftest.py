"""Fixtures of the live tests."""

from live.browser import browser

__all__ = ["browser"]
