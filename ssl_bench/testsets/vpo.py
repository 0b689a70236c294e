"""VPO (Chen et al. 2024): photographs of COCO, paired with sounds of the objects in them.

SS has one sounding object in each photograph, MS several: there a photograph comes once with each
of its sounds, and the box is the one of the object that is heard.
"""

from __future__ import annotations

from ssl_bench.testsets.box_table import BoxTable, Row

_LAYOUT = """\
DATA/{name}/
  {table}       the boxes: image,audio,xmin,ymin,xmax,ymax in pixels of the 224 grid
  frames/<image>.jpg   one image per row (.jpg, .jpeg, .png, .webp, .bmp)
  audio/<audio>.wav    one sound per row (.wav, .flac, .ogg, or a video such as .mp4)
  masks/<image>.png    only for {name}:masks: black, and white where the object is that is
                       heard; {name}:masks-nonzero, :masks-half, :masks-alpha and :masks-dither
                       read other masks by these rules

<image> and <audio> are the names in the table, such as {image}: the photograph and the
annotated object. Rows of one photograph are not independent and share a group.

Where the files come from
  images, sounds, masks   https://github.com/cyh-0/CAVP
  boxes                   https://github.com/kaistmm/SSLalignment, folder metadata, written as
                          a table: {count:,} rows, of which {empty} have an empty box (0,0,0,0)

Baselines that neither look nor listen need the table alone.
"""


class Vpo(BoxTable):
    """One part of VPO."""

    image_column = "image"
    template = _LAYOUT

    def group(self, row: Row) -> str:
        """The photograph: the name of a row is its number and the object's."""
        return row.id.partition("_")[0]

    def mask_name(self, row: Row) -> str:
        """Masks are named after the row's image."""
        return row.image


TEST_SETS = (
    Vpo(
        "vpo-ss",
        "VPO-SS",
        "a91205be3cf71a9b897bce61dc37d8afc07216946f2b17f2909f322c160a1548",
        image="000000062491_432356",
        count=890,
        empty="none",
    ),
    Vpo(
        "vpo-ms",
        "VPO-MS",
        "dab3fb02ecc18abdf334d5164d8703b196ed7125b6a608e3052824f4b828d601",
        image="000000489267_157452",
        count=2157,
        empty=2,
    ),
)
