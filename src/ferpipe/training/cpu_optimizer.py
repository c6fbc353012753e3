"""AdamW for TensorFlow on a CPU: one operation per variable, Keras' steps except for rounding."""

from __future__ import annotations

from ferpipe.model.backend import keras, tf


class AdamW(keras.optimizers.AdamW):
    """AdamW with one operation per variable; Adam if its weight decay is None.

    Clipping multiplies all gradients by a factor c, which would read and write them once more.
    Instead the moments are kept as m = s * M and v = u * V with two numbers s and u, which have the
    same averages as the moments: s' = beta_1 s + (1 - beta_1) c, u' = beta_2 u + (1 - beta_2) c^2.
    Then M and V are averages of the unclipped gradients, with beta_1 s / s' and beta_2 u / u' in
    place of the betas, and the step is s' / sqrt(u') M / (sqrt(V) + epsilon / sqrt(u')).
    """

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the moments and, with clipping, their scales."""
        super().build(variables)
        if self.global_clipnorm is not None:
            self._scales = [
                self.add_variable((), dtype="float32", initializer="zeros", name=f"scale_{name}")
                for name in ("momentum", "velocity")
            ]

    def _clip_gradients(self, grads: list[tf.Tensor]) -> list[tf.Tensor]:
        if self.global_clipnorm is not None:
            # tf.clip_by_global_norm also checks every gradient for infinities, which takes time.
            norm = tf.linalg.global_norm(grads)
            self._factor = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        return grads

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        if self.weight_decay is None:
            return
        keep = 1 - tf.convert_to_tensor(self.learning_rate) * self.weight_decay
        for variable in variables:
            if self._use_weight_decay(variable):
                variable.value.assign(variable.value * keep)

    def _backend_update_step(
        self, grads: list[tf.Tensor], variables: list[keras.Variable], learning_rate: float
    ) -> None:
        step = tf.cast(self.iterations + 1, tf.float32)
        rate, epsilon = tf.convert_to_tensor(learning_rate), self.epsilon
        betas = [self.beta_1, self.beta_2]
        powers = [tf.pow(beta, step) for beta in betas]
        if self.global_clipnorm is not None:
            for index, scale in enumerate(self._scales):
                before, beta = tf.convert_to_tensor(scale), betas[index]
                scale.assign(beta * before + (1 - beta) * self._factor ** (1 + index))
                betas[index] = beta * before / scale.value
            momentum, velocity = (scale.value for scale in self._scales)
            rate *= momentum / tf.sqrt(velocity)
            epsilon /= tf.sqrt(velocity)
        for gradient, variable in zip(grads, variables, strict=True):
            index = self._get_variable_index(variable)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=self._momentums[index].value.handle,
                v=self._velocities[index].value.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate,
                beta1=betas[0],
                beta2=betas[1],
                epsilon=epsilon,
                grad=gradient,
            )
