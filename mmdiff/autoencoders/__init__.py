"""Frames and mels to latents and back."""
