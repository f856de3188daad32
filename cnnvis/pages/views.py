"""Any volumes as a page of one file, or within a notebook."""

import html
from numbers import Integral
from pathlib import Path

import numpy as np

from cnnvis.core.colours import encoded_tables
from cnnvis.core.errors import UserError, suggest
from cnnvis.core.files import atomic, read_json
from cnnvis.core.volume_files import tile_channels
from cnnvis.inputs.volumes import as_frames, read_volume
from cnnvis.pages.render import page_text
from cnnvis.pages.viewers import NATURAL, to_shares, viewer_spec, viewer_values


class View:
    """A page that shows volumes; Jupyter and marimo display it.

    Attributes
    ----------
    text : str
        The page, HTML that needs no other file.
    height : int
        In pixels, within a notebook.
    """

    def __init__(self, text, height=600):
        self.text, self.height = text, height

    def save(self, page):
        """Write the page to a file.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        with atomic(page) as temporary:
            temporary.write_text(self.text, encoding="utf-8")

    def _repr_html_(self):
        page, style = html.escape(self.text), f"width:100%;height:{self.height}px;border:0"
        return f'<iframe title="Volume" style="{style}" srcdoc="{page}"></iframe>'


def view(
    volumes,
    *,
    titles=None,
    orders=None,
    frames=False,
    colours=None,
    heading=None,
    array=None,
    weights=False,
    signed=None,
    height=600,
):
    """Make a page of volumes.

    Parameters
    ----------
    volumes : list of ndarray, str or Path
        Arrays as `cnnvis.inputs.volumes.as_frames` takes them, or files; of one shape.
    titles : list of str, optional
        One of each volume; by default the names of the files.
    orders : dict of str to list of int, or list of str or Path, optional
        Permutations of the filters (the slowest axis but frames), by name or as JSON files: a list,
        or what a run writes to ``orderings/``. Each is a panel beside that of the own order.
    frames : bool
        Whether the volumes are frames one after the other, rather than panels side by side.
    colours : str, optional
        The colour map the page opens with, of `cnnvis.core.colours`.
    heading : str, optional
        Of the page; by default the titles.
    array : str, optional
        Which array of ``.npz`` files.
    weights : bool
        Whether volumes are weights, (filters, channels, kh, kw), whose channels are shown as tiles.
    signed : bool, optional
        Whether colours are symmetric around zero; by default where a value is negative.
    height : int
        In pixels, within a notebook.

    Returns
    -------
    View

    Raises
    ------
    UserError
        If a file, shape, order or name is wrong.
    """
    arrays, titles = _read(volumes, titles, array, weights)
    orders = _orders(orders, arrays[0].shape[1])
    if colours is not None and colours not in encoded_tables():
        raise UserError(f"colours '{colours}': {suggest(colours, encoded_tables())}")
    names = _frame_names(arrays, titles, frames)
    panels = _panels([""] if frames else titles, orders)
    spec, voxels = _encode(np.concatenate(arrays), panels, signed)
    spec |= {"frames": names} | ({"colours": colours} if colours else {})
    heading = heading or ", ".join(titles)
    text = page_text(
        "viewer.html",
        kind="view",
        title=heading,
        quantity="value",
        trail=[],
        files=[],
        shape=arrays[0].shape[1:],
        **viewer_values(voxels, spec, heading[:80].replace("/", "-")),
    )
    return View(text, height)


def _read(volumes, titles, array, weights):
    """Return the volumes, (frames, depth, height, width) each, and their titles."""
    if not volumes:
        raise UserError("no volume; expected at least one array or file")
    names = [
        Path(volume).name if isinstance(volume, str | Path) else f"volume {index + 1}"
        for index, volume in enumerate(volumes)
    ]
    if titles is not None and len(titles) != len(volumes):
        raise UserError(f"titles: {len(titles)}, expected one of each of {len(volumes)} volumes")
    arrays = [
        _read_one(volume, name, array, weights) for volume, name in zip(volumes, names, strict=True)
    ]
    for name, values in zip(names, arrays, strict=True):
        if values.shape[1:] != arrays[0].shape[1:]:
            raise UserError(
                f"{name}: has shape {values.shape[1:]}, but {names[0]} {arrays[0].shape[1:]}; "
                "expected volumes of one shape"
            )
    return arrays, names if titles is None else list(titles)


def _read_one(volume, name, array, weights):
    if isinstance(volume, str | Path):
        values = read_volume(volume, array)
    else:
        values = as_frames(volume, name)
    return tile_channels(values)[np.newaxis] if weights else values


def _orders(orders, count):
    if not isinstance(orders, dict):
        orders = {Path(path).stem: (path, read_json(path)) for path in orders or ()}
    else:
        orders = {name: (f"order '{name}'", order) for name, order in orders.items()}
    return {name: _permutation(*order, count) for name, order in orders.items()}


def _permutation(what, order, count):
    order = order.get("permutation") if isinstance(order, dict) else order
    if not isinstance(order, list | tuple | np.ndarray) or not all(
        isinstance(number, Integral) for number in order
    ):
        raise UserError(f"{what}: expected a list of filters, or an object with a 'permutation'")
    if sorted(order) != list(range(count)):
        raise UserError(f"{what}: expected each of the filters 0 to {count - 1} once")
    return [int(number) for number in order]


def _frame_names(arrays, titles, frames):
    """Return the names of the frames, None where there is one."""
    counts = [len(array) for array in arrays]
    if frames:
        names = [
            title if count == 1 else f"{title} {frame}"
            for title, count in zip(titles, counts, strict=True)
            for frame in range(count)
        ]
    else:
        if len(set(counts)) > 1:
            raise UserError(f"volumes of {counts} frames: panels need the same number of frames")
        names = [f"frame {frame}" for frame in range(counts[0])]
    return names if len(names) > 1 else None


def _panels(titles, orders):
    panels = []
    for volume, title in enumerate(titles):
        for name, order in {None: None, **orders}.items():
            words = [title, name or (NATURAL if orders or not title else None)]
            text = " · ".join(word for word in words if word)
            panels.append({"title": text, "order": order, "volume": volume})
    return panels


def _encode(volume, panels, signed):
    """Return the spec and the voxels, bytes as they are, other values as shares of the largest."""
    shape = volume.shape[1:]
    if signed is None:
        signed = bool(volume.min() < 0)
    if volume.dtype == np.uint8 and not signed:
        return viewer_spec(panels, [0, 255], shape), volume
    voxels, largest = to_shares(volume.astype(np.float64))
    return viewer_spec(panels, [0.0, largest], shape, signed=signed), voxels
