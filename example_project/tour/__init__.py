"""A tour of what kills a plain Channels consumer, and what a resilient one does about it.

``python -m tour`` starts real servers, drives a plain and a resilient twin of the same consumers
through every fault with a raw-socket client, and prints what became of each.
"""
