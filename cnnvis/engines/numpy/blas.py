"""What the BLAS that multiplies matrices is good at."""

import functools

import threadpoolctl

# OpenBLAS's kernels for processors with AVX-512 multiply small matrices as they lie in memory;
# larger ones are copied first, which takes a third of the time for those of a convolution.
WITHOUT_COPY = {"SkylakeX", "Cooperlake", "SapphireRapids"}
SMALL = 100**3  # its sgemm_small_kernel_permit_skylakex.c


@functools.cache
def small_product():
    """Return how many multiplications BLAS does without copying the matrices first, maybe 0."""
    libraries = threadpoolctl.threadpool_info()
    kernels = {blas.get("architecture") for blas in libraries if blas["user_api"] == "blas"}
    return SMALL if kernels and kernels <= WITHOUT_COPY else 0
