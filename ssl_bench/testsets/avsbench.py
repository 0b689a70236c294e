"""AVSBench (Zhou et al. 2022): five frames of each clip, with what sounds segmented.

S4 has one sounding source in each clip, MS3 several. The published boxes surround the masks and
reach 223 at most: their inclusive corners are used as exclusive ends, so the last row and column
are lost. They are kept as they are.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ssl_bench.testsets.box_table import BoxTable, Row

_VIDEO = re.compile(r"(?P<youtube>.{11})(_\d+)?", re.ASCII)

_LAYOUT = """\
DATA/{name}/
  {table}   the boxes: frame,audio,xmin,ymin,xmax,ymax in pixels of the 224 grid
  frames/<frame>    one image per row (.jpg, .jpeg, .png, .webp, .bmp)
  audio/<audio>     one sound per clip (.wav, .flac, .ogg, or a video such as .mp4)
  masks/<mask>.png  only for {name}:masks: black, and white where it sounds (see below)

<frame> and <audio> are the names in the table, with their folders; the ending may be another.
  frame   {frame}
  audio   {audio}
  mask    {mask}
Masks of more levels or colours are read by a rule that the split names: {name}:masks-nonzero
(not black), :masks-half (at least half as bright as white), :masks-alpha (the alpha channel), or
:masks-dither, which is how AVSBench's loader reads S4, and ACL both parts.
So links to the folders of the data set are enough:
  frames -> visual_frames, audio -> audio_wav, masks -> gt_masks

Where the files come from
  frames, sounds, masks   https://github.com/OpenNLPLab/AVSBench ({part})
  boxes                   https://github.com/kaistmm/SSLalignment, folder metadata, written as
                          a table: {count:,} rows, of which {empty} have an empty box (0,0,0,0)

Baselines that neither look nor listen need the table alone.
"""


class AvsBench(BoxTable):
    """One part of AVSBench."""

    image_column = "frame"
    template = _LAYOUT

    def group(self, row: Row) -> str:
        """The source video: clips of one video differ in the number that follows its name."""
        folder = PurePosixPath(row.image).parent.name
        match = _VIDEO.fullmatch(folder)
        return match["youtube"] if match else folder

    def category(self, row: Row) -> str:
        """What sounds: the folder above the clip's in S4, nothing in MS3."""
        parts = row.image.split("/")
        return parts[-3] if len(parts) > 3 else super().category(row)

    def mask_name(self, row: Row) -> str:
        """Masks lie in a folder of the clip, under the frame's name without ``.mp4``."""
        return f"{row.audio}/{row.id.replace('.mp4_', '_')}"


TEST_SETS = (
    AvsBench(
        "avsbench-s4",
        "AVSBench S4",
        "14b95fbc42cc5a5d2f522e6d3a35bc3f644e11e5cde0e8af11477972bf77120d",
        frame="test/helicopter/0d9u2CymIxc/0d9u2CymIxc_1.png",
        audio="test/helicopter/0d9u2CymIxc.wav",
        mask="test/helicopter/0d9u2CymIxc/0d9u2CymIxc_1.png",
        part="s4_data",
        count=3700,
        empty=6,
    ),
    AvsBench(
        "avsbench-ms3",
        "AVSBench MS3",
        "47c5c6e8af1b1ed3e340b81c17c1ad4d70da9404da733e5853245d9ff48bef27",
        frame="rq5RDUm2Hnk_1/rq5RDUm2Hnk_1.mp4_1.png",
        audio="test/rq5RDUm2Hnk_1.wav",
        mask="test/rq5RDUm2Hnk_1/rq5RDUm2Hnk_1_1.png",
        part="ms3_data",
        count=320,
        empty=29,
    ),
)
