"""Scales one image to a size."""

import numpy as np
from PIL import Image

from pipeline.data.dataset import Images


def resized(image: Images, size: tuple[int, int]) -> Images:
    """The whole image, uint8 (h, w) or (h, w, 3), in a frame of `size` (h, w): its proportions are kept, and the rest of the
    frame has the colour of its border (median).
    """
    if image.shape[:2] == size:
        return image
    scale = min(whole / side for whole, side in zip(size, image.shape[:2], strict=True))
    height, width = (min(whole, max(1, round(side * scale))) for whole, side in zip(size, image.shape[:2], strict=True))
    scaled = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
    if (height, width) == size:
        return scaled
    result = np.empty((*size, *image.shape[2:]), np.uint8)
    result[:] = _border(image)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    result[top : top + height, left : left + width] = scaled
    return result


def _border(image: Images) -> Images:
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    return np.asarray(np.median(border, axis=0), np.uint8)
