"""Filters of a first layer, recovered from what they made of one image.

Where a filter's output is above 0, ReLU left it alone, and it is linear in the filter::

    output[f, y, x] = bias[f] + sum over c, i, j of
                      filter[f, c, i, j] * input[c, y * stride + i - pad, x * stride + j - pad]

Each active position is one equation for kernel x kernel x channels weights and a bias. With more
of them than unknowns, least squares gives the filter, what is left says whether image and geometry
are the right ones, and the inactive positions, which were not used, are a check: there the
recovered filter must not be positive. A published volume is scaled, so all filters are known up to
one common factor.

A filter with too few active positions is not determined. Of all that explain what is published,
active and inactive, the smallest is given: by the method LDP of Lawson and Hanson, Solving Least
Squares Problems (1974), chapter 23.

A volume of bytes is rounded, and neighbouring pixels of a photograph are so alike that least
squares would make the rounding large in the filters. Then the most likely filter is given, of
weights with one normal distribution whose variance is the one that makes the bytes most likely
(the evidence of MacKay, Bayesian Interpolation, 1992). It is a blurred view: the errors say how.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.caffe.prototxt import parse_prototxt
from cnnvis.core.arrays import check_finite
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic, write_json
from cnnvis.core.volume_files import read_vox
from cnnvis.inputs.images import crop_image, preprocess, read_image, read_mean

UNKNOWN = 1.0
"""Relative standard error from which nothing is known about a filter."""
EXPLAINED = 0.2
"""Largest typical residual, relative to the outputs, of filters that explain a volume."""


@dataclass(frozen=True)
class Geometry:
    """Of a convolution with square kernels, without groups or dilation."""

    kernel: int
    stride: int = 1
    pad: int = 0

    def output(self, size):
        """Return (height, width) of the output for an input of (height, width)."""
        return tuple((n + 2 * self.pad - self.kernel) // self.stride + 1 for n in size)


@dataclass(frozen=True)
class Recovered:
    """Filters and how well they are known, one entry per filter.

    Attributes
    ----------
    filters : ndarray of float64, (filters, channels, kernel, kernel)
    biases : ndarray of float64, (filters,)
    active : ndarray of int
        Positions with an output above 0.
    residual : ndarray of float64
        Norm of what is left at those, relative to the outputs' norm.
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
        """Which filters are known."""
        return self.error < UNKNOWN


def make_recovery(
    volume,
    image,
    prototxt,
    caffemodel,
    picture,
    report,
    *,
    input_shape,
    mean,
    kernel,
    stride=1,
    pad=0,
    layer="conv1",
    input_scale=1.0,
    channel_order="BGR",
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
        JSON: how well each filter is known.
    input_shape : tuple of int
        (C, H, W) of the network's input.
    mean, input_scale, channel_order, crop
        The preprocessing; see `cnnvis.inputs.images.make_input`.
    kernel, stride, pad : int
        The convolution.
    layer : str
        Its name.

    Raises
    ------
    UserError
        If a file is not usable, the volume has another size than the geometry says, or no filters
        explain it.
    """
    outputs, rounding = read_volume(volume)
    pixels = read_image(image, input_shape[0])
    if crop is not None:
        pixels = crop_image(pixels, crop, image)
    blob = preprocess(
        pixels, tuple(input_shape), read_mean(mean, tuple(input_shape)), input_scale, channel_order
    )
    geometry = Geometry(kernel, stride, pad)
    found = recover(outputs, blob, geometry, rounding=rounding, name=str(volume))
    text = prototxt_text(layer, input_shape, geometry, len(outputs))
    with atomic(prototxt) as temporary:
        temporary.write_text(text, encoding="utf-8")
    weights = [found.filters.astype(np.float32), found.biases.astype(np.float32)]
    write_caffemodel(caffemodel, {layer: weights}, parse_prototxt(text))
    draw(picture, found, layer, channel_order)
    write_json(report, {"layer": layer, "input": list(input_shape), **summary(found, geometry)})


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
    path = Path(path)
    if path.suffix == ".vox":
        return read_vox(path).astype(np.float64), 0.5
    try:
        outputs = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as .npy or .vox ({error})") from error
    if outputs.ndim != 3 or outputs.dtype.kind not in "fiu" or not outputs.size:
        raise UserError(
            f"{path}: {outputs.dtype} of shape {outputs.shape}, expected numbers of shape "
            "(filters, height, width)"
        )
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
    # Threads only get in each other's way in problems of this size: 5 s became 115 s with two.
    with threadpool_limits(1):
        solved = [_solve(system, each.ravel(), rounding) for each in outputs]
    solutions, *rest = map(np.array, zip(*solved, strict=True))
    shape = (len(outputs), blob.shape[0], geometry.kernel, geometry.kernel)
    found = Recovered((solutions[:, :-1] / scale).reshape(shape), solutions[:, -1], *rest)
    _check_explained(found, name)
    return found


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
    active = outputs > outputs.min() if outputs.min() > 0 else outputs > 0
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


def _check_explained(found, name):
    if not found.determined.any():
        raise UserError(
            f"{name}: no filter is determined: at most {found.active.max()} active positions for "
            f"{found.filters[0].size + 1} unknowns, or another image, preprocessing or geometry"
        )
    typical = np.median(found.residual[found.determined])
    if typical > EXPLAINED:
        raise UserError(
            f"{name}: no filters explain these outputs: they leave {typical:.2g} of them, expected "
            "less than 0.05; check the image, its preprocessing, kernel, stride and pad"
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


def summary(found, geometry):
    """Return what is known about the filters, as numbers for JSON."""
    determined = found.determined
    return {
        "kernel": geometry.kernel,
        "stride": geometry.stride,
        "pad": geometry.pad,
        "filters": len(determined),
        "unknowns": found.filters[0].size + 1,
        "determined": int(determined.sum()),
        "undetermined": np.flatnonzero(~determined).tolist(),
        "residual": {
            "median": float(np.median(found.residual[determined])),
            "largest": float(found.residual[determined].max()),
        },
        "error": {
            "median": float(np.median(found.error[determined])),
            "largest": float(found.error[determined].max()),
        },
        "contradictions": int(found.contradictions.sum()),
        "active": found.active.tolist(),
        "residuals": found.residual.tolist(),
        "errors": [float(each) if np.isfinite(each) else None for each in found.error],
    }


def draw(picture, found, layer, channel_order="BGR"):
    """Draw the recovered filters, each in its own scale."""
    from cnnvis.core.drawing import Colours, draw_sheet

    largest = np.abs(found.filters).max(axis=(1, 2, 3), keepdims=True)
    filters = found.filters / np.where(largest > 0, largest, 1)
    unknown = np.flatnonzero(~found.determined)
    labels = [f"{n} ?" if n in unknown else n for n in range(len(filters))]
    options = {"title": f"Filters of {layer}, recovered from its outputs"}
    options["caption"] = _caption(found, layer, unknown)
    if filters.shape[1] == 3:
        from cnnvis.activations.grids import to_colours

        tiles = to_colours(filters, channel_order)
    else:
        tiles = filters.transpose(0, 2, 1, 3).reshape(len(filters), filters.shape[2], -1)
        options |= {"label": "weight", "colours": Colours("RdBu_r", -1, 1)}
    draw_sheet(picture, tiles, labels, **options)


def _caption(found, layer, unknown):
    known = found.determined
    kernel = found.filters.shape[2]
    text = (
        f"The {len(known)} filters of layer {layer}, {kernel} x {kernel} weights each, recovered "
        "from the layer's published outputs and their image by least squares. What the "
        f"{int(known.sum())} that are known leave is at most {found.residual[known].max():.1g} of "
        f"the outputs; their standard error is at most {found.error[known].max():.1g} of the "
        "filter. Each filter has its own scale: mid grey (or white) is 0."
    )
    if len(unknown):
        active = found.active[unknown]
        text += (
            f" A question mark: too few active positions, or too much alike ({active.min()} to "
            f"{active.max()} for {found.filters[0].size + 1} unknowns); shown is one of those "
            "that explain them."
        )
    return text
