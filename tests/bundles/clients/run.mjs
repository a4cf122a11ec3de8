// node run.mjs PREPROCESS.JS CASES OUT: see ../cases.py.
import { readFileSync, writeFileSync } from "node:fs";

const [module, cases, out] = process.argv.slice(2);
const { encode, onWhite, resize } = await import(module);
const FILTERS = ["nearest", "bilinear", "bicubic", "area"];
const held = readFileSync(cases);
const written = [];
const keep = (array) => written.push(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
for (let at = 0; at < held.length;) {
  const [width, height, newWidth, newHeight, bgr, filter, antialias, crop, zero_point, lowest] =
    Array.from({ length: 10 }, (_, number) => held.readInt32LE(at + 4 * number));
  const scale = held.readDoubleLE(at + 40);
  const floats = Array.from({ length: 6 }, (_, number) => held.readFloatLE(at + 48 + 4 * number));
  const rgba = new Uint8ClampedArray(held.subarray(at + 72, at + 72 + width * height * 4));
  at += 72 + width * height * 4;
  const spec = {
    width: newWidth, height: newHeight, channels: bgr ? "bgr" : "rgb", resize: FILTERS[filter], antialias: Boolean(antialias),
    crop: crop ? "center" : "none", mean: floats.slice(0, 3), std: floats.slice(3),
  };
  const rgb = onWhite(rgba);
  const pixels = resize(rgb, width, height, spec);
  keep(rgb);
  keep(pixels);
  keep(encode(pixels, spec, { dtype: "float32", scale: null }));
  keep(encode(pixels, spec, { dtype: lowest ? "int8" : "uint8", scale, zero_point }));
}
writeFileSync(out, Buffer.concat(written));
