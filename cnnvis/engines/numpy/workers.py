"""Threads over images, and memory that each thread reuses.

While a network runs, BLAS uses one thread, and a pool of Python threads runs one image each. For
layers of AlexNet's size this is faster than BLAS's own threads, because everything between the
matrix products runs in parallel too. If a batch has fewer images than there are threads, the
work of each layer is divided instead.
"""

import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import threadpoolctl

# How many parts of a batch each thread runs, one after the other.
BLOCKS = 25


class Workers:
    """A pool of `count` threads, by default one per processor that this process may use."""

    def __init__(self, count=None):
        self.count = count or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self.count) if self.count > 1 else None
        self._memory = threading.local()
        self._blas = threadpoolctl.ThreadpoolController()
        self._derived, self._deriving = {}, threading.Lock()
        self.shared = Work(self.split, self.over_images, self.derived)

    def single_threaded_blas(self):
        """Return a context in which BLAS uses one thread."""
        return self._blas.limit(limits=1, user_api="blas")

    def over_images(self, function, images):
        """Call ``function(work, image)`` for each image, in parallel if there are enough."""
        if self._pool is None or images < self.count:
            for image in range(images):
                function(self.shared, image)
            return

        def run(first, last):
            work = self._own()
            for image in range(first, last):
                function(work, image)

        # Several at a time: submitting images one by one takes longer than a small network.
        self._map(run, images, min(images, BLOCKS * self.count))

    def over_blocks(self, function, images, size):
        """Call ``function(work, slice)`` for blocks of at most `size` images, in parallel."""
        size = max(1, min(size, images // (2 * self.count)))
        blocks = [slice(first, min(first + size, images)) for first in range(0, images, size)]
        self.over_images(lambda work, number: function(work, blocks[number]), len(blocks))

    def split(self, function, length):
        """Call ``function(start, stop)`` for one part of ``range(length)`` per thread."""
        parts = min(self.count, length)
        if self._pool is None or parts < 2:
            function(0, length)
        else:
            self._map(function, length, parts)

    def _map(self, function, length, parts):
        """Call ``function(start, stop)`` for `parts` parts of ``range(length)``, in parallel."""
        edges = [length * part // parts for part in range(parts + 1)]
        list(self._pool.map(function, edges[:-1], edges[1:]))

    def derived(self, key, array, make):
        """Return ``make(array)``, made again only if `key` comes with another array.

        If the array is not read-only, nobody would notice a change of it, and nothing is kept.
        """
        if array.flags.writeable:
            return make(array)
        with self._deriving:
            known, result = self._derived.get(key, (None, None))
            if known is not array:
                result = make(array)
                self._derived[key] = array, result
        return result

    def close(self):
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _own(self):
        if not hasattr(self._memory, "work"):
            self._memory.work = Work(derived=self.derived)
        return self._memory.work


class Work:
    """The means that a layer computes with: memory to reuse, and threads to divide its work.

    Parameters
    ----------
    split : callable, optional
        ``split(function, length)``; by default all in the calling thread.
    each : callable, optional
        ``each(function, count)`` calls ``function(work, number)`` for each number, with the memory
        of the thread that runs it; by default in order in the calling thread.
    derived : callable, optional
        See `Workers.derived`; by default nothing is kept.
    """

    def __init__(self, split=None, each=None, derived=None):
        self.split = split or (lambda function, length: function(0, length))
        self.each = each or self._in_order
        self.derived = derived or (lambda key, array, make: make(array))
        self._buffers = {}

    def _in_order(self, function, count):
        for number in range(count):
            function(self, number)

    def buffer(self, key, shape, dtype):
        """Return memory for `key`; its content is whatever was last written there."""
        size = math.prod(shape)
        key = (key, np.dtype(dtype))
        if key not in self._buffers or self._buffers[key].size < size:
            self._buffers[key] = np.empty(size, dtype)
        return self._buffers[key][:size].reshape(shape)

    def framed(self, key, image, frame, value=0.0):
        """Return `image` (C, H, W) padded with `value`, ``frame = (top, bottom, left, right)``.

        Only one layer may use a `key`: later calls rewrite only the inside of the frame.
        """
        top, bottom, left, right = frame
        if not any(frame):
            return image
        channels, height, width = image.shape
        key = (key, image.shape, frame, image.dtype)
        if key not in self._buffers:
            shape = (channels, top + height + bottom, left + width + right)
            self._buffers[key] = np.full(shape, value, image.dtype)
        framed = self._buffers[key]
        framed[:, top : top + height, left : left + width] = image
        return framed
