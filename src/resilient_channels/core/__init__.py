"""The part that decides: states, codes, policies, arithmetic.

Rules of this floor: standard library only; no event loop, no clock, no randomness, no logging,
no Django. Time and random numbers are arguments, so that every decision can be tested in
microseconds and replayed.
"""
