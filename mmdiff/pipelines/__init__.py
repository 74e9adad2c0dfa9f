"""The Python API: a diffusers pipeline and its parts."""
