"""The engine: trials and a localizer become predictions; each image and sound is encoded once."""
