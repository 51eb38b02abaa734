"""How alike two networks represent the same images, layer by layer."""
