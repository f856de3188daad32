"""Fixtures the tests of importance share."""

from tests.engines.test_pycaffe import caffe_python  # noqa: F401
