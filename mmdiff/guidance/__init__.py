"""Guidance: sharper clean estimates by differences to perturbed predictions and slopes of energies."""
