/** The warning that the window, the square in a slice's middle that the network sees, may have cut the gland. */

/**
 * @param mask (H, W, D) in RAS, values 0 and 1; the last index changes fastest.
 * @param toWindow for rows and for columns, the factor and the offset from a voxel's index to its pixel in the window.
 * @param imageSize side of the window in pixels.
 * @returns one sentence, or null if the mask does not touch the window's border.
 */
export function windowWarning(mask, [height, width, depth], toWindow, imageSize, fieldOfView) {
  const rows = outerPixels(height, toWindow[0], imageSize);
  const columns = outerPixels(width, toWindow[1], imageSize);
  for (let i = 0, place = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      for (let k = 0; k < depth; k++, place++) {
        if (mask[place] && (rows[i] || columns[j])) {
          return (
            `The mask touches the border of the central ${fieldOfView} mm that the network sees, so the gland may be cut; ` +
            "check it, or use a student with a larger field of view."
          );
        }
      }
    }
  }
  return null;
}

/** For each index along an axis, whether its voxel lies in, or beyond, the outermost pixels of the window. */
function outerPixels(length, [factor, offset], size) {
  const halfVoxel = Math.abs(factor) / 2;
  const margin = Math.max(halfVoxel + 1, 2 * halfVoxel);
  return Array.from({ length }, (_, index) => {
    const place = index * factor + offset;
    return Math.min(place + 0.5, size - 0.5 - place) < margin;
  });
}
