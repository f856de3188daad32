"""The viewer's modules one by one, in an empty page: each function by hand-computed values."""

import numpy as np
import pytest

from cnnvis.pages.render import source
from tests.browser import NAMES, Browser, find_browser

pytestmark = pytest.mark.skipif(
    find_browser() is None, reason=f"no browser found, looked for {', '.join(NAMES)}"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the body of a function after some modules, and return what it returns."""
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        session = browser.open("about:blank")

        def run(modules, body):
            text = source(*(f"viewer/{name}.js" for name in modules.split()))
            return browser.run(session, f"{text}\n{body}")

        yield run


def test_halves_are_the_numbers_that_numpy_says(run):
    bits = np.arange(65536, dtype=np.uint16)
    values = bits.view(np.float16)
    bits, values = bits[np.isfinite(values)], values[np.isfinite(values)]
    found = run("data", f"return [...decodeHalves(Uint16Array.from({bits[::7].tolist()}))];")
    assert found == values[::7].astype(float).tolist()


def test_bytes_with_a_sign_are_shares(run):
    found = run("data", "return [...DECODERS.i8(Uint8Array.of(127, 0, 129).buffer)];")
    assert found == [1, 0, -1]


def test_orders_slices_and_differences_by_hand(run):
    found = run(
        "data",
        """
        const voxels = Uint8Array.of(0, 1, 10, 11, 20, 21);
        const frames = [Float32Array.of(1, 0.5), Float32Array.of(0.25, 1)];
        const panel = { order: [2, 0, 1], frames };
        return {
          ordered: [...reorder(voxels, [2, 0, 1])],
          slice: [...filterSlice(voxels, 1, [1, 2, 3])],
          filter: filterAt(panel, 0), place: placeOf(panel, 0),
          natural: [isNatural(null), isNatural([0, 1]), isNatural([1, 0])],
          difference: [...shownVoxels(panel, { frame: 0, minus: 1 })],
          kept: shownVoxels(panel, { frame: 0, minus: 1 }) === panel.difference.voxels,
          frame: shownVoxels(panel, { frame: 1, minus: -1 }) === panel.frames[1],
        };
        """,
    )
    assert found == {
        "ordered": [20, 21, 0, 1, 10, 11],
        "slice": [10, 11],
        "filter": 2,
        "place": 1,
        "natural": [True, True, False],
        "difference": [0.75, -0.5],
        "kept": True,
        "frame": True,
    }


def test_a_curve_is_linear_between_its_points(run):
    found = run(
        "transfer",
        """
        const points = parseCurve('0_0.2-0.5_1-0.5_0-1_0.4');
        return [-1, 0, 0.25, 0.75, 1, 2].map((place) => curveAt(points, place));
        """,
    )
    assert found == pytest.approx([0.2, 0.2, 0.6, 0.2, 0.4, 0.4])


@pytest.mark.parametrize(
    "text",
    ["", "0_0", "0_0-1_2", "0_0-0.9_1", "0.1_0-1_1", "0_0-0.6_1-0.4_1-1_1", "0_x-1_1", "0-1"],
)
def test_what_is_no_curve_is_refused(run, text):
    assert run("transfer", f"return parseCurve({text!r});") is None


def test_opacity_is_nothing_at_zero_and_gamma_keeps_the_ends(run):
    found = run(
        "transfer",
        """
        const rgb = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
        const [plain, signed] = [CURVES.plain, CURVES.signed].map(parseCurve);
        return {
          plain: [...colourTable(rgb, plain, 0.5, false)],
          signed: [...colourTable(rgb, signed, 2, true)],
        };
        """,
    )
    plain = np.array(found["plain"]).reshape(256, 4)
    assert plain[[0, 255]].tolist() == [[0, 0, 0, 0], [255, 255, 255, 255]]
    # The square root of 64/255, in steps of 1/255.
    assert plain[64, 0] == 128
    signed = np.array(found["signed"]).reshape(256, 4)
    assert signed[[127, 128], 3].max() <= 3
    assert signed[[0, 255], 3].tolist() == [255, 255]
    assert signed[[0, 255], 0].tolist() == [0, 255]
    # Half the way to the end is, squared, a quarter of the way.
    assert signed[191, 0] == pytest.approx(127.5 + 127.5 / 4, abs=1)


def test_windows_are_percentiles_of_what_is_not_zero(run):
    found = run(
        "transfer",
        """
        const bytes = Uint8Array.from({ length: 200 }, (_, i) => (i < 100 ? 0 : i - 99));
        const plain = countValues([bytes], 1 / 255, 0, 1);
        const floats = Float32Array.from({ length: 100 }, (_, i) => (i % 2 ? i + 1 : -i - 1) / 200);
        const signed = countValues([floats], 1, -1, 1);
        return {
          zeros: plain.bins[0], ones: plain.bins[1], plain: windowOf(plain, 0.5, false),
          signed: windowOf(signed, 0.9, true),
          nothing: windowOf(countValues([new Uint8Array(9)], 1 / 255, 0, 1), 0.99, false),
        };
        """,
    )
    assert (found["zeros"], found["ones"]) == (100, 1)
    assert found["plain"] == {"low": 0, "high": pytest.approx(50 / 255, abs=0.004)}
    assert found["signed"]["low"] == -found["signed"]["high"]
    assert found["signed"]["high"] == pytest.approx(0.45, abs=0.002)
    assert found["nothing"] == {"low": 0, "high": 1}


def test_bars_hold_all_values_of_the_window(run):
    found = run(
        "transfer",
        """
        const counts = { low: -1, high: 1, bins: [4, 2, 6, 8] };
        const whole = { low: -1, high: 1 };
        return [barsOf(counts, { low: -0.5, high: 0.5 }, 2), barsOf(counts, whole, 8)];
        """,
    )
    assert found[0] == {"bars": [2, 6], "below": 0.2, "above": 0.4}
    assert found[1] == {"bars": [2, 2, 1, 1, 3, 3, 4, 4], "below": 0, "above": 0}


SPEC = """
const spec = { signed: SIGNED, frames: ['a', 'b', 'c'], panels: [{}, {}], shape: [3, 8, 2, 2],
  colours: { grey: '', other: '' }, state: { opacity: 1.5 } };
const start = defaultState(spec);
"""


def test_the_address_brings_every_setting_back(run):
    found = run(
        "transfer state",
        SPEC.replace("SIGNED", "true")
        + """
        const changed = { curve: '0_1-1_0', colours: 'other', minus: 2, panels: 1, picked: 3 };
        const state = { ...start, azimuth: 1.23456, ...changed };
        const hash = formatHash(state, start);
        const back = { ...start, ...parseHash('#' + hash, start, spec) };
        return { hash, back, state, same: formatHash(start, start) };
        """,
    )
    assert found["hash"] == ("minus=2&curve=0_1-1_0&colours=other&azimuth=1.2346&picked=3&panels=1")
    assert found["back"] == found["state"] | {"azimuth": 1.2346}
    assert found["same"] == ""


@pytest.mark.parametrize(
    ("signed", "changed", "expected"),
    [
        ("true", {"low": -0.3}, {"low": -0.3, "high": 0.3}),
        ("true", {"high": 0.4}, {"low": -0.4, "high": 0.4}),
        ("true", {"high": 0}, {"low": -0.002, "high": 0.002}),
        ("true", {"low": -0.2, "symmetric": 0}, {"low": -0.2, "high": 1}),
        ("false", {"low": 1}, {"low": 0.998, "high": 1}),
        ("false", {"high": -3}, {"low": 0, "high": 0.002}),
        ("false", {"frame": 7.2, "minus": 1}, {"frame": 2, "minus": -1}),
        ("true", {"frame": -4, "minus": 9}, {"frame": 0, "minus": 2}),
        ("true", {"picked": 80, "panels": 8}, {"picked": 7, "panels": 3}),
        ("true", {"panels": 6}, {"panels": 2}),
    ],
)
def test_settings_stay_within_what_can_be_shown(run, signed, changed, expected):
    found = run(
        "transfer state",
        SPEC.replace("SIGNED", signed)
        + f"const changed = {changed}; return settle({{ ...start, ...changed }}, changed, spec);",
    )
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def test_points_of_a_curve_keep_their_order(run):
    found = run(
        "transfer state curve",
        """
        const points = [[0, 0], [0.5, 0.2], [1, 1]];
        return {
          between: movePoint(points, 1, 1.5, -3), first: movePoint(points, 0, 0.4, 0.6),
          without: removePoint(points, 1), end: removePoint(points, 2),
          added: addPoint(points, 0.7, 0.3),
          full: addPoint(Array(MOST_POINTS).fill([0, 0]), 0.5, 0.5).index,
          bars: barsPath([0, 1]).slice(0, 24),
        };
        """,
    )
    assert found["between"][1] == [1, 0]
    assert found["first"][0] == [0, 0.6]
    assert found["without"] == [[0, 0], [1, 1]]
    assert len(found["end"]) == 3
    assert found["added"] == {"points": [[0, 0], [0.5, 0.2], [0.7, 0.3], [1, 1]], "index": 2}
    assert found["full"] == -1
    assert found["bars"] == "M0 1V1.000H0.015625V1M0."


def test_a_ray_passes_through_the_point_that_is_seen_there(run):
    found = run(
        "camera",
        """
        const camera = lookAt({ azimuth: 25, elevation: -40, panX: 0.1, panY: 0.05 }, 3, 1.6, 0.2);
        const point = [0.2, -0.3, 0.4];
        const { x, y, depth } = project(camera.matrix, point);
        const ray = rayThrough(camera, x, y);
        const far = add(point, camera.eye, -1);
        const moved = project(multiply(camera.matrix, translation(point)), [0, 0, 0]);
        const off = Math.hypot(...cross(ray, far));
        return { off, along: dot(ray, far), depth, moved: [moved.x - x, moved.y - y] };
        """,
    )
    assert found["off"] == pytest.approx(0, abs=1e-6)
    assert found["along"] > found["depth"] > 0
    assert found["moved"] == pytest.approx([0, 0], abs=1e-6)


def test_a_volume_is_picked_where_it_is_seen_and_not_where_it_is_transparent(run):
    """A column of four filters, seen from the front: the last is nearest."""
    found = run(
        "data transfer state camera render pick",
        """
        const voxels = Float32Array.of(0.9, 0.2, -0.9, 0.4);
        const panel = { order: null, counts: [1, 1, 4], frames: [voxels], scale: 1 };
        const size = boxSize(panel.counts, 1);
        const camera = lookAt({ azimuth: 0, elevation: 0, panX: 0, panY: 0 }, 3, 1);
        const spec = { signed: true, frames: null, panels: [{}], colours: {}, shape: [1, 4, 1, 1] };
        const see = (settings) => {
          const state = { ...defaultState(spec), opacity: 3, ...settings };
          return pick({ panel, size, camera }, state, spec, 0.001, 0.001)?.at[2];
        };
        return [
          see({ curve: '0_1-0.5_0-1_1' }),
          see({ curve: '0_1-0.69_0-0.71_0-1_0' }),
          see({ curve: '0_0-0.9_0-1_1' }),
          see({ mode: 'surface', threshold: 0.5 }),
          see({ mode: 'surface', threshold: 0.3 }),
          see({ mode: 'slices', showFilter: 1, sliceFilter: 0.3 }),
          see({ curve: '0_0-1_0' }) ?? null,
        ];
        """,
    )
    assert found == [3, 2, 0, 2, 3, 1, None]
