// Does the model say here what it said where it was made? Needs no TensorFlow: whoever runs the model is passed in.
#ifndef EDGEKIT_SELF_CHECK_H_
#define EDGEKIT_SELF_CHECK_H_

#include <stddef.h>
#include <stdint.h>

namespace edgekit {

// A picture with the scores that the model gave for it, and the CRC-32 of its pixels after resizing.
struct Golden {
  const uint8_t* rgb;
  int width, height;
  uint32_t pixels_crc32;
  const float* scores;
};

struct Check {
  bool exact;        // the resized pixels are equal
  float difference;  // largest, of the scores
  bool same_class;
  bool passed;
};

// Resized pixels -> scores, one a class; false where the model did not run.
typedef bool (*Run)(const uint8_t* pixels, float* scores, void* context);

// Golden vector `number` of kGolden (model.h). `pixels` and `scores` have room for the model's input and output,
// `scratch` for ScratchBytes (preprocess.h) of the picture. Without `run` only the pixels are checked.
Check SelfCheck(int number, Run run, void* context, uint8_t* pixels, float* scores, void* scratch,
                size_t scratch_bytes);

uint32_t Crc32(const uint8_t* bytes, size_t count);

}  // namespace edgekit

#endif  // EDGEKIT_SELF_CHECK_H_
