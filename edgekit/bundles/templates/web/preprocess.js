// What has to be done to a picture before the model sees it, to the bit what edgekit does in Python.
//
// Resizing with antialiasing is Pillow's algorithm: one pass a direction, horizontal first, weights in fixed point with
// 22 bits behind the point, a rounded 8-bit image between the two passes. Without antialiasing a pixel is the weighted
// sum of 2x2 (bilinear) or 4x4 (bicubic) source pixels around the half-pixel centre, in float32.
//
// `spec` is the `preprocessing` of model.json. Pixels are 8 bits a channel, row by row.

const PRECISION = 22; // bits behind the point of a weight: 8 bits of pixel and the sign of a sum leave them in 32
const { floor, ceil, abs, min, max, fround } = Math;

const keys = (d) => { // Keys' cubic convolution, a = -0.5
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
};

// Reach in source pixels, and weight by signed distance. The order of the operations decides the last bit.
const FILTERS = {
  area: { reach: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { reach: 1, weight: (x) => max(1 - abs(x), 0) },
  bicubic: { reach: 2, weight: (x) => {
    const d = abs(x);
    if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0;
  } },
};

/** RGBA (alpha not multiplied in) -> RGB, laid on white. */
export function onWhite(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const alpha = rgba[from + 3];
    for (let channel = 0; channel < 3; channel++) {
      const sum = rgba[from + channel] * alpha + 255 * (255 - alpha) + 128;
      rgb[to++] = ((sum >> 8) + sum) >> 8; // sum / 255, rounded
    }
  }
  return rgb;
}

/** RGB of any size -> RGB or BGR (as the model wants it) of the model's size. */
export function resize(rgb, width, height, spec) {
  let image = { pixels: rgb, width, height };
  if (spec.crop === "center") image = centerSquare(image);
  if (image.width !== spec.width || image.height !== spec.height) {
    if (spec.resize === "nearest") image = nearest(image, spec.width, spec.height);
    else if (spec.antialias || spec.resize === "area") image = convolved(image, spec.width, spec.height, FILTERS[spec.resize]);
    else image = pointSampled(image, spec.width, spec.height, spec.resize);
  }
  return spec.channels === "bgr" ? swapped(image.pixels) : Uint8Array.from(image.pixels);
}

/** Resized pixels -> what the input tensor holds; `input` is the `input` of model.json. */
export function encode(pixels, spec, input) {
  const mean = spec.mean.map(fround), std = spec.std.map(fround);
  if (input.dtype === "float32") {
    return Float32Array.from(pixels, (pixel, at) => fround(fround(pixel - mean[at % 3]) / std[at % 3]));
  }
  const [lowest, highest] = input.dtype === "uint8" ? [0, 255] : [-128, 127];
  const codes = new (input.dtype === "uint8" ? Uint8Array : Int8Array)(pixels.length);
  for (let at = 0; at < pixels.length; at++) {
    const real = fround(fround(pixels[at] - mean[at % 3]) / std[at % 3]);
    codes[at] = min(max(halfToEven(real / input.scale) + input.zero_point, lowest), highest);
  }
  return codes;
}

/** What the output tensor holds -> scores, float32; `output` is the `output` of model.json. */
export function decode(held, output) {
  if (output.scale === null) return Float32Array.from(held);
  return Float32Array.from(held, (code) => fround(fround(code - output.zero_point) * fround(output.scale)));
}

function centerSquare({ pixels, width, height }) {
  const side = min(width, height), left = (width - side) >> 1, top = (height - side) >> 1;
  const square = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    const from = ((top + y) * width + left) * 3;
    square.set(pixels.subarray(from, from + side * 3), y * side * 3);
  }
  return { pixels: square, width: side, height: side };
}

function swapped(rgb) {
  const bgr = new Uint8Array(rgb.length);
  for (let at = 0; at < rgb.length; at += 3) {
    bgr[at] = rgb[at + 2];
    bgr[at + 1] = rgb[at + 1];
    bgr[at + 2] = rgb[at];
  }
  return bgr;
}

function nearest({ pixels, width, height }, newWidth, newHeight) {
  const columns = nearestPositions(width, newWidth), rows = nearestPositions(height, newHeight);
  const result = new Uint8Array(newWidth * newHeight * 3);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * width + column) * 3;
      for (let channel = 0; channel < 3; channel++) result[to++] = pixels[from + channel];
    }
  }
  return { pixels: result, width: newWidth, height: newHeight };
}

function nearestPositions(size, newSize) {
  const positions = [];
  const step = size / newSize;
  for (let at = 0, position = step * 0.5; at < newSize; at++, position += step) positions.push(floor(position)); // added up, as Pillow does
  return positions;
}

function convolved(image, newWidth, newHeight, filter) {
  if (image.width !== newWidth) image = alongRows(image, weights(image.width, newWidth, filter), newWidth);
  if (image.height !== newHeight) image = alongColumns(image, weights(image.height, newHeight, filter), newHeight);
  return image;
}

/** Of each new pixel: the first source pixel, and the weights of those from there on. */
function weights(size, newSize, { reach, weight }) {
  const scale = size / newSize, stretch = max(scale, 1), support = reach * stretch, shrink = 1 / stretch;
  return Array.from({ length: newSize }, (_, at) => {
    const center = (at + 0.5) * scale;
    const first = max(Math.trunc(center - support + 0.5), 0);
    const last = min(Math.trunc(center + support + 0.5), size);
    const taps = [];
    let total = 0;
    for (let tap = 0; tap < last - first; tap++) {
      taps.push(weight((tap + first - center + 0.5) * shrink));
      total += taps[tap];
    }
    return { first, taps: Int32Array.from(taps, (tap) => fixed(total !== 0 ? tap / total : tap)) };
  });
}

const fixed = (value) => Math.trunc(value * (1 << PRECISION) + (value < 0 ? -0.5 : 0.5));
const toByte = (sum) => min(max(sum >> PRECISION, 0), 255);
const HALF = 1 << (PRECISION - 1);

function alongRows({ pixels, width, height }, table, newWidth) {
  const result = new Uint8Array(newWidth * height * 3);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (const { first, taps } of table) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = HALF, from = (y * width + first) * 3 + channel;
        for (let tap = 0; tap < taps.length; tap++, from += 3) sum += pixels[from] * taps[tap];
        result[to++] = toByte(sum);
      }
    }
  }
  return { pixels: result, width: newWidth, height };
}

function alongColumns({ pixels, width }, table, newHeight) {
  const stride = width * 3, result = new Uint8Array(stride * newHeight);
  let to = 0;
  for (const { first, taps } of table) {
    for (let x = 0; x < stride; x++) {
      let sum = HALF, from = first * stride + x;
      for (let tap = 0; tap < taps.length; tap++, from += stride) sum += pixels[from] * taps[tap];
      result[to++] = toByte(sum);
    }
  }
  return { pixels: result, width, height: newHeight };
}

function pointSampled({ pixels, width, height }, newWidth, newHeight, kind) {
  const columns = points(width, newWidth, kind), rows = points(height, newHeight, kind);
  const result = new Uint8Array(newWidth * newHeight * 3);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let across = 0; across < column.taps.length; across++) {
          let line = 0;
          for (let down = 0; down < row.taps.length; down++) {
            const pixel = pixels[(row.at[down] * width + column.at[across]) * 3 + channel];
            line = fround(line + fround(pixel * row.taps[down]));
          }
          sum = fround(sum + fround(line * column.taps[across]));
        }
        result[to++] = min(max(floor(fround(sum + 0.5)), 0), 255);
      }
    }
  }
  return { pixels: result, width: newWidth, height: newHeight };
}

/** Of each new pixel: source pixels (none outside the picture has a weight) and their float32 weights. */
function points(size, newSize, kind) {
  const count = kind === "bicubic" ? 4 : 2, weight = kind === "bicubic" ? keys : (d) => max(1 - d, 0);
  return Array.from({ length: newSize }, (_, at) => {
    const center = (at + 0.5) * (size / newSize) - 0.5;
    const places = Array.from({ length: count }, (_, tap) => floor(center) + 1 - count / 2 + tap);
    const taps = places.map((place) => (place < 0 || place >= size ? 0 : weight(abs(center - place))));
    const total = taps.reduce((sum, tap) => sum + tap, 0);
    return { at: places.map((place) => min(max(place, 0), size - 1)), taps: Float32Array.from(taps, (tap) => tap / total) };
  });
}

function halfToEven(value) {
  const low = floor(value), rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}
