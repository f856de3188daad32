"""Gradient ascent on functions with known maxima, and each step against a direct form of it."""

from dataclasses import replace

import numpy as np
import pytest

from cnnvis.config.presets import PRESETS, Preset
from cnnvis.gradients.maximisation import maximise, regularise
from cnnvis.gradients.parametrisations import Fourier, Pixels

SHAPE = (3, 10, 9)
LOW = np.full(SHAPE, -110.0)
HIGH = LOW + 255
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=SHAPE)


def linear(pictures, which):
    """Return the sum of each picture weighted, for picture 1 with other weights than for 0."""
    signs = np.where(np.asarray(which) % 2, -1.0, 1.0)[:, None, None, None]
    return (signs * WEIGHTS * pictures).sum(axis=(1, 2, 3)), signs * WEIGHTS + 0 * pictures


def curved(pictures, which):
    """Return a score with a maximum far from the start, and valleys between."""
    waves = np.sin(pictures / 20)
    scores = (WEIGHTS * pictures / 50 + waves).sum(axis=(1, 2, 3))
    return scores, WEIGHTS / 50 + np.cos(pictures / 20) / 20


def cosine(a, b):
    return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)


def recorded(objective):
    """Return the objective and a list that its scores are added to, call by call."""
    calls = []

    def record(pictures, which):
        scores, gradients = objective(pictures, which)
        calls.append(dict(zip(map(int, which), scores, strict=True)))
        return scores, gradients

    return record, calls


def test_under_a_ball_a_linear_score_is_highest_for_its_weights():
    maxima = maximise(linear, Preset("trust", 50, radius=20), LOW, HIGH, [0, 1])
    for sign, picture, score in zip((1, -1), maxima.pictures, maxima.scores, strict=True):
        assert cosine(sign * WEIGHTS, picture) > 0.9999
        assert score == pytest.approx(20 * np.sqrt(WEIGHTS.size) * np.linalg.norm(WEIGHTS), 1e-4)
    assert max(maxima.steps) < 50


def test_without_a_ball_every_pixel_goes_to_the_end_of_its_range():
    maxima = maximise(linear, Preset("trust", 60), LOW, HIGH, [0])
    expected = np.where(WEIGHTS > 0, HIGH, LOW)
    assert maxima.scores[0] == pytest.approx((WEIGHTS * expected).sum(), rel=1e-3)


@pytest.mark.parametrize("parametrisation", ["pixels", "fourier"])
def test_the_score_never_falls_under_the_trust_rule(parametrisation):
    objective, calls = recorded(curved)
    preset = Preset("trust", 40, parametrisation, radius=30)
    kept = [-np.inf, -np.inf]
    maxima = maximise(objective, preset, LOW, HIGH, [0, 1])
    rejected = 0
    for scores in calls[:-1]:
        for picture, score in scores.items():
            rejected += score < kept[picture]
            kept[picture] = max(kept[picture], score)
    # Scores were tried that are lower; the last picture of all has the highest score of all.
    assert rejected > 0
    assert maxima.scores.tolist() == kept
    assert (maxima.scores > maxima.first).all()


def test_a_step_that_would_lower_the_score_leaves_the_picture_as_it_is():
    seen = []

    def peak(pictures, which):
        seen.append(pictures[0].copy())
        return -np.abs(pictures).sum(axis=(1, 2, 3)), -np.sign(pictures) * 1e6

    maxima = maximise(peak, Preset("trust", 6), LOW, HIGH, [0])
    scores = [-np.abs(picture).sum() for picture in seen]
    assert maxima.scores[0] == max(scores)
    assert np.array_equal(maxima.pictures[0], seen[int(np.argmax(scores))])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_goes_up(name):
    """The sign: a picture that raises the score by its gradient has a higher score when asked."""
    blob = np.exp(-((np.arange(30)[:, None] - 14) ** 2 + (np.arange(30) - 16) ** 2) / 30)
    weights, low = np.stack([blob, blob, -blob]) / 100, np.full((3, 30, 30), -110.0)

    def score(pictures, which):
        signs = np.array([1, -1])[which, None, None, None]
        return (signs * weights * pictures).sum(axis=(1, 2, 3)), signs * weights + 0 * pictures

    preset = replace(PRESETS[name], steps=60, jitter=min(PRESETS[name].jitter, 2))
    maxima = maximise(score, preset, low, low + 255, [0, 1])
    again, _ = score(maxima.pictures, np.arange(2))
    assert again.tolist() == maxima.scores.tolist()
    assert (again > maxima.first + 1).all()
    for sign, picture in zip((1, -1), maxima.pictures, strict=True):
        assert cosine(sign * weights, picture) > 0.15


@pytest.mark.parametrize("parametrisation", ["pixels", "fourier"])
@pytest.mark.parametrize(
    "preset",
    [
        Preset("constant", 30, rate=30),
        Preset("progress", 30, rate=1000, progress=5),
        Preset("adam", 30, rate=0.05),
        Preset("trust", 30),
    ],
    ids=lambda preset: preset.rule,
)
def test_every_rule_goes_up_in_either_parametrisation(preset, parametrisation):
    preset = replace(preset, parametrisation=parametrisation)
    maxima = maximise(curved, preset, LOW, HIGH, [0, 1])
    assert (maxima.scores > maxima.first + 5).all()


@pytest.mark.parametrize("name", PRESETS)
def test_pictures_depend_on_their_seed_alone(name):
    preset = replace(PRESETS[name], steps=12)
    several = maximise(curved, preset, LOW, HIGH, [4, 5, 4]).pictures
    alone = maximise(curved, preset, LOW, HIGH, [5]).pictures
    assert np.array_equal(several[1], alone[0])
    assert np.array_equal(several[0], several[2])
    assert not np.array_equal(several[0], several[1])


def test_pictures_stay_in_their_range():
    for name in PRESETS:
        pictures = maximise(linear, replace(PRESETS[name], steps=40), LOW, HIGH, [0]).pictures
        assert pictures.min() >= -110
        assert pictures.max() <= 145


def test_where_nothing_has_an_effect_the_search_ends():
    def flat(pictures, which):
        return np.zeros(len(pictures)), np.zeros_like(pictures)

    for name in ("blur", "small_norms", "trust"):
        assert maximise(flat, PRESETS[name], LOW, HIGH, [0]).steps.tolist() == [1]


def toolbox(gradient_of, start, preset):
    """Take the toolbox's steps as its optimizer does, for one picture, in plain arithmetic."""
    from scipy.ndimage import gaussian_filter

    x = start.copy()
    for number in range(preset.steps):
        x = np.minimum(255.0, np.maximum(0.0, x - LOW)) + LOW
        gradient = gradient_of(x)
        if number == preset.steps - 1:
            return x
        rate = preset.rate
        if preset.rule == "progress":
            rate = min(rate, preset.progress / np.linalg.norm(gradient) ** 2)
        x = (x + rate * gradient) * (1 - preset.decay)
        if preset.blur_every and number % preset.blur_every == 0:
            x = np.stack([gaussian_filter(channel, preset.blur_width) for channel in x])
        if preset.small_norms:
            norms = np.linalg.norm(x, axis=0)
            x = x - x * (norms < np.percentile(norms, preset.small_norms))
        if preset.small_contributions:
            benefit = np.abs((gradient * -x).sum(axis=0))
            x = x - x * (benefit < np.percentile(benefit, preset.small_contributions))
    return x


@pytest.mark.parametrize("name", ["small_norms", "decay", "blur", "small_contributions", "study"])
def test_steps_are_the_toolbox_s(name):
    """Its last picture, for a score that rises so steeply that the last one is the best."""
    preset = replace(PRESETS[name], steps=9, relative=False)
    calls = []

    def counted(pictures, which):
        calls.append(pictures[0].copy())
        return np.array([float(len(calls))]), curved(pictures, which)[1]

    found = maximise(counted, preset, LOW, HIGH, [3]).pictures[0]
    start = np.random.RandomState(3).normal(0, 10, SHAPE)
    expected = toolbox(lambda x: curved(x[None], [0])[1][0], start, preset)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)


def test_the_published_presets_have_the_published_numbers():
    columns = ("decay", "blur_width", "blur_every", "small_norms", "small_contributions")
    table = {name: [getattr(preset, each) for each in columns] for name, preset in PRESETS.items()}
    # Table 1 of Yosinski et al. 2015; steps and rates from the toolbox's documentation.
    assert list(table.items())[:4] == [
        ("small_norms", [0, 0.5, 4, 50, 0]),
        ("decay", [0.3, 0, 0, 20, 0]),
        ("blur", [0.0001, 1.0, 4, 0, 0]),
        ("small_contributions", [0, 0.5, 4, 0, 90]),
    ]
    numbers = [(p.rule, p.rate, p.progress, p.steps) for p in list(PRESETS.values())[:4]]
    assert numbers == [
        ("progress", 100, 2, 500),
        ("constant", 100, 0, 750),
        ("constant", 100, 0, 1000),
        ("progress", 1e8, 2, 1000),
    ]


def test_regularisers_by_hand():
    pixels = np.array([[[4.0, 1.0], [2.0, 3.0]]])[None]
    gradient = np.array([[[0.0, 9.0], [2.0, 1.0]]])[None]
    halved = regularise(pixels, gradient, Preset("constant", 1, decay=0.5), 0)
    assert halved.tolist() == [[[[2, 0.5], [1, 1.5]]]]
    # The median of the norms is 2.5, of the contributions 0, 9, 4 and 3 it is 3.5.
    norms = regularise(pixels, gradient, Preset("constant", 1, small_norms=50), 0)
    assert norms.tolist() == [[[[4, 0], [0, 3]]]]
    kept = regularise(pixels, gradient, Preset("constant", 1, small_contributions=50), 0)
    assert kept.tolist() == [[[[0, 1], [2, 0]]]]
    blur = Preset("constant", 1, blur_width=1, blur_every=4)
    assert np.ptp(regularise(pixels, gradient, blur, 4)) < 3
    assert np.array_equal(regularise(pixels, gradient, blur, 5), pixels)


def test_a_relative_rate_makes_the_first_step_as_long_for_any_gradient():
    preset = Preset("constant", 2, rate=100)
    start = np.random.RandomState(0).normal(0, 10, SHAPE)
    for scale in (1e-4, 1, 1e3):
        calls = []

        def scaled(pictures, which, scale=scale, calls=calls):
            calls.append(pictures[0].copy())
            return linear(pictures, which)[0] * scale, linear(pictures, which)[1] * scale

        maximise(scaled, preset, LOW, HIGH, [0])
        step = np.sqrt(np.mean((calls[1] - start) ** 2))
        assert step == pytest.approx(100 / np.sqrt(3 * 227 * 227))


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (6, 7), (5, 8)])
def test_the_gradient_of_spectra_agrees_with_central_differences(size):
    low = RNG.uniform(-130, -100, (3, *size))
    space = Fourier(low, low + 255)
    spectra = np.stack([space.start(0) * 30, space.start(1) * 30]).astype(np.float64)
    weights = RNG.normal(size=(3, *size))

    def score(values):
        return (weights * space.pictures(values)).sum(axis=(1, 2, 3), dtype=np.float64)

    gradient = space.pull(space.pictures(spectra), np.broadcast_to(weights, (2, 3, *size)))
    for _ in range(5):
        direction = RNG.normal(size=spectra.shape)
        ahead, behind = score(spectra + 0.01 * direction), score(spectra - 0.01 * direction)
        expected = (gradient * direction).sum(axis=(1, 2, 3, 4))
        np.testing.assert_allclose((ahead - behind) / 0.02, expected, rtol=2e-3)


def test_spectra_make_low_frequencies_strong_and_colours_alike():
    space = Fourier(np.full((3, 64, 64), -128.0), np.full((3, 64, 64), 127.0))
    pictures = space.pictures(np.stack([space.start(seed) for seed in range(8)]))
    power = np.abs(np.fft.fft2(pictures)).mean(axis=(0, 1))
    assert 1.7 < power[0, 2:5].mean() / power[0, 4:9].mean() < 2.3
    blue, green, red = pictures.transpose(1, 0, 2, 3).reshape(3, -1)
    assert min(np.corrcoef(red, green)[0, 1], np.corrcoef(green, blue)[0, 1]) > 0.8


def test_pixels_in_a_ball_keep_their_direction():
    space = Pixels(LOW, HIGH, radius=5.0)
    inside, outside = space.project(np.stack([WEIGHTS * 0.01, WEIGHTS]))
    assert np.array_equal(inside, WEIGHTS * 0.01)
    assert np.linalg.norm(outside) == pytest.approx(5)
    assert cosine(outside, WEIGHTS) == pytest.approx(1)


def test_jitter_moves_pictures_and_brings_gradients_back():
    moved = []

    def centred(pictures, which):
        moved.append(np.argwhere(pictures[0, 0] == pictures[0, 0].max())[0])
        gradient = np.zeros_like(pictures)
        gradient[:, :, 5, 4] = 1
        return pictures[:, :, 5, 4].sum(axis=1), gradient

    preset = Preset("adam", 30, rate=1.0, jitter=1)
    picture = maximise(centred, preset, LOW, HIGH, [0]).pictures[0]
    # What is above its neighbours is around the middle, wherever the picture was moved to.
    change = picture - np.random.RandomState(0).normal(0, 10, SHAPE)
    rows, columns = np.nonzero(np.abs(change).max(axis=0) > 1)
    assert {*rows} == {4, 5, 6}
    assert {*columns} == {3, 4, 5}
