"""The checkout this package lies in.

The schemas of ``config/`` and ``models/`` and the labels of photonet are files of the project, not
of the package, and so are the workflow and its scripts: cnnvis works from a checkout only, and
``pip install -e .`` is the way to install it.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
