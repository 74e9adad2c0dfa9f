"""What trains: Lightning modules, optimizers, checkpoints that survive."""
