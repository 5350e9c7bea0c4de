"""Plan outputs: names, packaging, images, which frames are read."""
