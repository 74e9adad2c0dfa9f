"""The shared trunk and its modality adapters."""
