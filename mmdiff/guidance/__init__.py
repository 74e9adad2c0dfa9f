"""Guidance: sharper clean estimates by the difference to weaker ones, all in one batched call."""
