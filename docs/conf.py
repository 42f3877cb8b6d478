"""Sphinx's settings. Build with: python -m sphinx docs docs/_build"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_all

from brender import __version__

project = "brender"
copyright = "the brender developers"
release = __version__
extensions = ["sphinx_rtd_theme", "myst_parser"]
html_theme = "sphinx_rtd_theme"
exclude_patterns = ["_build"]
#: Blocks that name no language are commands and what these print, in which words of Python would be colored.
highlight_language = "none"

write_all(Path(__file__).parent / "reference" / "generated")
