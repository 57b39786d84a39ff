"""The narrative phase."""
