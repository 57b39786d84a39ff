"""The format phase."""
