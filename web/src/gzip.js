/** gzip by the browser itself. */

export const isGzip = (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** @throws TypeError if the bytes are damaged or cut off. */
export const gunzip = (bytes) => through(bytes, new DecompressionStream("gzip"));

export const gzip = (bytes) => through(bytes, new CompressionStream("gzip"));

async function through(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}
