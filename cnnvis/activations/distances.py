"""How unlike the feature maps of two filters are, on one image or on many."""

import numpy as np

METRICS = ("euclidean", "cosine", "correlation")


class MapSums:
    """What distances between filters need of their feature maps, summed over images.

    The distances are those between the maps of all images, one behind the other; however many
    there are, only sums are kept.

    Attributes
    ----------
    pixels : ndarray of int64, ()
        How many pixels of each filter were added.
    totals, energies : ndarray of float64, (filters,)
        Sums of the pixels and of their squares.
    squares : ndarray of float64, (filters, filters)
        Sums of squared differences between the pixels of two filters.
    """

    def __init__(self, filters):
        self.pixels = np.zeros((), np.int64)
        self.totals, self.energies = np.zeros((2, filters))
        self.squares = np.zeros((filters, filters))

    def add(self, matrix):
        """Add the feature maps of an image.

        Parameters
        ----------
        matrix : ndarray of float64, (filters, pixels)

        Returns
        -------
        MapSums
            This one.
        """
        self.pixels += matrix.shape[1]
        self.totals += matrix.sum(axis=1)
        self.energies += (matrix**2).sum(axis=1)
        for one in range(len(matrix) - 1):
            # Differences, not the products of a Gram matrix: equal maps are then at distance 0.
            others = matrix[one + 1 :] - matrix[one]
            squares = np.einsum("ij,ij->i", others, others)
            self.squares[one, one + 1 :] += squares
            self.squares[one + 1 :, one] += squares
        return self

    @property
    def means(self):
        """The mean output of each filter."""
        return self.totals / self.pixels

    @property
    def dead(self):
        """Which filters have a constant map: ndarray of bool, (filters,)."""
        return self.energies - self.totals**2 / self.pixels <= 1e-12 * self.energies

    @property
    def points(self):
        """Points as far from each other, and from 0, as the feature maps of all images.

        Returns
        -------
        ndarray of float64, (filters, filters)
            One row per filter; products of rows are those of the maps.
        """
        products = (np.add.outer(self.energies, self.energies) - self.squares) / 2
        values, vectors = np.linalg.eigh(products)
        return vectors * np.sqrt(np.maximum(values, 0))

    def distances(self, metric):
        """Return the distances between filters.

        Parameters
        ----------
        metric : {"euclidean", "cosine", "correlation"}
            The root of the sum of squared differences; one minus the cosine of the angle between
            two maps; the same after each map's mean was subtracted.

        Returns
        -------
        ndarray of float64, (filters, filters)
            Without meaning for dead filters where the metric is not ``euclidean``.
        """
        if metric == "euclidean":
            return np.sqrt(self.squares)
        squares, energies = self.squares, self.energies
        if metric == "correlation":
            squares = squares - np.subtract.outer(self.totals, self.totals) ** 2 / self.pixels
            energies = energies - self.totals**2 / self.pixels
        norms = np.sqrt(np.where(self.dead, 1, energies))
        unlike = squares - np.subtract.outer(norms, norms) ** 2
        return np.maximum(unlike, 0) / (2 * np.outer(norms, norms))
