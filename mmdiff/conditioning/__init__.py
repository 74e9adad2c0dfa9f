"""Conditions: what of a clip is given, each a frozen value that puts it into a LatentState."""
