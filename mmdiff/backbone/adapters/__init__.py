"""One adapter per modality: tokens in, tokens out, and time carried across slices."""
