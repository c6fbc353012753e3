"""Finding faces in pictures, and placing them as the training images are framed."""
