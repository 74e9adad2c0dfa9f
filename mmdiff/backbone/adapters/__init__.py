"""One adapter per modality: tokens in, tokens out, and temporal attention across groups."""
