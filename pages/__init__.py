"""Thin views. They call `Studio` and speak the nouns of `cinegen_core.story`, and nothing below that."""
