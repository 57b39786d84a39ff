"""The dialogue phase."""
