"""Guidance: clean estimates moved by differences to perturbed predictions and by energies."""
