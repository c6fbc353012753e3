"""The built-in sample: drawn faces (people, person, face and its parts, sketch, camera)."""
