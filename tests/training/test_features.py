import numpy as np
import pytest
from networks import bars, train_params

from ferpipe.core import machine
from ferpipe.model import saving
from ferpipe.model.backend import prepare, tf
from ferpipe.model.network import build_model
from ferpipe.training.features import batch_size, feature_extractor


@pytest.mark.parametrize(
    ("backbone", "sizes", "policy", "bfloat16", "tolerance"),
    [
        ("compact", 16, "float32", False, 1e-4),
        ("MobileNetV2", [32, 48], "float32", False, 1e-4),
        ("MobileNetV2", 32, "float32", True, 0.15),
        ("MobileNetV2", 32, "mixed_bfloat16", False, 0.15),
    ],
)
def test_the_compiled_network_gives_the_same_features(backbone, sizes, policy, bfloat16, tolerance):
    prepare(1, policy)
    params = train_params(backbone=backbone, input_size=sizes, head="solved", epochs=0)
    features = build_model(params, 16, 1, 3).get_layer("features")
    extract = feature_extractor(features, batch=8, bfloat16=bfloat16)
    images = bars(13, seed=1).images
    ours = np.concatenate([extract(images[:8]), extract(images[8:])])
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, saving.predict(features, images, 4), atol=tolerance)
    np.testing.assert_array_equal(extract(images[8:10]), ours[8:10])  # whatever the batch
    # A training step must not be rewritten: docs/performance.md.
    assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]


@pytest.mark.skipif("avx512_bf16" not in machine.instruction_sets(), reason="no bfloat16 here")
def test_bfloat16_rounds_where_the_processor_computes_in_it():
    prepare(1)
    params = train_params(head="solved", epochs=0)
    features = build_model(params, 16, 1, 3).get_layer("features")
    images = bars(8, seed=1).images
    exact, rounded = (
        feature_extractor(features, 8, bfloat16=bfloat16)(images) for bfloat16 in (False, True)
    )
    assert 1e-5 < np.abs(exact - rounded).max() < 0.15


def test_larger_inputs_come_in_smaller_batches():
    assert [batch_size(side) for side in (48, 96, 192, 1024)] == [256, 256, 64, 16]
