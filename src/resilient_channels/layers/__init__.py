"""The channel layer: supervised, remembered, never the end of a connection."""

from .resilient import ResilientChannelLayer

__all__ = ["ResilientChannelLayer"]
