"""The training loop: phases, epochs, augmentation, the solved head, CPU kernels, checkpoints."""
