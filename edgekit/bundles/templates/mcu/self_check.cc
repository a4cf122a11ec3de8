#include "self_check.h"

#include <math.h>

#include "model.h"
#include "preprocess.h"

namespace edgekit {
namespace {

int Best(const float* scores) {
  int best = 0;
  for (int at = 1; at < kClasses; ++at) {
    if (scores[at] > scores[best]) best = at;
  }
  return best;
}

}  // namespace

uint32_t Crc32(const uint8_t* bytes, size_t count) {
  uint32_t crc = 0xffffffffu;
  for (size_t at = 0; at < count; ++at) {
    crc ^= bytes[at];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? 0xedb88320u : 0u);
  }
  return ~crc;
}

Check SelfCheck(int number, Run run, void* context, uint8_t* pixels, float* scores, void* scratch,
                size_t scratch_bytes) {
  const Golden& golden = kGolden[number];
  Check check = {false, INFINITY, false, false};
  if (!Resize(kPreprocess, golden.rgb, golden.width, golden.height, pixels, scratch, scratch_bytes)) return check;
  check.exact = Crc32(pixels, static_cast<size_t>(kPreprocess.width) * kPreprocess.height * 3) == golden.pixels_crc32;
  if (run == nullptr) {
    check.passed = check.exact;
    return check;
  }
  if (!run(pixels, scores, context)) return check;
  check.difference = 0.0f;
  for (int at = 0; at < kClasses; ++at) {
    const float apart = fabsf(scores[at] - golden.scores[at]);
    if (!(apart <= check.difference)) check.difference = apart == apart ? apart : INFINITY;
  }
  // Classes closer together than the tolerance may change places.
  check.same_class = golden.scores[Best(scores)] >= golden.scores[Best(golden.scores)] - kTolerance;
  check.passed = check.exact && check.same_class && check.difference <= kTolerance;
  return check;
}

}  // namespace edgekit
