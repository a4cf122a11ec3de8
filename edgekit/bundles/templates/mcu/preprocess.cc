#include "preprocess.h"

#include <math.h>

// A multiplication and an addition fused into one would round once where Python rounds twice.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

namespace edgekit {
namespace {

constexpr int kPrecision = 22;  // bits behind the point: 8 bits of pixel and the sign of a sum leave them in 32
constexpr int32_t kHalf = 1 << (kPrecision - 1);
constexpr int kMostPoints = 4;

int Min(int a, int b) { return a < b ? a : b; }
int Max(int a, int b) { return a > b ? a : b; }
uint8_t ToByte(int32_t sum) { return static_cast<uint8_t>(Min(Max(sum >> kPrecision, 0), 255)); }

// A part of the picture: `pixels` is its first one.
struct View {
  const uint8_t* pixels;
  int width, height;
  int stride;  // bytes from one row to the next
};

View Cropped(const Preprocess& wanted, const uint8_t* rgb, int width, int height) {
  if (!wanted.center_crop) return {rgb, width, height, width * 3};
  const int side = Min(width, height), left = (width - side) / 2, top = (height - side) / 2;
  return {rgb + (static_cast<ptrdiff_t>(top) * width + left) * 3, side, side, width * 3};
}

double Reach(Filter filter) { return filter == Filter::kArea ? 0.5 : filter == Filter::kBilinear ? 1.0 : 2.0; }

// By signed distance. The order of the operations decides the last bit.
double Weight(Filter filter, double x) {
  if (filter == Filter::kArea) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  const double d = fabs(x);
  if (filter == Filter::kBilinear) return d < 1.0 ? 1.0 - d : 0.0;
  if (d < 1.0) return (1.5 * d - 2.5) * d * d + 1.0;
  return d < 2.0 ? (((d - 5.0) * d + 8.0) * d - 4.0) * -0.5 : 0.0;
}

// Keys' cubic convolution, a = -0.5.
double Keys(double d) {
  if (d < 1.0) return (1.5 * d - 2.5) * d * d + 1.0;
  return d < 2.0 ? ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0 : 0.0;
}

// Room for the weights of one new pixel.
int MostTaps(int size, int new_size, Filter filter) {
  const double scale = static_cast<double>(size) / new_size;
  return static_cast<int>(ceil(Reach(filter) * (scale > 1.0 ? scale : 1.0))) * 2 + 1;
}

int32_t Fixed(double value) {
  return static_cast<int32_t>(value * (1 << kPrecision) + (value < 0.0 ? -0.5 : 0.5));
}

// The weights of new pixel `at` from source pixel `*first` on, and how many there are.
int Weights(int size, int new_size, Filter filter, int at, int* first, int32_t* weights) {
  const double scale = static_cast<double>(size) / new_size, stretch = scale > 1.0 ? scale : 1.0;
  const double support = Reach(filter) * stretch, shrink = 1.0 / stretch, center = (at + 0.5) * scale;
  *first = Max(static_cast<int>(center - support + 0.5), 0);
  const int count = Min(static_cast<int>(center + support + 0.5), size) - *first;
  double total = 0.0;
  for (int tap = 0; tap < count; ++tap) total += Weight(filter, (tap + *first - center + 0.5) * shrink);
  for (int tap = 0; tap < count; ++tap) {
    const double weight = Weight(filter, (tap + *first - center + 0.5) * shrink);
    weights[tap] = Fixed(total != 0.0 ? weight / total : weight);
  }
  return count;
}

// One row of source pixels, narrowed or widened: of each new column its first source pixel, its number of weights and
// the weights stand in `table`, `taps` + 2 numbers a column.
void AddRow(const uint8_t* row, const int32_t* table, int taps, int columns, int32_t weight, int32_t* sums) {
  for (int column = 0; column < columns; ++column, table += taps + 2) {
    const uint8_t* from = row + table[0] * 3;
    int32_t red = kHalf, green = kHalf, blue = kHalf;
    for (int tap = 0; tap < table[1]; ++tap, from += 3) {
      red += from[0] * table[2 + tap];
      green += from[1] * table[2 + tap];
      blue += from[2] * table[2 + tap];
    }
    *sums++ += ToByte(red) * weight;
    *sums++ += ToByte(green) * weight;
    *sums++ += ToByte(blue) * weight;
  }
}

// The rows that a new row is made of are narrowed each time they are needed: that takes less memory than an image.
void Convolve(const View& from, const Preprocess& wanted, uint8_t* to, int32_t* scratch) {
  const int taps = MostTaps(from.width, wanted.width, wanted.filter), stride = wanted.width * 3;
  int32_t* const table = scratch;
  int32_t* const sums = table + static_cast<ptrdiff_t>(taps + 2) * wanted.width;
  int32_t* const row_weights = sums + stride;
  for (int column = 0; column < wanted.width; ++column) {
    int32_t* const entry = table + static_cast<ptrdiff_t>(taps + 2) * column;
    int first;
    entry[1] = Weights(from.width, wanted.width, wanted.filter, column, &first, entry + 2);
    entry[0] = first;
  }
  for (int row = 0; row < wanted.height; ++row, to += stride) {
    int first;
    const int count = Weights(from.height, wanted.height, wanted.filter, row, &first, row_weights);
    for (int at = 0; at < stride; ++at) sums[at] = kHalf;
    for (int tap = 0; tap < count; ++tap) {
      const uint8_t* const source = from.pixels + static_cast<ptrdiff_t>(first + tap) * from.stride;
      AddRow(source, table, taps, wanted.width, row_weights[tap], sums);
    }
    for (int at = 0; at < stride; ++at) to[at] = ToByte(sums[at]);
  }
}

void Nearest(const View& from, const Preprocess& wanted, uint8_t* to) {
  const double down = static_cast<double>(from.height) / wanted.height;
  const double across = static_cast<double>(from.width) / wanted.width;
  double y = down * 0.5;
  for (int row = 0; row < wanted.height; ++row, y += down) {  // added up, as Pillow does
    const uint8_t* const source = from.pixels + static_cast<ptrdiff_t>(y) * from.stride;
    double x = across * 0.5;
    for (int column = 0; column < wanted.width; ++column, x += across) {
      const uint8_t* const pixel = source + static_cast<ptrdiff_t>(x) * 3;
      for (int channel = 0; channel < 3; ++channel) *to++ = pixel[channel];
    }
  }
}

// Of a new pixel: source pixels (none outside the picture has a weight) and their weights.
struct Points {
  int32_t at[kMostPoints];
  float weights[kMostPoints];
};

Points PointsOf(int size, int new_size, int at, int count) {
  Points points;
  const double center = (at + 0.5) * (static_cast<double>(size) / new_size) - 0.5;
  double real[kMostPoints], total = 0.0;
  for (int tap = 0; tap < count; ++tap) {
    const int place = static_cast<int>(floor(center)) + 1 - count / 2 + tap;
    const double distance = fabs(center - place);
    const double weight = count == 4 ? Keys(distance) : distance < 1.0 ? 1.0 - distance : 0.0;
    real[tap] = place < 0 || place >= size ? 0.0 : weight;
    total += real[tap];
    points.at[tap] = Min(Max(place, 0), size - 1);
  }
  for (int tap = 0; tap < count; ++tap) points.weights[tap] = static_cast<float>(real[tap] / total);
  return points;
}

void PointSample(const View& from, const Preprocess& wanted, uint8_t* to, Points* columns) {
  const int count = wanted.filter == Filter::kBicubic ? 4 : 2;
  for (int x = 0; x < wanted.width; ++x) columns[x] = PointsOf(from.width, wanted.width, x, count);
  for (int y = 0; y < wanted.height; ++y) {
    const Points row = PointsOf(from.height, wanted.height, y, count);
    for (int x = 0; x < wanted.width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        float sum = 0.0f;
        for (int across = 0; across < count; ++across) {
          float line = 0.0f;
          for (int down = 0; down < count; ++down) {
            const uint8_t pixel =
                from.pixels[static_cast<ptrdiff_t>(row.at[down]) * from.stride + columns[x].at[across] * 3 + channel];
            line += static_cast<float>(pixel) * row.weights[down];
          }
          sum += line * columns[x].weights[across];
        }
        *to++ = static_cast<uint8_t>(Min(Max(static_cast<int>(floorf(sum + 0.5f)), 0), 255));
      }
    }
  }
}

bool IsConvolved(const Preprocess& wanted) {
  return wanted.filter == Filter::kArea || (wanted.antialias && wanted.filter != Filter::kNearest);
}

}  // namespace

size_t ScratchBytes(const Preprocess& wanted, int width, int height) {
  if (wanted.center_crop) width = height = Min(width, height);
  if (wanted.filter == Filter::kNearest) return 0;
  if (!IsConvolved(wanted)) return sizeof(Points) * wanted.width;
  const size_t columns = MostTaps(width, wanted.width, wanted.filter) + 2 + 3;
  return sizeof(int32_t) * (columns * wanted.width + MostTaps(height, wanted.height, wanted.filter));
}

bool Resize(const Preprocess& wanted, const uint8_t* rgb, int width, int height, uint8_t* resized, void* scratch,
            size_t scratch_bytes) {
  if (width < 1 || height < 1 || scratch_bytes < ScratchBytes(wanted, width, height)) return false;
  const View from = Cropped(wanted, rgb, width, height);
  if (wanted.filter == Filter::kNearest) {
    Nearest(from, wanted, resized);
  } else if (IsConvolved(wanted)) {
    Convolve(from, wanted, resized, static_cast<int32_t*>(scratch));
  } else {
    PointSample(from, wanted, resized, static_cast<Points*>(scratch));
  }
  if (wanted.bgr) {
    for (uint8_t* at = resized; at < resized + wanted.width * wanted.height * 3; at += 3) {
      const uint8_t red = at[0];
      at[0] = at[2];
      at[2] = red;
    }
  }
  return true;
}

void Normalize(const Preprocess& wanted, const uint8_t* pixels, float* input) {
  for (int at = 0; at < wanted.width * wanted.height * 3; ++at) {
    input[at] = (static_cast<float>(pixels[at]) - wanted.mean[at % 3]) / wanted.std[at % 3];
  }
}

void Quantize(const Preprocess& wanted, const uint8_t* pixels, double scale, int zero_point, int lowest,
              uint8_t* input) {
  uint8_t codes[3][256];  // most microcontrollers have no double in hardware
  for (int channel = 0; channel < 3; ++channel) {
    for (int pixel = 0; pixel < 256; ++pixel) {
      const float real = (static_cast<float>(pixel) - wanted.mean[channel]) / wanted.std[channel];
      const double code = rint(static_cast<double>(real) / scale) + zero_point;  // half to even
      const double least = code > lowest ? code : lowest;
      codes[channel][pixel] = static_cast<uint8_t>(static_cast<int>(least < lowest + 255 ? least : lowest + 255));
    }
  }
  for (int at = 0; at < wanted.width * wanted.height * 3; ++at) input[at] = codes[at % 3][pixels[at]];
}

}  // namespace edgekit
