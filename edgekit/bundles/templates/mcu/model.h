// The model: what model.cc and golden.cc, made by edgekit for one model, hold.
#ifndef EDGEKIT_MODEL_H_
#define EDGEKIT_MODEL_H_

#include <stddef.h>
#include <stdint.h>

#include "preprocess.h"
#include "self_check.h"

namespace edgekit {

// Of the input or output: real = (code - zero_point) * scale. `scale` is 0 where it is float32; `lowest` is the lowest
// code, 0 for uint8 and -128 for int8.
struct Codes {
  double scale;
  int zero_point;
  int lowest;
};

extern const uint8_t kModel[];  // the .tflite, aligned to 16 bytes
extern const size_t kModelBytes;
extern const size_t kArenaBytes;  // that TensorFlow Lite Micro needs, as edgekit estimates it
extern const Preprocess kPreprocess;
extern const Codes kInput, kOutput;
extern const int kClasses;
extern const char* const kLabels[];  // UTF-8, in the order of the scores
extern const float kTolerance;       // of the self-check

// golden.cc: of use for the self-check alone; a firmware that does not call it leaves them out.
extern const int kGoldenCount;
extern const Golden kGolden[];

}  // namespace edgekit

#endif  // EDGEKIT_MODEL_H_
