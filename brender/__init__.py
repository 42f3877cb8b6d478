"""brender, a render farm for Blender."""

__version__ = "3.0.0.dev1"
