"""Feature maps: the forward pass, orderings, slices, grids and volumes."""
