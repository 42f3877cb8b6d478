"""Small scenes, made by scripts in Blender (scenes/make.py), that the corpus renders (tests/corpus)."""
