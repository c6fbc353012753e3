"""The built-in sample: drawn faces (people, person, face and parts, sketch, camera, framing)."""
