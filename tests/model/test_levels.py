import pytest

from ferpipe.model import backbones
from ferpipe.model.backend import keras, prepare
from ferpipe.model.levels import choose_levels

# The smallest member of each family, and one deep network.
CHOSEN = {
    "VGG16": ["block4_conv3", "block5_conv1"],
    "ResNet50": ["conv3_block4_out", "conv4_block3_out"],
    "ResNet101": ["conv3_block4_out", "conv4_block12_out"],
    "ResNet50V2": ["conv3_block3_out", "conv4_block3_out"],
    "InceptionV3": ["mixed0", "mixed2"],
    "InceptionResNetV2": ["block35_4_ac", "block35_10_ac"],
    "Xception": ["add_1", "add_6"],
    "MobileNet": ["conv_pw_5_relu", "conv_pw_8_relu"],
    "MobileNetV2": ["block_6_expand_relu", "block_9_add"],
    "MobileNetV3Small": ["activation_1", "expanded_conv_5_add"],
    "DenseNet121": ["pool3_conv", "conv4_block12_concat"],
    "NASNetMobile": ["adjust_relu_1_5", "normal_add_5_6"],
    "EfficientNetB0": ["block4a_expand_activation", "block5a_expand_activation"],
    "EfficientNetV2B0": ["block4a_expand_activation", "block5a_project_bn"],
    "ConvNeXtTiny": [
        "convnext_tiny_stage_1_block_2_identity",
        "convnext_tiny_stage_2_block_4_gelu",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_a_network_of_every_family_has_two_levels_inside(name):
    prepare()
    network = backbones.build(name, 96, 3, "none")
    levels = choose_levels(network, 96)
    assert levels == CHOSEN[name]
    heights = [network.get_layer(level).output.shape[1] for level in levels]
    assert all(4 <= height <= 12 for height in heights)
    order = [layer.name for layer in network.layers]
    assert 0 < order.index(levels[0]) < order.index(levels[1]) < 0.85 * len(order)


def test_every_family_is_covered():
    families = {id(backbones.lookup(name)) for name in CHOSEN} | {id(backbones.lookup("compact"))}
    assert families >= {id(family) for family in backbones.FAMILIES.values()}


@pytest.mark.parametrize("side", [32, 64, 160])
def test_the_levels_are_the_same_at_every_input_size(side):
    prepare()
    assert (
        choose_levels(backbones.build("MobileNetV2", None, 3, "none"), side)
        == CHOSEN["MobileNetV2"]
    )


def test_a_step_inside_a_block_is_no_level():
    inputs = keras.Input((32, 32, 3))
    x = inputs
    for stage in range(5):
        x = keras.layers.Conv2D(4, 3, 2, "same", name=f"conv{stage}")(x)
        x = keras.layers.BatchNormalization(name=f"bn{stage}")(x)
        side = x = keras.layers.ReLU(name=f"relu{stage}")(x)
        x = keras.layers.Conv2D(4, 3, 1, "same", name=f"inside{stage}")(x)
        x = keras.layers.Add(name=f"add{stage}")([x, side])
        x = keras.layers.ReLU(name=f"out{stage}")(x)
    # 16, 8, 4, 2, 1 pixels: 1/8 of 32 is 4, 1/16 is 2.
    assert choose_levels(keras.Model(inputs, x), 32) == ["out2", "relu3"]
