"""The genre phase."""
