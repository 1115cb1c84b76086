"""A small convolutional network: how many filters, and where does dropout go?"""

import keras


def build(hp, input_shape, classes):
    """Two blocks of convolution and pooling, then one dense layer; dropout may stand after each of them."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Reshape((*input_shape, 1))(inputs) if len(input_shape) == 2 else inputs
    for block in (1, 2):
        filters = hp.Choice(f"filters_{block}", [16, 32])
        x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Dropout(hp.Float(f"dropout_block_{block}", 0, 0.4, step=0.1))(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(hp.Choice("units", [32, 64, 128]), activation="relu")(x)
    x = keras.layers.Dropout(hp.Float("dropout_dense", 0, 0.6, step=0.2))(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))


def batchnorm_or_dropout(hp, input_shape, classes):
    """The same network with batch normalization after its convolutions, dropout after its blocks, both or neither."""
    batchnorm = hp.Boolean("batchnorm")
    rate = hp.Choice("dropout", [0.0, 0.2, 0.4])
    inputs = keras.Input(input_shape)
    x = keras.layers.Reshape((*input_shape, 1))(inputs) if len(input_shape) == 2 else inputs
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 3, use_bias=not batchnorm)(x)
        if batchnorm:
            x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Dropout(rate)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    x = keras.layers.Dropout(rate)(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
