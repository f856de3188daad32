"""``python -m cnnvis view FILE...`` opens volumes in a browser."""

import argparse
import sys
import tempfile
import webbrowser
from pathlib import Path

from cnnvis.core.errors import UserError


def main(arguments=None):
    """Run the command line; a user's mistake is one line on standard error and status 1."""
    options = _parser().parse_args(arguments)
    try:
        _view(options)
    except UserError as error:
        print(f"cnnvis: {error}", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="python -m cnnvis", description=__doc__)
    view = parser.add_subparsers(required=True, metavar="view").add_parser(
        "view",
        help="open volumes as a page of one file",
        description="Open volumes as a page of one file: .vox, .npy, .npz, .nhdr, .nrrd, .mhd, "
        ".nii and .nii.gz, with one slice per filter; several as panels, or as frames.",
    )
    add = view.add_argument
    add("files", nargs="+", metavar="FILE")
    add("--output", metavar="PAGE.html", help="where to write the page (default: a new folder)")
    add("--no-browser", action="store_true", help="write the page, and do not open it")
    add("--heading", help="of the page")
    add("--title", action="append", metavar="TEXT", help="of a volume, once for each in turn")
    add("--order", action="append", metavar="FILE.json", help="a permutation of the filters")
    add("--frames", action="store_true", help="show the volumes one after the other")
    add("--array", metavar="NAME", help="which array of .npz files")
    add("--weights", action="store_true", help="show channels of (filters, channels, kh, kw)")
    add("--colours", metavar="NAME", help="the colour map the page opens with")
    sign = view.add_mutually_exclusive_group()
    add = sign.add_argument
    add("--signed", action="store_true", default=None, help="colours symmetric around zero")
    add("--unsigned", dest="signed", action="store_false", help="colours from zero up")
    return parser


def _view(options):
    # Late: the help needs no NumPy.
    from cnnvis.pages.views import view

    names = ("frames", "colours", "heading", "array", "weights", "signed")
    page = view(
        options.files,
        titles=options.title,
        orders=options.order,
        **{name: getattr(options, name) for name in names},
    )
    output = options.output or Path(tempfile.mkdtemp(prefix="cnnvis-")) / "volume.html"
    page.save(output)
    print(output)
    if not options.no_browser:
        webbrowser.open(Path(output).resolve().as_uri())


if __name__ == "__main__":
    sys.exit(main())
