"""Gradients of one neuron: by weights and pixels, compared over images and as time series."""
