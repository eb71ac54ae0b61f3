"""System checks: each speaks up for the configuration it is about, and for no other."""
