"""One neuron's gradients over the images of a comparison, as a time series for other programs.

Every frame is one image, in each of the two layouts of `cnnvis.gradients.volumes`: x runs along kw,
y along kh, z is the filter; time is the image, in the order of the groups. Values are the gradients
themselves, float32, unscaled, so that all frames have one scale::

    t = 0  cat_1         t = 1  cat_2               t = 11  motorcycle_miss_2
    +--------+           +--------+                 +--------+
    | x, y   |  filter   |        |        ...      |        |
    +--------+           +--------+                 +--------+

The same numbers are written as NIfTI (``.nii.gz``, four dimensions; 3D Slicer, ITK-SNAP) and as
VTK image data (``.pvd`` with one ``.vti`` per image; ParaView); `cnnvis.gradients.animation` draws
them as an animation.
"""

import gzip
import json
from html import escape

import numpy as np

from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic, safe_name
from cnnvis.gradients.animation import draw_animation
from cnnvis.gradients.volumes import LAYOUTS

NIFTI_COMMENT = 6
# NIfTI counts the voxels of an axis with 16 bits.
LONGEST_AXIS = 32767


def make_time_series(files, comparison):
    """Write one neuron's gradients at one layer as time series over images.

    Parameters
    ----------
    files : Places
        Of the comparison. Written are, with the channels summed and channel by channel,
        ``comparison nifti``, see `write_nifti`, and ``comparison vtk``, ParaView's list of the
        files ``comparison frame``, see `write_vti`; further ``comparison animation``, and
        ``comparison still``, its first frame.
    comparison : Comparison

    Raises
    ------
    UserError
        If the layer is too large for NIfTI.
    """
    facts = [
        {"image": member.image, "group": member.group, "verdict": member.verdict}
        for member in comparison.members
    ]
    for layout in LAYOUTS:
        _write_series(files, comparison, layout, facts)
    layer = safe_name(comparison.layer)
    pictures = [files(f"comparison {kind}", layer=layer) for kind in ("animation", "still")]
    draw_animation(*pictures, comparison)


def _write_series(files, comparison, layout, facts):
    def place(kind, **parts):
        layer = safe_name(comparison.layer)
        return files(f"comparison {layout.prefix}{kind}", layer=layer, **parts)

    order = comparison.order
    volumes = [layout.arrange(gradient[order]).astype("<f4") for gradient in comparison.gradients]
    title = f"d neuron {comparison.neuron} / d {comparison.layer}, {layout.title}"
    comment = {
        "quantity": f"d neuron {comparison.neuron} / d weights of {comparison.layer}",
        "layout": layout.title,
        "frames": [{"time": time, **frame} for time, frame in enumerate(facts)],
    }
    if comparison.ordering is not None:
        comment |= {"ordering": comparison.ordering, "filters": order.tolist()}
    write_nifti(place("nifti"), volumes, title, comment)
    frames = [place("frame", frame=f"{index:03}") for index in range(len(volumes))]
    for frame in zip(frames, volumes, facts, strict=True):
        write_vti(*frame)
    write_pvd(place("vtk"), frames)


def write_nifti(path, volumes, description, comment):
    """Write volumes as one compressed NIfTI-1 file of four dimensions: x, y, filter, time.

    Parameters
    ----------
    path : str or Path
        Ends in ``.nii.gz``.
    volumes : list of ndarray of float32, (filters, height, width)
    description : str
        At most 79 characters are kept.
    comment : dict
        Becomes JSON in a header extension, which programs keep or pass over.

    Raises
    ------
    UserError
        If an axis is too long for the format.

    Notes
    -----
    ASSUME: a weight is 1 mm wide and an image lasts 1 s. Neither has a size, but programs for
    medical images ask, and take other units for a mistake. The affine is ``diag(-1, -1, 1)``: in
    NIfTI x and y grow to the right and to the front of a patient, in ITK to the left and to the
    back, as its pixels do; so this lies in ITK's programs where the ``.mhd`` of an image's volume
    lies, and its rows run downwards on the screen. ``cal_min`` and ``cal_max`` are the common
    scale, for programs that look for it.
    """
    import nibabel

    longest = max(len(volumes), *volumes[0].shape)
    if longest > LONGEST_AXIS:
        raise UserError(
            f"{path}: an axis has {longest} values, but NIfTI holds at most {LONGEST_AXIS}; "
            "leave the layer out of the comparison's layers"
        )
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    # NIfTI has x fastest: the C order of (time, filter, y, x), read from its other end.
    image = nibabel.Nifti1Image(np.stack(volumes).T, affine)
    header = image.header
    image.set_sform(affine, "scanner")
    image.set_qform(affine, "scanner")
    header.set_xyzt_units("mm", "sec")
    header["pixdim"][4] = 1
    header["descrip"] = description.encode()[:79]
    scale = max(float(np.abs(volume).max()) for volume in volumes)
    header["cal_min"], header["cal_max"] = -scale, scale
    text = json.dumps(comment, ensure_ascii=False).encode()
    header.extensions.append(nibabel.nifti1.Nifti1Extension(NIFTI_COMMENT, text))
    with (
        atomic(path) as temporary,
        open(temporary, "wb") as stream,
        # No name and no time in it: same gradients, same bytes.
        gzip.GzipFile("", "wb", compresslevel=4, fileobj=stream, mtime=0) as packed,
    ):
        image.to_stream(packed)


def write_vti(path, volume, facts):
    """Write a volume as VTK XML image data, its bytes appended as they are.

    Values are point data, as ParaView has them from the ``.mhd`` of the same volume: surfaces of
    equal value and volume rendering need no conversion.

    Parameters
    ----------
    path : str or Path
        Ends in ``.vti``.
    volume : ndarray, (depth, height, width)
        Written as float32, as the array ``gradient``.
    facts : dict of str to str
        Field data: texts that belong to the whole volume.
    """
    depth, height, width = volume.shape
    extent = f"0 {width - 1} 0 {height - 1} 0 {depth - 1}"
    values = np.ascontiguousarray(volume, "<f4")
    size = np.uint64(values.nbytes).astype("<u8")
    texts = "".join(
        f'<Array type="String" Name="{name}" NumberOfTuples="1" format="ascii">'
        f"{' '.join(map(str, [*text.encode(), 0]))}</Array>\n"
        for name, text in facts.items()
    )
    head = f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="1 1 1">
<FieldData>
{texts}</FieldData>
<Piece Extent="{extent}">
<PointData Scalars="gradient">
<DataArray type="Float32" Name="gradient" format="appended" offset="0"/>
</PointData>
</Piece>
</ImageData>
<AppendedData encoding="raw">
_"""
    content = (head.encode(), size.tobytes(), values.data, b"\n</AppendedData>\n</VTKFile>\n")
    with atomic(path) as temporary, open(temporary, "wb") as stream:
        stream.writelines(content)


def write_pvd(path, files):
    """Write ParaView's list of the frames of a series, one second apart."""
    frames = "".join(
        f'<DataSet timestep="{time}" group="" part="0" '
        f'file="{escape(file.relative_to(path.parent).as_posix())}"/>\n'
        for time, file in enumerate(files)
    )
    text = f"""<?xml version="1.0"?>
<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">
<Collection>
{frames}</Collection>
</VTKFile>
"""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
