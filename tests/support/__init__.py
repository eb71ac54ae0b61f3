"""Doubles and harnesses that the tests stand on; none of it waits for real time."""
