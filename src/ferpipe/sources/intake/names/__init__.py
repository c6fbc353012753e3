"""What names say: expressions, people, official parts, classes."""
