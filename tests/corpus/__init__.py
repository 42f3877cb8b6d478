"""The corpus: small scenes rendered by Blender itself and by a farm, and what came of both compared (python -m tests.corpus)."""
