"""Settings of Sphinx for the documentation's site."""

from backstop.files.installation import __version__

project = "Backstop"
author = "the Backstop developers"
copyright = "the Backstop developers, AGPL-3.0-only"
release = __version__

extensions = ["myst_nb", "sphinx_copybutton"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
# A warning is an error: a link or an anchor that does not resolve, a page outside the navigation.
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]
myst_heading_anchors = 5
myst_links_external_new_tab = False
nb_execution_mode = "off"

html_theme = "furo"
html_title = f"Backstop {release}"
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
