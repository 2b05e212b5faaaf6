"""Sphinx' settings for the web site; it runs in an environment of its own."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = html_title = "Walk-Forward"
extensions = ["myst_nb", "sphinx_copybutton", "lesson_pages"]

nb_execution_mode = "off"  # the outputs are those that the tests proved
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
myst_heading_slug_func = "lesson_pages.slug"  # by name: a function of conf.py can't be pickled
html_math_renderer = "mathml"

html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "navbar_persistent": [],  # or the search button stands twice
    "disable_search": True,  # Pagefind's, by templates/layout.html
    "use_download_button": False,
    "use_fullscreen_button": False,
    "footer_content_items": [],
}
html_context = {"default_mode": "auto"}
templates_path = [str(HERE / "templates")]
html_static_path = [str(HERE.parent / "static"), os.environ["WALKFORWARD_SITE_STATIC"]]
html_css_files = ["walkforward.css"]
html_js_files = [("path.js", {"defer": "defer"}), ("offline.js", {"defer": "defer"})]
html_copy_source = html_show_sourcelink = html_show_copyright = html_show_sphinx = False
html_use_index = False
copybutton_selector = "div.cell_input pre, div.highlight-sh pre, div.highlight-bash pre"
suppress_warnings = ["mystnb.unknown_mime_type"]
