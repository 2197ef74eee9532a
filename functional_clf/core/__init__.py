"""Training of one replicate as pure functions: models, losses, optimizers, tasks, steps."""
