"""Using a trained model: faces of pictures, their classes, and pictures and tables of them."""
