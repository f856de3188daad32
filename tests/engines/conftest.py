"""Fixtures the engines' tests share."""

from tests.engines.test_pycaffe import caffe_python  # noqa: F401
