"""Caffe's arithmetic in NumPy: the embedded engine.

``graph`` turns a prototxt into nodes and blob shapes, ``layers`` says what each layer type
computes, ``plans`` decides what must be computed and kept for one question, ``network``
answers it, ``workers`` spreads it over threads.
"""
