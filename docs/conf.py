"""How Sphinx builds the site: ``python -m sphinx -W --keep-going docs build/docs``.

Nothing is fetched: pages hold no address of another host that a browser would load by itself.
"""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version as version_of
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import made_from_code  # noqa: E402
from pygments.lexers.special import TextLexer  # noqa: E402
from sphinx.highlighting import lexers  # noqa: E402

project = "ssl-bench"
author = "the ssl-bench authors"
project_copyright = "the ssl-bench authors; Apache-2.0"
version = release = version_of("ssl-bench")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# README.md is what GitHub shows of this folder.
exclude_patterns = ["notebooks", "made/parts", "README.md"]

html_theme = "furo"
html_title = "ssl-bench"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["tables.css"]

# Two hyphens begin an option, and are no dash.
smartquotes = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Notebooks run in folders of their own; what is the same for all is kept for the next build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_output_stderr = "remove"
nb_merge_streams = True
nb_ipywidgets_js = {}

# Pygments knows no tables of values.
lexers["csv"] = TextLexer()

napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
python_maximum_signature_line_length = 80
python_display_short_literal_types = True
suppress_warnings = ["config.cache"]

# What runs a notebook: kernels that have loaded what they need, `!ssl-bench` in their own process,
# and a cache that lasts.
os.environ["JUPYTER_PATH"] = str(DOCS / "notebooks")
os.environ.setdefault("SSL_BENCH_CACHE", str(DOCS.parent / "build" / "docs-cache"))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("SSL_BENCH_DATA", None)


def _start_kernels(app):
    if app.config.nb_execution_mode == "off":
        return
    folder = Path(tempfile.mkdtemp())
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(DOCS / "notebooks" / "commands.py", startup)
    os.environ["IPYTHONDIR"] = str(folder)
    os.environ["SSL_BENCH_KERNELS"] = str(folder / "socket")
    server = subprocess.Popen([sys.executable, str(DOCS / "notebooks" / "kernels.py")])

    @atexit.register
    def stop():
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def _plain_signature(_app, _kind, _name, _object, _options, signature, returned):
    """Types without what pydantic is told of them."""
    checks = r"~?[\w.]*(?:InstanceOf|BeforeValidator)\([^\]]*\)"
    plain = re.compile(rf"~?[\w.]*Annotated\[([^,\[\]]+), {checks}\]")
    return signature and plain.sub(r"\1", signature), returned and plain.sub(r"\1", returned)


def setup(app):
    """Write the pages that are made from the code, before Sphinx looks for pages."""
    app.connect("autodoc-process-signature", _plain_signature)
    app.connect("builder-inited", lambda _app: made_from_code.write(DOCS / "made"))
    app.connect("builder-inited", _start_kernels)
    return {"parallel_read_safe": True}
