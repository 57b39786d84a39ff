"""The world phase."""
