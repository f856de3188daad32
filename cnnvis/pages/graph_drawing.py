"""Where the layers of a network lie in the drawing of its graph.

The drawing reads like text, from left to right, and breaks its lines where a browser needs it: it
consists of blocks, each with one way in and one way out, at half its height::

    --[conv1]--  --[pool1]--  --+--[expand1x1]--+--  --[concat]--
                                +--[expand3x3]--+

A layer in place is drawn with the layer that it overwrites, and the Split layers that Caffe inserts
are lines.
"""

from dataclasses import dataclass

# Pixels: the size of a layer, the room between columns and between rows.
WIDTH, HEIGHT, GAP, ROOM = 180, 100, 34, 14


@dataclass(eq=False)
class Box:
    """A layer of the drawing with those that overwrite its output.

    Attributes
    ----------
    nodes : list of cnnvis.engines.numpy.graph.Node
        None for an input of the network.
    value : int or None
        The number of the last value that it writes; of several, the first.
    sources : list of Box
        Where it reads from.
    rank, lane : int
        Its column and its row in its block.
    """

    nodes: list
    value: int | None
    sources: list
    rank: int = 0
    lane: int = 0

    @property
    def corner(self):
        """(left, top) in its block, in pixels."""
        return GAP // 2 + self.rank * (WIDTH + GAP), self.lane * (HEIGHT + ROOM)

    @property
    def middle(self):
        """The height at which its connections begin and end."""
        return self.corner[1] + HEIGHT / 2


@dataclass
class Block:
    """A part of the graph with one way in and one way out.

    Attributes
    ----------
    boxes : list of Box
    width, height : int
        In pixels, from the upper left corner of the first row.
    around : int
        How many pixels more it is high above that, and below.
    lines : list of str
        SVG paths of its connections.
    """

    boxes: list
    width: int
    height: int
    around: int
    lines: list


def lay_out(graph):
    """Return the drawing of a `cnnvis.engines.numpy.graph.Graph` as a list of `Block`."""
    boxes = _boxes(graph)
    readers = dict.fromkeys(boxes, -1)
    for index, box in enumerate(boxes):
        readers.update(dict.fromkeys(box.sources, index))
    blocks, entering = [], set()
    for start, stop, leaving in _parts(boxes, readers):
        _place(boxes[start:stop], readers, stop)
        blocks.append(_block(boxes[start:stop], entering, leaving))
        entering = leaving
    return blocks


def _boxes(graph):
    """Return the layers in the order of the prototxt, each with what is in place on it."""
    owner = {value: Box([], value, []) for value in graph.input_values}
    boxes = list(owner.values())
    for node in graph.nodes:
        sources = list(dict.fromkeys(owner[value] for value in node.bottoms))
        if node.layer.name.endswith("_split"):
            box = sources[0]
        elif node.in_place and len(sources) == 1 and sources[0].nodes:
            box = sources[0]
            box.nodes.append(node)
            box.value = node.tops[0]
        else:
            box = Box([node], next(iter(node.tops), None), sources)
            boxes.append(box)
        owner |= dict.fromkeys(node.tops, box)
    return boxes


def _parts(boxes, readers):
    """Yield ``(start, stop, leaving)``: the layers between places that at most one value passes.

    `leaving` is the set of boxes before `stop` that later ones read. A layer that joins branches is
    a part of its own, and so is each layer of a chain.
    """
    start, leaving = 0, set()
    for stop, box in enumerate(boxes, 1):
        ending = {source for source in box.sources if readers[source] < stop}
        leaving -= ending
        if len(leaving) + (readers[box] >= stop) <= 1:
            if stop - start > 1 and len(box.sources) > 1:
                yield start, stop - 1, leaving | ending
                start = stop - 1
            yield start, stop, leaving | ({box} if readers[box] >= stop else set())
            start = stop
        if readers[box] >= stop:
            leaving.add(box)


def _place(boxes, readers, stop):
    """Give each box of a block its column, and a row in which its output stays until it is read."""
    free, members = [], set(boxes)  # of each row, the first column that is not taken
    for index, box in enumerate(boxes, stop - len(boxes)):
        inside = [source for source in box.sources if source in members]
        box.rank = 1 + max((source.rank for source in inside), default=-1)
        rows = [source.lane for source in inside if readers[source] == index]
        for row in rows:
            free[row] = box.rank
        rows += [lane for lane, column in enumerate(free) if column <= box.rank]
        box.lane = rows[0] if rows else len(free)
        free += [0] * (box.lane == len(free))
        free[box.lane] = len(boxes) if readers[box] > index else box.rank + 1


def _block(boxes, entering, leaving):
    width = (1 + max(box.rank for box in boxes)) * (WIDTH + GAP)
    height = (1 + max(box.lane for box in boxes)) * (HEIGHT + ROOM) - ROOM
    # What passes the layers by is a line below them; so that the middle stays, there is room above.
    around = ROOM + 10 if len(boxes) > 1 and entering & leaving else 0
    port, lines, members = height / 2, [], set(boxes)
    for box in boxes:
        left, middle = box.corner[0], box.middle
        for source in box.sources:
            if source in members:
                start = source.corner[0] + WIDTH
                lines.append(
                    _path((start, source.middle), (left - GAP, source.middle), (left, middle))
                )
            else:
                lines.append(_path((0, port), (GAP / 2, middle), (left, middle)))
        if box in leaving:
            end = width - GAP / 2
            lines.append(_path((left + WIDTH, middle), (end, middle), (width, port)))
    if around:
        below = height + around - 6
        lines.append(
            _path((0, port), (WIDTH / 2, below), (width - WIDTH / 2, below), (width, port))
        )
    return Block(boxes, width, height, around, list(dict.fromkeys(lines)))


def _path(*points):
    """Return a line through points as an SVG path: level, and with level ends where it climbs."""
    (x, y), *others = points
    text = f"M{x:g} {y:g}"
    for right, down in others:
        half = (x + right) / 2
        text += (
            f"H{right:g}" if down == y else f"C{half:g} {y:g} {half:g} {down:g} {right:g} {down:g}"
        )
        x, y = right, down
    return text
