// run CASES OUT: see ../cases.py. The client itself takes RGB, so that laying on white is left to Python here.
#include <cstdio>
#include <cstring>
#include <vector>

#include "preprocess.h"

int main(int, char** given) {
  using namespace edgekit;
  std::FILE* const cases = std::fopen(given[1], "rb");
  std::FILE* const out = std::fopen(given[2], "wb");
  int32_t head[10];
  while (std::fread(head, 4, 10, cases) == 10) {
    double scale;
    float floats[6];
    if (std::fread(&scale, 8, 1, cases) != 1 || std::fread(floats, 4, 6, cases) != 6) return 1;
    const size_t size = static_cast<size_t>(head[2]) * head[3] * 3;
    std::vector<uint8_t> rgb(static_cast<size_t>(head[0]) * head[1] * 3), pixels(size), codes(size);
    std::vector<float> real(size);
    if (std::fread(rgb.data(), 1, rgb.size(), cases) != rgb.size()) return 1;
    Preprocess wanted = {head[2], head[3], head[4] != 0, static_cast<Filter>(head[5]), head[6] != 0, head[7] != 0, {}, {}};
    std::memcpy(wanted.mean, floats, sizeof wanted.mean);
    std::memcpy(wanted.std, floats + 3, sizeof wanted.std);
    std::vector<uint8_t> scratch(ScratchBytes(wanted, head[0], head[1]));  // to the byte, so that a sanitizer sees more
    if (!Resize(wanted, rgb.data(), head[0], head[1], pixels.data(), scratch.data(), scratch.size())) return 2;
    if (!scratch.empty() &&
        Resize(wanted, rgb.data(), head[0], head[1], pixels.data(), scratch.data(), scratch.size() - 1)) return 3;
    Normalize(wanted, pixels.data(), real.data());
    Quantize(wanted, pixels.data(), scale, head[8], head[9], codes.data());
    std::fwrite(rgb.data(), 1, rgb.size(), out);
    std::fwrite(pixels.data(), 1, size, out);
    std::fwrite(real.data(), 4, size, out);
    std::fwrite(codes.data(), 1, size, out);
  }
  return std::fclose(out);
}
