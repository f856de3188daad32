"""The page on which classes need which filters, in a real browser and without a script."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from cnnvis.core.arrays import write_arrays
from cnnvis.core.files import write_json
from cnnvis.core.places import Places
from cnnvis.importance.filter_effects import EFFECTS
from cnnvis.importance.lesions import losses_of, summarise
from cnnvis.pages.lesions import lesion_page
from tests.pages.test_pages import Page

FILTERS, CLASSES, PRESENT = 96, 20, [3, 4, 11, 17]
LABELS = [f"kind <{n}>, {'even' if n % 2 == 0 else 'odd'}" for n in range(CLASSES)]


def make(root, filters=FILTERS, classes=CLASSES, present=PRESENT):
    """Write lesions of random numbers and their page; return the page's path and the arrays."""
    random, files = np.random.default_rng(0), Places(root / "results", network="thin")
    logs = -random.uniform(0.1, 2, (len(present), filters + 1))
    effects = np.zeros((len(present), len(EFFECTS), filters + 1))
    effects[:, EFFECTS.index("log_probability")] = logs
    effects[:, EFFECTS.index("probability")] = np.exp(logs)
    effects[:, EFFECTS.index("error_top1")] = logs < -1
    arrays = {
        "class": np.array(present, np.int64),
        "images": np.full(len(present), 6),
        "effects": effects,
        "scores": random.normal(0, 3, (filters + 1, classes)),
    }
    summary = {"layer": "a/b", "zero": "weights", "images": 24, "skipped": []}
    write_arrays(files("lesion arrays", layer="a-b"), arrays)
    write_json(files("lesions", layer="a-b"), summary | summarise(arrays))
    labels = root / "labels.txt"
    labels.write_text("".join(LABELS[cls % CLASSES] + f" {cls}\n" for cls in range(classes)))
    shown = [files("lesion page", layer=layer) for layer in ("a-b", "c")]
    shown.append(files("response page", layer="a-b"))
    lesion_page(files, network="thin", layer="a-b", shown=shown, labels=labels)
    return files("lesion page", layer="a-b"), arrays


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("run"))


def test_without_a_script_there_are_the_picture_and_the_table(made):
    path, arrays = made
    page, losses = Page(path), losses_of(arrays)["log_probability"]
    links = {"../responses/a-b.html", "../responses/a-b.html#filter-7", "c.html", "a-b.png"}
    assert links <= set(page.values("href"))
    assert page.prose.count("takes at least 0.1") + page.prose.count("take at least 0.1") == 1
    best = PRESENT[losses.values[:, 7].argmax()]
    row = re.search(r'<tr id="filter-7">.*?</tr>', page.text, re.S)[0]
    assert f"<td>kind &lt;{best}&gt;" in row
    with Image.open(path.with_suffix(".png")) as picture:
        said = picture.info["Description"]
    assert "99th percentile" in said and "over 6 images of the class" in said


def test_the_page_of_a_thousand_classes_is_small(tmp_path):
    path, _ = make(tmp_path, classes=1000, present=list(range(1000)))
    assert path.stat().st_size < 1.5e6


def test_one_class_and_one_filter_and_no_class_have_pages(tmp_path):
    for folder, filters, present in (("a", 96, [3]), ("b", 1, PRESENT), ("c", 5, [])):
        path, _ = make(tmp_path / folder, filters=filters, present=present)
        assert path.with_suffix(".png").exists()
        spec = re.search(r'id="spec" type="application/json">(.*?)<', path.read_text())[1]
        assert len(json.loads(spec)["measures"]) == (4 if present else 1)


@pytest.fixture
def look(browser, made):
    def look(body, hash="", **options):
        session = browser.open(f"{made[0].as_uri()}{hash}", **options)
        browser.wait(session, "document.getElementById('map')?.dataset.ready")
        found = browser.run(session, HELPERS + body)
        browser.close(session)
        assert not browser.errors
        return found

    return look


HELPERS = """
const form = document.getElementById('sorting'), canvas = document.querySelector('canvas');
const text = (id) => document.getElementById(id).textContent;
const labels = (name) => [...document.querySelectorAll(`.${name} button`)];
const names = (name) => labels(name).map((button) => button.textContent);
const set = (name, value) => { form[name].value = value;
  form[name].dispatchEvent(new Event(name === 'find' ? 'input' : 'change', { bubbles: true })); };
const point = (row, column) => {
  const box = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new PointerEvent('pointermove', { bubbles: true,
    clientX: box.left + (column + 0.5) * box.width / canvas.width,
    clientY: box.top + (row + 0.5) * box.height / canvas.height }));
};
const colour = (row, column) => [...canvas.getContext('2d').getImageData(column, row, 1, 1).data];
"""


def test_the_map_has_the_numbers_of_every_cell(look, made):
    values = losses_of(made[1])
    found = look(
        """set('order', 'number');
        const cells = [];
        for (const [measure, row, column] of [[0, 1, 37], [1, 3, 95], [2, 2, 0], [3, 19, 5]]) {
          set('measure', measure);
          point(row, column);
          cells.push([text('readout'), colour(row, column)]);
        }
        return cells;"""
    )
    cells = zip(values.values(), [(1, 37), (3, 95), (2, 0), (19, 5)], found, strict=True)
    for losses, (row, filter_), (said, (red, _, blue, _)) in cells:
        loss = losses.values[row, filter_]
        assert said.startswith(f"Filter {filter_}, {LABELS[losses.classes[row]]}")
        said = said.replace("−", "-")
        numbers = [float(x) for x in re.findall(r"(-?\d[\d.]*)(?= with|;|\.$)", said)]
        assert numbers[0] == pytest.approx(losses.before[row], rel=5e-3)
        assert numbers[-1] == pytest.approx(loss, rel=5e-3, abs=1e-3)
        assert (red > blue) == (loss > 0) or abs(loss) < losses.window / 100


def test_a_class_sorts_the_filters_and_a_filter_the_classes(look, made):
    losses = losses_of(made[1])["log_probability"].values
    found = look(
        """set('order', 'number');
        labels('rows')[1].click();
        const filters = names('columns'), pressed = labels('rows')[1].ariaPressed;
        labels('columns').find((button) => button.textContent === '7').click();
        const classes = names('rows'), said = text('lists');
        set('order', 'alike');
        return { filters, pressed, classes, said, alike: names('columns') };"""
    )
    assert list(map(int, found["filters"])) == np.argsort(-losses[1], kind="stable").tolist()
    assert found["pressed"] == "true"
    order = np.argsort(-losses[:, 7], kind="stable")
    assert found["classes"] == [f"{LABELS[PRESENT[row]]} {PRESENT[row]}" for row in order]
    assert found["said"].startswith(f"Filter 7: most needed by {found['classes'][0]} (")
    assert sorted(map(int, found["alike"])) == list(range(FILTERS))
    assert found["alike"] != found["filters"]


def test_filters_and_classes_are_found(look):
    found = look(
        """const say = (wanted) => { set('find', wanted); return text('lists'); };
        const marked = () => [...document.querySelectorAll('.mark:not([hidden])')].length;
        return { filter: say('filter 37'), one: marked(),
          href: document.querySelector('.lists a').getAttribute('href'),
          label: document.querySelector('.columns .found').textContent,
          classes: say('ODD'), none: say('no such'), left: marked() };"""
    )
    assert found["filter"].startswith("Filter 37: ") and found["label"] == "37"
    assert found["href"] == "../responses/a-b.html#filter-37"
    assert found["one"] == 1
    assert found["classes"].count("Class kind <") == 3 and "needs filters" in found["classes"]
    assert found["none"].startswith("There is no such filter") and found["left"] == 0


def test_the_keyboard_moves_through_the_map(look):
    found = look(
        """set('order', 'number');
        const press = (key) =>
          canvas.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        const said = [];
        for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight', 'ArrowLeft', 'ArrowLeft']) {
          press(key);
          said.push(text('readout').match(/Filter (\\d+), kind <(\\d+)>/).slice(1).map(Number));
        }
        press('Enter');
        return { said, list: text('lists') };"""
    )
    assert found["said"] == [[0, 3], [0, 4], [1, 4], [0, 4], [0, 4]]
    assert "Filter 0" in found["list"] and "Class kind <4>" in found["list"]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("whole", [False, True])
def test_nothing_is_too_wide(look, width, whole):
    found = look(
        f"""form.whole.checked = {str(whole).lower()};
        form.whole.dispatchEvent(new Event('change'));
        const map = document.getElementById('map');
        return [document.documentElement.scrollWidth, map.scrollWidth - map.clientWidth];""",
        width=width,
    )
    assert found[0] <= width
    assert not whole or found[1] <= 0


def test_an_address_leads_to_a_filter(look):
    body = """
    await new Promise((done) => setTimeout(done, 300));
    const { top } = document.getElementById('look').getBoundingClientRect();
    return [text('lists'), top, innerHeight];
    """
    said, top, height = look(body, hash="#filter-14")
    assert said.startswith("Filter 14: ") and -1 <= top < height
