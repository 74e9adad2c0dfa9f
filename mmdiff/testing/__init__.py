"""Faults planned by tests at named points of the real code."""
