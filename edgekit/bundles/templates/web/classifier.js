// The model: from a picture to one score a class, and the check that it says here what it said where it was made.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { decode, encode, onWhite, resize } from "./preprocess.js";

/** Loads model.json, the model and its runtime from beside this file. */
export async function loadClassifier() {
  const model = await (await fetched("model.json")).json();
  const content = new Uint8Array(await (await fetched(model.file)).arrayBuffer());
  await loadLiteRt(new URL("./litert/wasm/", import.meta.url).href);
  return new Classifier(model, await loadAndCompile(content, { accelerator: "wasm" }));
}

export class Classifier {
  constructor(model, compiled) {
    this.model = model;
    this.compiled = compiled;
  }

  /** RGBA pixels, alpha not multiplied in, upright -> { scores, pixels, milliseconds: { preparation, model } } */
  async classify(rgba, width, height) {
    const { preprocessing, input, output } = this.model;
    const started = performance.now();
    const pixels = resize(onWhite(rgba), width, height, preprocessing);
    const values = encode(pixels, preprocessing, input);
    const prepared = performance.now();
    const tensor = new Tensor(values, input.shape);
    const results = await this.compiled.run([tensor]);
    const scores = decode(results[0].toTypedArray(), output);
    tensor.delete();
    for (const result of results) result.delete();
    const milliseconds = { preparation: prepared - started, model: performance.now() - prepared };
    return { scores, pixels, milliseconds };
  }

  /** One entry a golden vector: { image, exact, difference, sameClass, passed }; none where the model came without. */
  async selfCheck() {
    const entries = [];
    for (const { image, pixels_crc32, scores } of this.model.golden) {
      const found = await this.classify(...(await pixelsOf(await (await fetched(image)).blob())));
      const difference = scores.reduce((most, score, at) => worse(most, Math.abs(score - found.scores[at])), 0);
      const exact = crc32(found.pixels) === pixels_crc32;
      const sameClass = agrees(scores, found.scores, this.model.tolerance);
      entries.push({ image, exact, difference, sameClass, passed: exact && sameClass && difference <= this.model.tolerance });
    }
    return entries;
  }
}

/** A file, a blob or a video frame -> RGBA pixels, alpha not multiplied in; the browser turns a photo upright. */
export async function pixelsOf(source) {
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(source, options);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  return [data, width, height];
}

/** Indices of the best scores, best first. */
export const best = (scores, count) => [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, count);

// Classes closer together than the tolerance may change places.
const agrees = (wanted, found, tolerance) => wanted[best(found, 1)[0]] >= wanted[best(wanted, 1)[0]] - tolerance;

const worse = (most, difference) => (difference <= most ? most : Number.isNaN(difference) ? Infinity : difference);

async function fetched(path) {
  const answer = await fetch(new URL(path, import.meta.url));
  if (!answer.ok) throw new Error(`${path} is not there (${answer.status}): copy the whole folder.`);
  return answer;
}

function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
