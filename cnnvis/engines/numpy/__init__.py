"""Caffe's arithmetic in NumPy: the embedded engine.

``graph`` turns a prototxt into nodes and values, ``layers`` has the arithmetic of each layer type
and ``convolutions`` the methods that a convolution is computed by, ``plans`` decides what a forward
or backward pass computes and keeps, ``passes`` runs it, ``workers`` spreads it over threads.
``network`` is the interface to all of these. ``change_propagation`` avoids whole passes where few
channels change, ``perturbations`` and ``linear_regions`` serve numerical derivatives.
"""
