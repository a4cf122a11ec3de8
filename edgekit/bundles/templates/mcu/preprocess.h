// What has to be done to a picture before the model sees it, to the bit what edgekit does in Python.
//
// Resizing with antialiasing is Pillow's algorithm: one pass a direction, horizontal first, weights in fixed point with
// 22 bits behind the point, rounded 8-bit values between the two passes. Without antialiasing a pixel is the weighted
// sum of 2x2 (bilinear) or 4x4 (bicubic) source pixels around the half-pixel centre, in float32.
//
// No heap, no standard library beyond <math.h>; C++11.
#ifndef EDGEKIT_PREPROCESS_H_
#define EDGEKIT_PREPROCESS_H_

#include <stddef.h>
#include <stdint.h>

namespace edgekit {

enum class Filter { kNearest, kBilinear, kBicubic, kArea };

struct Preprocess {
  int width, height;   // of the model's input
  bool bgr;            // order of the channels
  Filter filter;
  bool antialias;
  bool center_crop;    // the largest centred square first
  float mean[3], std[3];  // on the 0..255 scale, in the order of the channels
};

// Bytes of memory that Resize needs for a while, for a picture of this size.
size_t ScratchBytes(const Preprocess& wanted, int width, int height);

// `rgb`: width * height * 3 bytes, row by row. Writes wanted.width * wanted.height * 3 bytes to `resized`. `scratch` is
// aligned to 4 bytes. False where it is too small.
bool Resize(const Preprocess& wanted, const uint8_t* rgb, int width, int height, uint8_t* resized, void* scratch,
            size_t scratch_bytes);

// Resized pixels -> what the input tensor holds: float32, or codes of uint8 (lowest = 0) or int8 (lowest = -128).
void Normalize(const Preprocess& wanted, const uint8_t* pixels, float* input);
void Quantize(const Preprocess& wanted, const uint8_t* pixels, double scale, int zero_point, int lowest,
              uint8_t* input);

}  // namespace edgekit

#endif  // EDGEKIT_PREPROCESS_H_
