"""Draw on frames right before they are encoded: delogos, watermarks, blurred faces and plates."""
