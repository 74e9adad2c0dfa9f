"""The one door for weights: what a folder holds is checked before anything is built from it."""
