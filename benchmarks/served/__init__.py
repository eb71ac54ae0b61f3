"""What runs inside the measured server processes."""
