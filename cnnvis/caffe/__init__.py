"""Caffe's files: networks as text (.prototxt), weights and means as binary messages."""
