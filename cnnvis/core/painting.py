"""Pictures of arrays with titles, scales and captions, painted with Pillow.

Importing matplotlib takes longer than painting all pictures of a layer; figures of plots with axes
are `cnnvis.core.drawing`'s. Every value covers a whole number of pixels: resampled activations show
patterns that are not in the network.
"""

import functools
import importlib.util
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from cnnvis.core.colours import GREY, INK, LIGHT_GREY
from cnnvis.core.files import atomic

MARGIN = 24
TITLE_ROOM = 52
BAR_ROOM = 110
BAR_WIDTH = 14
# Height of the arrow head of a colour bar.
TIP = 12
LINE = 19
# Pixels a letter is high: of titles, labels, the numbers of axes, and the numbers of tiles.
TITLE_SIZE, TEXT_SIZE, TICK_SIZE, NUMBER_SIZE = 18, 13, 12, 12
SMALLEST_TITLE = 11
# The colour of tiles that have nothing to show.
NOTHING = "#f0f0f0"


@functools.cache
def font(size, bold=False):
    """Return DejaVu Sans, which matplotlib ships, `size` pixels high."""
    folder = Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data/fonts/ttf"
    path = folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


class Page:
    """White paper with a title, on which tiles, scales and text are painted.

    Places are pixels from the top left corner.

    Parameters
    ----------
    width, height : int
        Without the caption, for which the page grows.
    title : str
    colours : Colours, optional
        Of everything on the page but text, and of the colour bar. Where they are greys, so is the
        PNG, which makes it smaller and faster to write than one in true colour.

    Attributes
    ----------
    image : PIL.Image.Image
        In true colour.
    draw : PIL.ImageDraw.ImageDraw
        Draws lines and rectangles on it.
    """

    def __init__(self, width, height, title, colours=None):
        length = max(1, font(TITLE_SIZE, bold=True).getlength(title)) / TITLE_SIZE
        size = max(SMALLEST_TITLE, min(TITLE_SIZE, math.floor((width - 2 * MARGIN) / length)))
        width = max(width, math.ceil(size * length) + 2 * MARGIN)
        self.colours, self.grey = colours, colours is not None and colours.name == "gray"
        self.image = Image.new("RGB", (width, height), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.write((MARGIN, 14), title, size, INK, "la", bold=True)

    def paste(self, pixels, left, top):
        """Put pixels on the page, uint8, grey or RGB."""
        self.image.paste(Image.fromarray(pixels), (left, top))

    def write(self, place, text, size=TEXT_SIZE, colour=GREY, anchor="ls", bold=False):
        """Write a line of text at (left, top), anchored as Pillow calls it ("ls": at its start)."""
        self.draw.text(place, text, colour, font(size, bold), anchor)

    def write_upwards(self, left, middle, text, size=TEXT_SIZE):
        """Write a line of text from below upwards; `left` is where its letters' tops are."""
        width = math.ceil(font(size).getlength(text))
        line = Image.new("RGB", (width, LINE), "white")
        ImageDraw.Draw(line).text((0, 0), text, GREY, font(size), "la")
        self.image.paste(line.transpose(Image.Transpose.ROTATE_90), (left, middle - width // 2))

    def write_numbers(self, corners, numbers, left, top):
        """Write a number above each tile of a `montage` at (left, top)."""
        for (down, across), number in zip(corners, numbers, strict=True):
            self.write((left + across, top + down - 3), str(number), NUMBER_SIZE)

    def cross_out(self, left, top, width, height):
        """Cross a tile out: a light field with both diagonals, which no picture is taken for."""
        right, bottom = left + width - 1, top + height - 1
        self.draw.rectangle((left, top, right, bottom), NOTHING, LIGHT_GREY)
        self.draw.line((left, top, right, bottom), LIGHT_GREY)
        self.draw.line((left, bottom, right, top), LIGHT_GREY)

    def left_axis(self, left, top, height, ticks, label):
        """Write the numbers and the label left of a picture.

        Parameters
        ----------
        left, top, height : int
            Of the picture.
        ticks : list of (float, str)
            Pixels from the picture's top, and what is written there.
        label : str
        """
        for place, name in ticks:
            middle = top + round(place)
            self.draw.line(((left - 5, middle), (left - 1, middle)), GREY)
            self.write((left - 8, middle), name, TICK_SIZE, anchor="rm")
        widest = max((font(TICK_SIZE).getlength(name) for _, name in ticks), default=0)
        self.write_upwards(left - 12 - math.ceil(widest) - LINE, top + height // 2, label)

    def lower_axis(self, left, top, width, ticks, label):
        """Write the numbers and the label below a picture whose lower edge is `top`."""
        for place, name in ticks:
            middle = left + round(place)
            self.draw.line(((middle, top), (middle, top + 4)), GREY)
            self.write((middle, top + 7), name, TICK_SIZE, anchor="ma")
        self.write((left + width // 2, top + 25), label, anchor="ma")

    def colour_bar(self, left, top, height, label, colours=None):
        """Draw a colour scale with its numbers and its label, `BAR_ROOM` pixels wide in all.

        An end beyond which values lie is an arrow head. A label longer than the scale begins at its
        top, and the page grows for it.
        """
        colours = colours or self.colours
        low, high = colours.low, colours.high
        shares = np.linspace(1, 0, height)[:, np.newaxis].repeat(BAR_WIDTH, axis=1)
        values = low + (high - low) * shares ** (1 / colours.gamma)
        right, bottom, middle = left + BAR_WIDTH - 1, top + height - 1, left + BAR_WIDTH // 2
        highest = top - TIP * (colours.extend in ("max", "both"))
        lowest = bottom + TIP * (colours.extend in ("min", "both"))
        over = [(left, top), (middle, highest), (right, top)]
        under = [(right, bottom), (middle, lowest), (left, bottom)]
        self.paste(colours.pixels(values), left, top)
        self.draw.polygon(over, self.image.getpixel(over[0]))
        self.draw.polygon(under, self.image.getpixel(under[-1]))
        self.draw.line((*over, *under, over[0]), LIGHT_GREY)
        names = [(value, number(value)) for value in ticks(low, high, height // 32)]
        for value, name in names:
            share = ((value - low) / (high - low)) ** colours.gamma
            place = top + round((1 - share) * (height - 1))
            self.draw.line(((right + 1, place), (right + 5, place)), GREY)
            self.write((right + 9, place), name, TICK_SIZE, anchor="lm")
        widest = max(font(TICK_SIZE).getlength(name) for _, name in names)
        length = max(height, math.ceil(font(TEXT_SIZE).getlength(label)))
        self._grow(top + length)
        self.write_upwards(right + 14 + math.ceil(widest), top + length // 2, label)

    def save(self, path, caption):
        """Write the page as PNG, with a caption under it and in the file's metadata."""
        self.add_caption(caption)
        # Of true colours, zlib's higher levels take much longer and save little.
        picture, level = (self.image.convert("L"), 3) if self.grey else (self.image, 1)
        description = PngImagePlugin.PngInfo()
        description.add_text("Description", caption)
        with atomic(path) as temporary:
            picture.save(temporary, "PNG", pnginfo=description, compress_level=level)

    def add_caption(self, caption):
        """Let the page grow by a caption under everything else."""
        lines = wrap(caption, self.image.width - 2 * MARGIN)
        height = self.image.height
        self._grow(height + LINE * len(lines) + 36)
        for index, line in enumerate(lines):
            self.write((MARGIN, height + LINE * (index + 1) + 5), line)

    def _grow(self, height):
        """Let the page be `height` pixels high, unless it is higher."""
        if height > self.image.height:
            grown = Image.new("RGB", (self.image.width, height), "white")
            grown.paste(self.image)
            self.image, self.draw = grown, ImageDraw.Draw(grown)


def ticks(low, high, most):
    """Return at most about `most` round numbers between `low` and `high`, at least one.

    >>> ticks(0, 8.55, 5), ticks(-3.5, 3.5, 10)
    ([0, 2, 4, 6, 8], [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    """
    least = (high - low) / max(2, most)
    power = 10 ** math.floor(math.log10(least))
    step = next((power * times for times in (1, 2, 2.5, 5) if power * times >= least), 10 * power)
    return [step * place for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def whole_ticks(count):
    """Return about ten evenly spaced whole numbers below `count`, from 0."""
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    return list(range(0, count, next((step for step in steps if count / step <= 12), 2000)))


def cell_ticks(names, size):
    """Return ``[(middle, name)]`` of about ten of the cells of an axis, each `size` pixels.

    >>> cell_ticks(["a", "b"], 10)
    [(5.0, 'a'), (15.0, 'b')]
    """
    return [((place + 0.5) * size, str(names[place])) for place in whole_ticks(len(names))]


def number(value):
    """Return a number as it is written on an axis.

    >>> number(-0.5), number(250.0), number(2e-05)
    ('−0.5', '250', '2e−05')
    """
    return f"{value:.6g}".replace("-", "−")


def wrap(text, width):
    """Break a text into lines of at most `width` pixels, at spaces."""
    length = functools.cache(font(TEXT_SIZE).getlength)
    lines, room = [[]], width
    for word in text.split():
        if lines[-1] and length(word) > room:
            lines.append([])
            room = width
        lines[-1].append(word)
        room -= length(word) + length(" ")
    return [" ".join(line) for line in lines if line]


def shorten(text, length):
    """Return `text`, its end replaced by an ellipsis where it is longer than `length`."""
    return text if len(text) <= length else text[: length - 1] + "…"
