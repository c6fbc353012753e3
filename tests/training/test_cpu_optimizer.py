import numpy as np
import pytest

from ferpipe.model.backend import keras, tf
from ferpipe.training import cpu_optimizer


@pytest.mark.parametrize("clip", [None, 0.5, 1e6])
@pytest.mark.parametrize("decay", [None, 0.1])
def test_the_optimizer_has_keras_results(clip, decay):
    ends = []
    for optimizer_type in (keras.optimizers.AdamW, cpu_optimizer.AdamW):
        rng = np.random.default_rng(1)
        shapes = {"kernel": (3, 5), "bias": (5,)}
        variables = [
            keras.Variable(rng.normal(size=shapes[name]), dtype="float32", name=name)
            for name in shapes
        ]
        optimizer = optimizer_type(weight_decay=0.0, global_clipnorm=clip)
        optimizer.weight_decay = decay
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        optimizer.build(variables)
        for step in range(4):
            optimizer.learning_rate = 0.1 / (step + 1)
            gradients = [
                tf.constant(rng.normal(size=v.shape) * (step + 1), tf.float32) for v in variables
            ]
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        scales = map(np.array, getattr(optimizer, "_scales", (1, 1)))
        moments = zip(scales, (optimizer._momentums, optimizer._velocities), strict=True)
        ends.append([np.array(variable) for variable in (*variables, optimizer.iterations)])
        ends[-1] += [scale * np.array(value) for scale, values in moments for value in values]
    for expected, actual in zip(*ends, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=1e-6)
