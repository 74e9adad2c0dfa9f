"""From a listed file to a training sample."""
