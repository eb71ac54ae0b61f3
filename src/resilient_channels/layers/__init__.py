"""The channel layer: supervised, remembered, never the end of a connection."""
