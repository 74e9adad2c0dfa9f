"""What watches a training run: progress, samples, guards, checkpoints."""
