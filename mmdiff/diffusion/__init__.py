"""Diffusion: one mathematics with two faces, the loss (objective) and the loop (sampler)."""
