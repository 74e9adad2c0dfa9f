"""What `mmdiff data-check` measures of a dataset."""
