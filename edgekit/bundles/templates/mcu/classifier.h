// The model in TensorFlow Lite Micro. This header and classifier.cc alone need it; everything else compiles without.
#ifndef EDGEKIT_CLASSIFIER_H_
#define EDGEKIT_CLASSIFIER_H_

#include <stddef.h>
#include <stdint.h>

namespace edgekit {

// Once, before anything else. `arena` is aligned to 16 bytes and of kArenaBytes (model.h) or more. False: it is too
// small, or an operator is missing.
bool Start(uint8_t* arena, size_t arena_bytes);

// Pixels that Resize (preprocess.h) made -> scores, one a class. It is a `Run` of self_check.h.
bool Classify(const uint8_t* pixels, float* scores, void* context);

// Of the arena, after Start.
size_t ArenaBytesUsed();

}  // namespace edgekit

#endif  // EDGEKIT_CLASSIFIER_H_
