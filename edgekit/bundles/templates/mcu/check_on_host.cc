// The part of the self-check that needs no TensorFlow, for the machine that builds: are the resized pixels equal?
//
//     g++ -std=c++11 -O2 -o check check_on_host.cc preprocess.cc self_check.cc model.cc golden.cc && ./check
//
// On the target: Start (classifier.h), then SelfCheck with Classify for each golden vector.
#include <stdio.h>

#include <vector>

#include "model.h"
#include "preprocess.h"
#include "self_check.h"

int main() {
  using namespace edgekit;
  if (kGoldenCount == 0) {
    puts("self-check: NOT CHECKED, the model came without golden vectors");
    return 1;
  }
  bool passed = true;
  std::vector<uint8_t> pixels(static_cast<size_t>(kPreprocess.width) * kPreprocess.height * 3);
  for (int number = 0; number < kGoldenCount; ++number) {
    const size_t bytes = ScratchBytes(kPreprocess, kGolden[number].width, kGolden[number].height);
    std::vector<uint32_t> scratch(bytes / sizeof(uint32_t) + 1);
    const Check check =
        SelfCheck(number, nullptr, nullptr, pixels.data(), nullptr, scratch.data(), scratch.size() * sizeof(uint32_t));
    passed = passed && check.passed;
    printf("golden vector %d: pixels %s (%u bytes of scratch)\n", number, check.exact ? "equal" : "DIFFERENT",
           static_cast<unsigned>(bytes));
  }
  printf("self-check of the preprocessing: %s; arena: %u bytes\n", passed ? "passed" : "FAILED",
         static_cast<unsigned>(kArenaBytes));
  return passed ? 0 : 1;
}
