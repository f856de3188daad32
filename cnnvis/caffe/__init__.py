"""Caffe's files: networks as text, weights and means as binary messages.

A `.prototxt` describes a network, a `.caffemodel` holds its weights, a `.binaryproto` one blob
(a mean image). Names are imported on first use: reading a network needs no NumPy.
"""

from importlib import import_module

_HOMES = {
    "parse_prototxt": "prototxt",
    "read_prototxt": "prototxt",
    "as_deploy": "deploy",
    "deploy_text": "deploy",
    "read_deploy": "deploy",
    "read_caffemodel": "caffemodel",
    "write_caffemodel": "caffemodel",
    "match_weights": "matching",
    "read_binaryproto": "binaryproto",
    "write_binaryproto": "binaryproto",
}

__all__ = [*_HOMES, "schema"]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"cnnvis.caffe.{_HOMES[name]}"), name)
    if name == "schema":
        return import_module("cnnvis.caffe.schema")
    raise AttributeError(f"module 'cnnvis.caffe' has no attribute {name!r}")
