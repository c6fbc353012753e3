import hashlib

import numpy as np
import pytest
from networks import bars, train_params

from ferpipe.evaluation import feature_network
from ferpipe.evaluation.feature_distance import DIRECTIONS
from ferpipe.evaluation.feature_network import FeatureNetwork, directions, measure
from ferpipe.model import saving
from ferpipe.model.backend import keras, prepare
from ferpipe.model.network import build_model, with_probabilities
from ferpipe.training.ridge_head import solve_head

BATCH = 64
SOLVED = {"head": "solved", "epochs": 0, "mirror_average": True}


def network(**params):
    prepare(seed=1)
    return with_probabilities(build_model(train_params(**params), 16, 1, classes=3))


@pytest.fixture(scope="module", params=["trained", "solved"])
def trained(request):
    """A network that tells bars apart, its training images, and images of val."""
    prepare(seed=1)
    train, val = bars(240, 1), bars(200, 2)
    params = train_params(**(SOLVED if request.param == "solved" else {}))
    model = build_model(params, 16, 1, classes=3)
    if request.param == "solved":
        solve_head(model, params, train, val, refit=False)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(2e-3), loss)
        model.fit(train.images, train.labels, batch_size=16, epochs=6, verbose=0)
    model = with_probabilities(model)
    assert (saving.predict(model, val.images, BATCH).argmax(axis=1) == val.labels).mean() > 0.9
    return model, train, val


def test_images_unlike_training_are_beyond_the_limit(trained):
    model, train, val = trained
    distance = measure(model, train, val.images, "val", BATCH)
    again = measure(model, train, val.images, "val", BATCH)
    assert distance.model_dump_json() == again.model_dump_json()

    def beyond(images):
        return (distance.relative(FeatureNetwork(model)(images, BATCH)[1]) > 1).mean()

    assert beyond(val.images) == pytest.approx(0.01, abs=0.005)
    assert beyond(bars(200, 3).images) < 0.05
    noise = np.random.default_rng(4).integers(0, 256, (100, 16, 16, 1), dtype=np.uint8)
    assert beyond(noise) > 0.95
    assert beyond(255 - val.images) > 0.95
    assert beyond(val.images.swapaxes(1, 2)) > 0.95


@pytest.mark.parametrize(
    "params",
    [{}, SOLVED, SOLVED | {"input_size": [16, 24]}, {"backbone": "MobileNetV2", "input_size": 32}],
)
def test_probabilities_are_those_of_the_model(params):
    model, images = network(**params), bars(20, 1).images
    probabilities, projected = FeatureNetwork(model)(images, 8)
    np.testing.assert_allclose(probabilities, saving.predict(model, images, 8), atol=1e-6)
    assert projected.shape == (20, DIRECTIONS)
    assert np.isfinite(projected).all() and projected.std(axis=0).min() > 0
    alone = FeatureNetwork(model)(images[5:6], 1)[1]
    np.testing.assert_allclose(projected[5:6], alone, rtol=1e-4, atol=1e-6)


JAX = """
import sys
from pathlib import Path
import numpy as np
from ferpipe.model import backend_choice
backend_choice.choose("jax")
from ferpipe.evaluation.feature_network import FeatureNetwork
from ferpipe.model import saving
model = saving.load_vetted(Path("model.keras"))
np.save("jax.npy", FeatureNetwork(model)(np.load("images.npy"), 8)[1])
"""


def test_jax_gives_the_same(tmp_path, run_python, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, images = network(**SOLVED), bars(20, 1).images
    saving.save(model, tmp_path / "model.keras", ["c0", "c1", "c2"])
    np.save("images.npy", images)
    run_python("-c", JAX, timeout=300)
    expected = FeatureNetwork(model)(images, 8)[1]
    np.testing.assert_allclose(np.load("jax.npy"), expected, rtol=1e-4, atol=1e-5)


def test_a_quarter_of_a_map_has_one_direction_for_each_channel():
    made = directions([(7, 6, 3), (1, 1, 5)])
    assert made.shape == (7 * 6 * 3 + 5, DIRECTIONS)
    first = made[: 7 * 6 * 3].reshape(7, 6, 3, DIRECTIONS) * 42
    assert set(np.unique(first).round(9)) == {-1, 1}
    quarters = [first[:4, :3], first[:4, 3:], first[4:, :3], first[4:, 3:]]
    for quarter in quarters:
        assert (quarter == quarter[:1, :1]).all()
    corners = np.array([quarter[0, 0] for quarter in quarters]).reshape(12, DIRECTIONS)
    assert len(np.unique(corners, axis=0)) == 12


def test_directions_are_the_same_for_ever():
    digest = hashlib.sha256(directions([(2, 2, 8)]).astype("<f8").tobytes()).hexdigest()
    assert digest.startswith("736fc4ad6b0d75d3")


def test_of_many_images_some_are_used_evenly(monkeypatch):
    monkeypatch.setattr(feature_network, "MOST_IMAGES", 30)
    model, train = network(), bars(90, 1)
    some = measure(model, train, train.images, "test", BATCH)
    every_third = train.take(np.arange(0, 90, 3))
    assert some == measure(model, every_third, every_third.images, "test", BATCH)
    assert some.limit_from == "test"
