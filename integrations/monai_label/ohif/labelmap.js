// The labelmap of the panel, with its place in space.

const GRID_TOLERANCE = 0.2; // of the smallest spacing, as the server allows for a label
const NIFTI_HEADER_BYTES = 352;

const labelmap = {
  /** The columns of the affine of a volume of Cornerstone, index to LPS mm: the steps of the three axes, and the origin. */
  columns({ direction, spacing, origin }) {
    const steps = [0, 1, 2].map(axis => [0, 1, 2].map(at => direction[3 * axis + at] * spacing[axis]));
    return [...steps, [...origin]];
  },

  /** Whether the mask in an NRRD lies on the grid of a labelmap. Otherwise its voxels would land in another place. */
  fits(header, volume) {
    const mask = [...header.spaceDirections, header.spaceOrigin];
    const limit = volume && GRID_TOLERANCE * Math.min(...volume.spacing);
    const same =
      volume &&
      header.sizes.every((size, axis) => size === volume.dimensions[axis]) &&
      this.columns(volume).every((column, i) =>
        // A step moves the farthest voxel by its error times the number of voxels.
        column.every((mm, at) => Math.abs(mm - mask[i][at]) * (volume.dimensions[i] ?? 1) < limit)
      );
    if (!same) {
      annotatingNotify('error', 'The segmentation was begun on another series. Reload the page, and run again.');
    }
    return same;
  },

  /** The panel's labelmap as NIfTI, and the series that it was begun on. */
  read() {
    const { segmentationService } = window.services;
    const exists = segmentationService.getSegmentation('1');
    const volume = exists && segmentationService.getLabelmapVolume('1');
    if (!volume) {
      throw new Error('There is no segmentation yet. Connect to the server first.');
    }
    const { cache, metaData } = window.cornerstone;
    const { referencedImageId } = cache.getImage(volume.imageIds[0]);
    return { series: metaData.get('instance', referencedImageId).SeriesInstanceUID, nifti: this.nifti(volume) };
  },

  /** A volume of Cornerstone as NIfTI-1 of bytes. */
  nifti(volume) {
    const header = new DataView(new ArrayBuffer(NIFTI_HEADER_BYTES));
    const columns = this.columns(volume);
    header.setInt32(0, 348, true);
    header.setInt16(40, 3, true);
    volume.dimensions.forEach((size, axis) => header.setInt16(42 + 2 * axis, size, true));
    header.setInt16(70, 2, true); // uint8
    header.setInt16(72, 8, true);
    header.setFloat32(76, 1, true);
    volume.spacing.forEach((mm, axis) => header.setFloat32(80 + 4 * axis, mm, true));
    header.setFloat32(108, NIFTI_HEADER_BYTES, true);
    header.setFloat32(112, 1, true);
    header.setUint8(123, 2); // mm
    header.setInt16(254, 1, true); // the affine is in scanner coordinates
    for (let row = 0; row < 3; row++) {
      columns.forEach((column, i) => {
        const ras = row < 2 ? -column[row] : column[row];
        header.setFloat32(280 + 16 * row + 4 * i, ras, true);
      });
    }
    [0x6e, 0x2b, 0x31].forEach((letter, at) => header.setUint8(344 + at, letter)); // n+1
    return new Blob([header, volume.voxelManager.getCompleteScalarDataArray()]);
  },
};
