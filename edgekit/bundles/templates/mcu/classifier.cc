#include "classifier.h"

#include <new>

#include "model.h"
#include "operators.h"
#include "preprocess.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace edgekit {
namespace {

// Placed in memory of their own: the interpreter's constructor wants the arena, which Start brings.
alignas(tflite::MicroInterpreter) uint8_t interpreter_memory[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter* interpreter = nullptr;

}  // namespace

bool Start(uint8_t* arena, size_t arena_bytes) {
  static Operators operators;
  static const bool registered = Register(operators);
  const tflite::Model* const model = tflite::GetModel(kModel);
  if (!registered || model->version() != TFLITE_SCHEMA_VERSION) return false;
  interpreter = new (interpreter_memory) tflite::MicroInterpreter(model, operators, arena, arena_bytes);
  if (interpreter->AllocateTensors() == kTfLiteOk) return true;
  interpreter = nullptr;
  return false;
}

bool Classify(const uint8_t* pixels, float* scores, void*) {
  if (interpreter == nullptr) return false;
  TfLiteTensor* const input = interpreter->input(0);
  if (kInput.scale == 0.0) {
    Normalize(kPreprocess, pixels, input->data.f);
  } else {
    Quantize(kPreprocess, pixels, kInput.scale, kInput.zero_point, kInput.lowest, input->data.uint8);
  }
  if (interpreter->Invoke() != kTfLiteOk) return false;
  const TfLiteTensor* const output = interpreter->output(0);
  for (int at = 0; at < kClasses; ++at) {
    if (kOutput.scale == 0.0) {
      scores[at] = output->data.f[at];
    } else {
      const int code = kOutput.lowest < 0 ? output->data.int8[at] : output->data.uint8[at];
      scores[at] = static_cast<float>(code - kOutput.zero_point) * static_cast<float>(kOutput.scale);
    }
  }
  return true;
}

size_t ArenaBytesUsed() { return interpreter == nullptr ? 0 : interpreter->arena_used_bytes(); }

}  // namespace edgekit
