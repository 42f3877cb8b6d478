"""The Blender add-on: its source, which Blender runs, and what packs it. Nothing in `brender_farm` imports brender."""
