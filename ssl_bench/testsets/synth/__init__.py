"""The embedded world `synth`: images, sounds and exact truth, made by code.

It separates four things that real test sets mix: finding *an* object, finding one that *could*
sound, finding the one that *does*, and knowing how large objects are and where they stand. So it
has sixteen categories that sound and six that never do, scenes in which every capable object
sounds (type A) and scenes in which only one does (type B), and sounds that tell the category but
hardly the size.
"""

from ssl_bench.testsets.synth.arrays import object_arrays, scene_arrays
from ssl_bench.testsets.synth.testset import TEST_SET, SynthTestSet
from ssl_bench.testsets.synth.world import World

__all__ = ["TEST_SET", "SynthTestSet", "World", "object_arrays", "scene_arrays"]
