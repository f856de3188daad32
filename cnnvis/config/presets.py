"""Presets of activation maximisation: by which steps it climbs, and what keeps it from noise.

`PRESETS` has the four that the Deep Visualization Toolbox publishes, with its numbers
(doc/running-optimize-image.md; J. Yosinski, J. Clune, A. Nguyen, T. Fuchs and H. Lipson 2015,
"Understanding Neural Networks Through Deep Visualization", table 1).
"""

from dataclasses import dataclass

PLAIN = ("rate", "relative")
REGULARISERS = ("decay", "blur_width", "blur_every", "small_norms", "small_contributions")
RULES = {
    "constant": (*PLAIN, *REGULARISERS),
    "progress": (*PLAIN, "progress", *REGULARISERS),
    "adam": ("rate", "jitter"),
    "trust": ("radius",),
}
"""What belongs to each rule of a step, beside the number of steps and the parametrisation."""
OF_PIXELS = (*REGULARISERS, "radius")
"""What belongs to the parametrisation by pixels only."""


@dataclass(frozen=True)
class Preset:
    """How to maximise an activation.

    Attributes
    ----------
    rule : {"constant", "progress", "adam", "trust"}
        How long a step is. "constant": `rate` times the gradient. "progress": as long as should
        raise the score by `progress` if it were linear, at most `rate` times the gradient. "adam":
        Kingma and Ba's, with `rate`. "trust": steps that would lower the score are not taken, but
        shortened; of a picture in the parametrisation's own bounds the score never falls.
    steps : int
        How often the gradient is computed; "trust" may end earlier.
    parametrisation : {"pixels", "fourier"}
    rate, progress : float
        See `rule`.
    relative : bool
        Whether the rate is that of a first gradient whose norm were 1, over as many values as
        CaffeNet's input has, so that a rate of 100 changes them by 0.25 grey levels at first (root
        mean square). The toolbox's rates, which are factors of the gradient itself, suit CaffeNet's
        scores; the gradients of other networks and layers are much smaller or larger.
    decay : float
        The share of every pixel that each step takes away.
    blur_width, blur_every : float, int
        The standard deviation in pixels of a Gaussian blur, and after how many steps it is applied.
    small_norms, small_contributions : float
        Which per cent of the pixels each step sets to the mean: those with the smallest norms over
        their channels; those that contribute least to the score, to first order, either way.
    radius : float
        Root mean square in grey levels over the receptive field that a picture is kept below.
    jitter : int
        By how many pixels at most the picture is moved at random, before each step.
    """

    rule: str
    steps: int
    parametrisation: str = "pixels"
    rate: float = 0.0
    progress: float = 0.0
    relative: bool = True
    decay: float = 0.0
    blur_width: float = 0.0
    blur_every: int = 0
    small_norms: float = 0.0
    small_contributions: float = 0.0
    radius: float = 0.0
    jitter: int = 0

    def own(self):
        """Return the names of what belongs to its rule and its parametrisation."""
        other = OF_PIXELS if self.parametrisation != "pixels" else ()
        return ("steps", *(name for name in RULES[self.rule] if name not in other))

    def numbers(self):
        """Return all that is its own, as a dict."""
        names = ("rule", "parametrisation", *self.own())
        return {name: getattr(self, name) for name in names}


PRESETS = {
    "small_norms": Preset(
        "progress", 500, rate=100, progress=2, blur_width=0.5, blur_every=4, small_norms=50
    ),
    "decay": Preset("constant", 750, rate=100, decay=0.3, small_norms=20),
    "blur": Preset("constant", 1000, rate=100, decay=0.0001, blur_width=1, blur_every=4),
    "small_contributions": Preset(
        "progress", 1000, rate=1e8, progress=2, blur_width=0.5, blur_every=4, small_contributions=90
    ),
    # The defaults of the toolbox's optimiser (optimize/gradient_optimizer.py), which the study has.
    "study": Preset("constant", 300, rate=10, decay=0.01),
    # Lucid's defaults (optvis/render.py), but moved around the border, not cropped.
    "fourier": Preset("adam", 512, "fourier", rate=0.05, jitter=8),
    "trust": Preset("trust", 100, radius=25),
}
"""The presets by name, the toolbox's four first, in the order of its table."""
