"""What container tests share: a real Docker engine, and the image under test in it."""

from tests.support.engine import engine, image

__all__ = ["engine", "image"]
