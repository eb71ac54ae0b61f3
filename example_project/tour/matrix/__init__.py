"""Every fault of the channel layer, on every layer and every server, measured.

``python -m tour.matrix`` starts real servers and a Redis for each cell, lets the fault happen while
a crowd listens to a steady stream of group messages, and writes what became of both as a table.
"""
