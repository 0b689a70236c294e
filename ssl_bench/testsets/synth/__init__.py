"""The embedded world `synth`: images, sounds and exact truth, made by code."""
