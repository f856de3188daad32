"""Fixtures the engines' tests share."""

from tests.test_pycaffe import caffe_python  # noqa: F401
