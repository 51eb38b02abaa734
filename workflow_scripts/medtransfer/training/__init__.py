"""Recipe, augmentation, loop and resume."""
