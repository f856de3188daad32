"""Recover the filters of a first layer from its outputs on one image.

Where a filter's output is above 0, the ReLU left it unchanged, and it is linear in the filter::

    output[f, y, x] = bias[f] + sum over c, i, j of
                      filter[f, c, i, j] * input[c, y * stride + i - pad, x * stride + j - pad]

Each active position is one equation for kernel x kernel x channels weights and a bias. Where there
are more equations than unknowns, least squares gives the filter, the residual says whether image
and geometry are the right ones, and the inactive positions, which were not used, are a check: there
the recovered filter must not be positive. A published volume is scaled, so all filters are known up
to one common factor.

A filter with too few active positions is not determined. Of all filters that explain the published
outputs, active and inactive, the smallest is returned, by the method LDP of Lawson and Hanson,
Solving Least Squares Problems (1974), chapter 23.

A volume of bytes is rounded, and neighbouring pixels of a photograph are so similar that least
squares would amplify the rounding. Then the most likely filter is returned, under a normal prior
of the weights whose variance makes the bytes most likely (the evidence of MacKay, Bayesian
Interpolation, 1992). It is blurred; the errors say by how much.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cnnvis.activations.filters import to_colours
from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.caffe.prototxt import parse_prototxt
from cnnvis.core.arrays import check_finite, read_npy
from cnnvis.core.colours import Colours
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic, write_json
from cnnvis.core.sheets import draw_sheet
from cnnvis.core.volume_files import read_vox, tile_channels

UNKNOWN = 1.0
"""Relative standard error from which a filter counts as not determined."""
EXPLAINED = 0.2
"""Largest typical residual, relative to the outputs, of filters that explain a volume."""


@dataclass(frozen=True)
class Geometry:
    """The geometry of a convolution with square kernels, without groups or dilation."""

    kernel: int
    stride: int = 1
    pad: int = 0

    def output(self, size):
        """Return (height, width) of the output for an input of (height, width)."""
        return tuple((n + 2 * self.pad - self.kernel) // self.stride + 1 for n in size)


@dataclass(frozen=True)
class Recovered:
    """Recovered filters and how well each is determined, one entry per filter.

    Attributes
    ----------
    filters : ndarray of float64, (filters, channels, kernel, kernel)
    biases : ndarray of float64, (filters,)
    active : ndarray of int
        Positions with an output above 0.
    residual : ndarray of float64
        Norm of the residual at those, relative to the outputs' norm.
    error : ndarray of float64
        Standard error of the filter, relative to its norm; infinite where it is not determined.
    contradictions : ndarray of int
        Inactive positions where the recovered filter is active.
    """

    filters: np.ndarray
    biases: np.ndarray
    active: np.ndarray
    residual: np.ndarray
    error: np.ndarray
    contradictions: np.ndarray

    @property
    def determined(self):
        """Which filters are determined."""
        return self.error < UNKNOWN


def make_recovery(
    volume,
    image,
    prototxt,
    caffemodel,
    picture,
    report,
    *,
    preprocessing,
    geometry,
    layer="conv1",
    crop=None,
):
    """Recover the filters of a first layer and write them as a network of that one layer.

    Parameters
    ----------
    volume : str or Path
        Outputs after ReLU, scaled or not: ``.npy`` (filters, height, width), or ``.vox`` with its
        ``.hd`` beside it.
    image : str or Path
        What the network saw; see `cnnvis.inputs.images.read_image`.
    prototxt, caffemodel : str or Path
        The network that is written.
    picture : str or Path
        PNG of the filters.
    report : str or Path
        JSON: how well each filter is determined.
    preprocessing : cnnvis.inputs.images.Preprocessing
    geometry : Geometry
    layer : str
        The name of the convolution.
    crop : list of int, optional
        [top, left, height, width] in pixels of the image.

    Raises
    ------
    UserError
        If a file is not usable, the volume has another size than the geometry says, or no filters
        explain it.
    """
    outputs, rounding = read_volume(volume)
    blob = preprocessing(image, crop)
    recovered = recover(outputs, blob, geometry, rounding=rounding, name=str(volume))
    text = prototxt_text(layer, blob.shape, geometry, len(outputs))
    with atomic(prototxt) as temporary:
        temporary.write_text(text, encoding="utf-8")
    weights = [recovered.filters.astype(np.float32), recovered.biases.astype(np.float32)]
    write_caffemodel(caffemodel, {layer: weights}, parse_prototxt(text))
    draw(picture, recovered, layer, preprocessing.channel_order)
    quality = recovery_quality(recovered)
    write_json(report, {"layer": layer, "input": list(blob.shape), **asdict(geometry), **quality})


def read_volume(path):
    """Read published outputs.

    Parameters
    ----------
    path : str or Path
        ``.npy``, or ``.vox`` with ``.hd``.

    Returns
    -------
    outputs : ndarray of float64, (filters, height, width)
    rounding : float
        Largest error of a value: half a step of bytes, else 0.

    Raises
    ------
    UserError
        If it cannot be read or is of another kind.
    """
    if Path(path).suffix == ".vox":
        return read_vox(path).astype(np.float64), 0.5
    outputs = read_npy(path, ndim=3)
    check_finite(outputs, str(path))
    return outputs.astype(np.float64), 0.0 if outputs.dtype.kind == "f" else 0.5


def recover(outputs, blob, geometry, *, rounding=0.0, name="volume"):
    """Recover filters from outputs and input.

    Parameters
    ----------
    outputs : ndarray, (filters, height, width)
        After ReLU; any positive factor.
    blob : ndarray, (C, H, W)
        The network's input.
    geometry : Geometry
    rounding : float
        Largest error of an output.
    name : str
        What messages call the volume.

    Returns
    -------
    Recovered

    Raises
    ------
    UserError
        If the sizes do not fit, or no filters explain the outputs.
    """
    from threadpoolctl import threadpool_limits

    expected = geometry.output(blob.shape[1:])
    if outputs.shape[1:] != expected:
        raise UserError(
            f"{name}: outputs of {outputs.shape[1]} x {outputs.shape[2]} (height x width), but "
            f"kernel {geometry.kernel}, stride {geometry.stride}, pad {geometry.pad} make "
            f"{expected[0]} x {expected[1]} of an input of {blob.shape[1]} x {blob.shape[2]}"
        )
    system, scale = equations(blob, geometry)
    # Threads slow problems of this size down: 5 s became 115 s with two.
    with threadpool_limits(1):
        solved = [_solve(system, each.ravel(), rounding) for each in outputs]
    solutions, *rest = map(np.array, zip(*solved, strict=True))
    shape = (len(outputs), blob.shape[0], geometry.kernel, geometry.kernel)
    recovered = Recovered((solutions[:, :-1] / scale).reshape(shape), solutions[:, -1], *rest)
    _check_explained(recovered, name)
    return recovered


def equations(blob, geometry):
    """Return the linear system of one filter's outputs.

    Parameters
    ----------
    blob : ndarray, (C, H, W)
    geometry : Geometry

    Returns
    -------
    system : ndarray of float64, (positions, C * kernel * kernel + 1)
        One row per position, its last number the bias's 1.
    scale : float
        What the input was divided by, so that weights and bias are of one size.
    """
    pad, kernel, stride = geometry.pad, geometry.kernel, geometry.stride
    padded = np.pad(blob.astype(np.float64), ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))
    windows = windows[:, ::stride, ::stride].transpose(1, 2, 0, 3, 4)
    windows = windows.reshape(windows.shape[0] * windows.shape[1], -1)
    scale = np.sqrt(np.mean(windows**2)) or 1.0
    return np.hstack([windows / scale, np.ones((len(windows), 1))]), scale


def _solve(system, outputs, rounding):
    """Return solution, active positions, residual, error and contradictions of one filter."""
    active = outputs > max(outputs.min(), 0)
    rows, values = system[active], outputs[active]
    if rounding:
        solution, error = _most_likely(rows, values, rounding**2 / 3)
        error = error if len(rows) > rows.shape[1] else np.inf
    else:
        solution, error = _least_squares(rows, values)
        if not error < UNKNOWN:
            solution, error = _smallest(rows, values, system[~active]), np.inf
    left = np.linalg.norm(rows @ solution - values) / (np.linalg.norm(values) or 1)
    # Rounding hides outputs up to half a step, single precision the last digits.
    limit = 2 * rounding + 1e-5 * outputs.max()
    contradictions = int((system[~active] @ solution > limit).sum())
    return solution, int(active.sum()), left, error, contradictions


def _least_squares(rows, values):
    """Return the solution and its relative standard error, by one QR decomposition."""
    from scipy.linalg import qr, solve_triangular

    unknowns = rows.shape[1]
    if len(rows) <= unknowns:
        return None, np.inf
    upper = qr(np.hstack([rows, values[:, np.newaxis]]), mode="r")[0][: unknowns + 1]
    square, right = upper[:unknowns, :unknowns], upper[:unknowns, unknowns]
    if np.abs(np.diag(square)).min() < 1e-10 * np.abs(np.diag(square)).max():
        return None, np.inf
    solution = solve_triangular(square, right)
    inverse = solve_triangular(square, np.eye(unknowns))
    spread = np.abs(upper[unknowns, unknowns]) / np.sqrt(len(rows) - unknowns)
    # The bias is left out of the error: it is no part of what the filter looks like.
    error = spread * np.linalg.norm(inverse[:-1]) / (np.linalg.norm(solution[:-1]) or 1)
    return solution, error


def _most_likely(rows, values, noise):
    """Return the most likely solution for normal weights, and its relative standard error.

    Parameters
    ----------
    rows, values : ndarray
    noise : float
        Variance of the values' errors.
    """
    eigenvalues, basis = np.linalg.eigh(rows.T @ rows)
    eigenvalues = np.maximum(eigenvalues, 0)
    right = basis.T @ (rows.T @ values)
    variance = 1.0
    for _ in range(200):
        precision = eigenvalues / noise + 1 / variance
        solution = right / noise / precision
        before, variance = variance, np.mean(solution**2 + 1 / precision)
        if abs(variance - before) < 1e-4 * before:
            break
    error = np.sqrt(np.sum(1 / precision)) / (np.linalg.norm(solution) or 1)
    return basis @ solution, error


def _smallest(rows, values, inactive):
    """Return the smallest solution of `rows` that is not positive at the inactive positions.

    Where there is none, the smallest solution of `rows` alone.
    """
    from scipy.optimize import nnls

    _, singular, basis = np.linalg.svd(rows, full_matrices=True)
    rank = int((singular > 1e-6 * singular.max(initial=0)).sum())
    solution = np.linalg.lstsq(rows, values, rcond=1e-6)[0]
    free = basis[rank:].T
    if not free.size or not len(inactive):
        return solution
    # A margin, so that single precision does not make the largest of them active.
    room = -(inactive @ solution) - 1e-4 * np.abs(values).max(initial=0)
    ends = np.vstack([-(inactive @ free).T, -room])
    target = np.zeros(len(ends))
    target[-1] = 1
    residual = ends @ nnls(ends, target, maxiter=20 * ends.shape[1])[0] - target
    if np.abs(residual[-1]) < 1e-12:
        return solution
    return solution - free @ (residual[:-1] / residual[-1])


def _check_explained(recovered, name):
    if not recovered.determined.any():
        raise UserError(
            f"{name}: no filter is determined: at most {recovered.active.max()} active positions "
            f"for {recovered.filters[0].size + 1} unknowns, or another image, preprocessing or "
            "geometry"
        )
    typical = np.median(recovered.residual[recovered.determined])
    if typical > EXPLAINED:
        raise UserError(
            f"{name}: no filters explain these outputs: the residual is {typical:.2g} of them, "
            "expected less than 0.05; check the image, its preprocessing, kernel, stride and pad"
        )


def prototxt_text(layer, input_shape, geometry, filters):
    """Return a network of one convolution with ReLU in place."""
    sizes = " ".join(f"dim: {size}" for size in (1, *input_shape))
    shape = f"num_output: {filters} kernel_size: {geometry.kernel} stride: {geometry.stride}"
    shape += f" pad: {geometry.pad}" if geometry.pad else ""
    return f"""# Recovered from published outputs: the filters are known up to one common factor.
name: "recovered"
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {sizes} }} }} }}
layer {{ name: "{layer}" type: "Convolution" bottom: "data" top: "{layer}" convolution_param {{ \
{shape} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "{layer}" top: "{layer}" }}
"""


def recovery_quality(recovered):
    """Return how well the filters are determined, as numbers for JSON."""
    determined = recovered.determined

    def typical(values):
        values = values[determined]
        return {"median": float(np.median(values)), "largest": float(values.max())}

    return {
        "filters": len(determined),
        "unknowns": recovered.filters[0].size + 1,
        "determined": int(determined.sum()),
        "undetermined": np.flatnonzero(~determined).tolist(),
        "residual": typical(recovered.residual),
        "error": typical(recovered.error),
        "contradictions": int(recovered.contradictions.sum()),
        "active": recovered.active.tolist(),
        "residuals": recovered.residual.tolist(),
        "errors": [float(each) if np.isfinite(each) else None for each in recovered.error],
    }


def draw(picture, recovered, layer, channel_order="BGR"):
    """Draw the recovered filters, each in its own scale."""
    filters, determined = recovered.filters, recovered.determined
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    filters = filters / np.where(largest > 0, largest, 1)
    coloured = filters.shape[1] == 3
    draw_sheet(
        picture,
        to_colours(filters, channel_order) if coloured else tile_channels(filters),
        [number if known else f"{number} ?" for number, known in enumerate(determined)],
        title=f"Filters of {layer}, recovered from its outputs",
        caption=_caption(recovered, layer),
        label=None if coloured else "weight",
        colours=None if coloured else Colours("RdBu_r", -1, 1),
    )


def _caption(recovered, layer):
    determined, kernel = recovered.determined, recovered.filters.shape[2]
    text = (
        f"The {len(determined)} filters of layer {layer}, {kernel} x {kernel} weights each, "
        "recovered from the layer's published outputs and their image by least squares. The "
        f"residual of the {determined.sum()} that are determined is at most "
        f"{recovered.residual[determined].max():.1g} of the outputs; their standard error is at "
        f"most {recovered.error[determined].max():.1g} of the filter. Each filter has its own "
        "scale: mid grey (or white) is 0."
    )
    if not determined.all():
        active = recovered.active[~determined]
        text += (
            " A question mark: there are too few active positions, or they are too similar "
            f"({active.min()} to {active.max()} for {recovered.filters[0].size + 1} unknowns); "
            "shown is one filter of those that explain the outputs."
        )
    return text
