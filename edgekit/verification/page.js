// Runs a .tflite on LiteRT.js in this page and posts what it answers, or why it does not. It speaks to its own origin
// alone. request.json: {"names": the file's inputs as the runtime calls them, "shapes", "dtypes": one an input, "count": n}.

const ARRAYS = {
  float32: Float32Array, int32: Int32Array, uint8: Uint8Array, int8: Int8Array, int16: Int16Array, bool: Uint8Array,
};

async function bytes(path) {
  const found = await fetch(path);
  if (!found.ok) throw new Error(`${path}: ${found.status}`);
  return found.arrayBuffer();
}

function base64(parts) {
  let text = '';
  for (const part of parts) {
    const held = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    for (let at = 0; at < held.length; at += 8192) text += String.fromCharCode(...held.subarray(at, at + 8192));
  }
  return btoa(text);
}

async function answers() {
  const { loadLiteRt, loadAndCompile, Tensor } = await import('@litertjs/core');
  const request = JSON.parse(new TextDecoder().decode(await bytes('./request.json')));
  await loadLiteRt('./packages/@litertjs/core/wasm/');
  const model = await loadAndCompile(new Uint8Array(await bytes('./model.tflite')), { accelerator: 'wasm' });
  const inputs = await Promise.all(request.names.map((_, at) => bytes(`./input${at}.bin`)));
  const details = model.getOutputDetails();
  const found = details.map(() => []);
  const shapes = [];
  for (let sample = 0; sample < request.count; sample++) {
    const given = {};
    request.names.forEach((name, at) => {
      const kind = ARRAYS[request.dtypes[at]];
      const size = request.shapes[at].reduce((product, side) => product * side, 1);
      const offset = sample * size * kind.BYTES_PER_ELEMENT;
      given[name] = new Tensor(new kind(inputs[at], offset, size), request.shapes[at]);
    });
    const outputs = await model.run(given);
    details.forEach((one, at) => {
      const tensor = outputs[one.name];
      found[at].push(tensor.toTypedArray().slice());
      shapes[at] = Array.from(tensor.type.layout.dimensions);
      tensor.delete();
    });
    Object.values(given).forEach((tensor) => tensor.delete());
  }
  return details.map((one, at) => (
    { name: one.name, dtype: one.dtype, shape: [request.count, ...shapes[at]], data: base64(found[at]) }));
}

let said;
try {
  said = { ok: true, outputs: await answers() };
} catch (error) {
  said = { ok: false, error: { message: String(error && error.message || error) } };
}
await fetch('./answer', { method: 'POST', body: JSON.stringify(said) });
