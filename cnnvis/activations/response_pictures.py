"""Pictures of what filters respond to: patches of the strongest images, and their feature maps.

The images that are among the strongest of any filter are read once more. Of each, what the network
saw is kept as a picture; for each filter that it is strongest for, the patch in the receptive field
of the strongest position, and the feature map. Patches and maps stand in sheets, one row per
filter and one column per image, so that a page of hundreds of filters loads a few files.
"""

from functools import partial

import numpy as np
from PIL import Image

from cnnvis.activations.filters import read_weights, to_colours
from cnnvis.core.arrays import temporary_array
from cnnvis.core.files import atomic, safe_name
from cnnvis.core.progress import Progress
from cnnvis.engines.receptive_fields import receptive_fields
from cnnvis.inputs.images import read_image

PATCH = 72
"""Pixels of a patch's side."""
MAP = 128
"""Pixels of a feature map's longer side, at most."""
ROWS = 32
"""Filters in a sheet."""
OUTSIDE = (128, 128, 128)
"""The colour of what lies beyond the image."""
BATCH = 16


def sheet_count(filters):
    """Return how many sheets a layer has."""
    return -(-filters // ROWS)


def number_pictures(summaries):
    """Give each image that is among the strongest its picture.

    Parameters
    ----------
    summaries : list of dict
        Of `cnnvis.activations.responses.summarise`. Each entry of ``top`` gets ``picture``, the
        number of what the network saw of its image.

    Returns
    -------
    list of str
        The images, by number.
    """
    tops = [entry for summary in summaries for each in summary["filters"] for entry in each["top"]]
    images = sorted({entry["image"] for entry in tops})
    numbers = {image: number for number, image in enumerate(images)}
    for entry in tops:
        entry["picture"] = numbers[entry["image"]]
    return images


def draw_responses(files, model, network, preprocessing, summaries, images):
    """Draw the patches and the feature maps of the strongest images.

    Parameters
    ----------
    files : Places
        Of the network. Written are ``response picture`` of each image; for each layer and sheet
        ``response patches`` and ``response maps``; and of a layer over three colours ``response
        filters``, the weights.
    model : cnnvis.engines.model.Model
    network : cnnvis.engines.base.Engine
        The model, open.
    preprocessing : cnnvis.inputs.images.Preprocessing
    summaries : dict of str to dict
        By layer, see `number_pictures`.
    images : list of str
        Of `number_pictures`.

    Raises
    ------
    UserError
        If an image cannot be read any more.
    """
    sheets = {layer: Sheets(model, layer, summary) for layer, summary in summaries.items()}
    blobs = [sheet.blob for sheet in sheets.values()]
    with Progress("pictures", len(images)) as progress:
        for first in range(0, len(images), BATCH):
            part = images[first : first + BATCH]
            originals = [read_image(image, preprocessing.shape[0]) for image in part]
            inputs = np.stack([preprocessing.apply(original) for original in originals])
            maps = network.forward(inputs, blobs)
            for index, original in enumerate(originals):
                seen = preprocessing.undo(inputs[index])
                _write(files("response picture", picture=f"{first + index:05}"), seen, quality=85)
                for sheet in sheets.values():
                    sheet.add(first + index, original, seen, maps[sheet.blob][index])
            progress.add(len(part))
    for sheet in sheets.values():
        sheet.write(files)
    coloured = [layer for layer in sheets if has_colours(model.info.layers_with_weights[layer])]
    for layer, weights in read_weights(model, coloured).items() if coloured else ():
        pixels = np.rint(to_colours(weights, preprocessing.channel_order) * 255)
        column = Image.fromarray(side_by_side(pixels.astype(np.uint8)[:, np.newaxis]))
        # A WebP has at most 16,383 rows, too few for thousands of filters.
        with atomic(files("response filters", layer=safe_name(layer))) as temporary:
            column.save(temporary, "PNG", optimize=True)


def has_colours(shape):
    """Return whether the filters of a layer, by its weights' shape, are coloured pictures."""
    return len(shape) == 4 and shape[1] == 3


class Sheets:
    """The sheets of one layer.

    Parameters
    ----------
    model : cnnvis.engines.model.Model
    layer : str
    summary : dict
        See `number_pictures`.
    """

    def __init__(self, model, layer, summary):
        filters, height, width = model.info.convolutions[layer].shape
        self.layer, self.blob = layer, summary["blob"]
        self.step = -(-max(height, width) // MAP)
        self.box = boxes_of(model, self.blob)
        columns = max(len(each["top"]) for each in summary["filters"])
        tall, wide = -(-height // self.step), -(-width // self.step)
        # Layers may be many: their sheets are not in memory.
        self.patches = temporary_array(np.uint8, (filters, columns, PATCH, PATCH, 3))
        self.maps = temporary_array(np.uint8, (filters, columns, tall, wide))
        self.places = {}
        for filter_, each in enumerate(summary["filters"]):
            for column, entry in enumerate(each["top"]):
                self.places.setdefault(entry["picture"], []).append((filter_, column, entry))

    def add(self, picture, original, seen, maps):
        """Add an image to all filters that it is among the strongest of.

        Parameters
        ----------
        picture : int
        original : ndarray of float32, (height, width, channels)
            In [0, 1].
        seen : ndarray of uint8, (height, width[, 3])
            The network's input as a picture.
        maps : ndarray, (filters, height, width)
        """
        shown = to_pixels(original, seen)
        for filter_, column, entry in self.places.get(picture, []):
            box = self.box(entry["y"], entry["x"])
            self.patches[filter_, column] = cut(shown, box, seen.shape[:2])
            self.maps[filter_, column] = to_grey(maps[filter_], self.step)

    def write(self, files):
        """Write the sheets."""
        for number in range(sheet_count(len(self.patches))):
            rows = slice(number * ROWS, (number + 1) * ROWS)
            where = {"layer": safe_name(self.layer), "sheet": f"{number:03}"}
            _write(files("response patches", **where), side_by_side(self.patches[rows]), quality=80)
            _write(files("response maps", **where), side_by_side(self.maps[rows]), lossless=True)


def boxes_of(model, blob):
    """Return the function that gives the receptive field of a position (y, x) of a blob.

    It is not clipped, so that all patches show the same distance in the same size; but where the
    layer has no one stride, it is.
    """
    field = receptive_fields(model.graph)[model.graph.value(blob)]
    return field.box if field.refusal else partial(field.box, clipped=False)


def to_pixels(original, seen):
    """Return the picture that patches are cut from: the original if it has more pixels.

    Parameters
    ----------
    original : ndarray of float32, (height, width, channels)
    seen : ndarray of uint8, (height, width[, 3])

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    if min(original.shape[0] / seen.shape[0], original.shape[1] / seen.shape[1]) <= 1:
        return Image.fromarray(seen).convert("RGB")
    pixels = np.rint(np.clip(original, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels).convert(
        "RGB"
    )


def cut(picture, box, size):
    """Cut a patch out of a picture, whole, with grey beyond its border.

    Parameters
    ----------
    picture : PIL.Image.Image
    box : cnnvis.engines.receptive_fields.Box
        In pixels of the network's input.
    size : tuple of int
        (height, width) of that input.

    Returns
    -------
    ndarray of uint8, (`PATCH`, `PATCH`, 3)
        The longer side of the box fills it.
    """
    scale = PATCH / max(box.bottom - box.top, box.right - box.left)
    top, left = max(box.top, 0), max(box.left, 0)
    bottom, right = min(box.bottom, size[0]), min(box.right, size[1])
    patch = Image.new("RGB", (PATCH, PATCH), OUTSIDE)
    if top < bottom and left < right:
        down, across = picture.height / size[0], picture.width / size[1]
        wide, tall = (max(1, round(n * scale)) for n in (right - left, bottom - top))
        inside = (left * across, top * down, right * across, bottom * down)
        shrunk = picture.resize((wide, tall), Image.Resampling.BICUBIC, inside)
        patch.paste(shrunk, (round((left - box.left) * scale), round((top - box.top) * scale)))
    return np.asarray(patch)


def to_grey(values, step):
    """Return a feature map as grey levels, black at 0 (or below), white at its maximum.

    Parameters
    ----------
    values : ndarray, (height, width)
    step : int
        So many values each way become one, their maximum.

    Returns
    -------
    ndarray of uint8
    """
    height, width = values.shape
    tall, wide = -(-height // step), -(-width // step)
    padded = np.zeros((tall * step, wide * step))
    padded[:height, :width] = np.maximum(values, 0)
    padded = padded.reshape(tall, step, wide, step).max(axis=(1, 3))
    return np.rint(padded * (255 / (padded.max() or 1))).astype(np.uint8)


def side_by_side(tiles):
    """Return (rows, columns, height, width, ...) as one picture."""
    rows, columns, height, width, *colours = tiles.shape
    return tiles.swapaxes(1, 2).reshape(rows * height, columns * width, *colours)


def _write(path, pixels, **options):
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, "WEBP", method=4, **options)
