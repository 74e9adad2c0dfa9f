"""Prompts to a context: tokenizers and text encoders."""
