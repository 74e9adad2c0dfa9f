"""Datasets as batches: the order of samples, loaders that resume, the latent cache."""
