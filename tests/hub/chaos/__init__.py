"""Random days in the life of a hub, each from a seed: what must hold after any of them."""
