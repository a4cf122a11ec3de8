/* The agent's loop in C, against the C API of LiteRT's own library: what Python adds to a latency is the difference.

   fidelity_loop MODEL RUNS SECONDS WARMUP_SECONDS TURNS [i|o]TYPE:DIMxDIM...

   One tensor an argument, inputs and outputs in the model's order; TYPE is the number of the element type. Says what the
   agent says: {"ready": TURN} before each turn and {"ok": true, "samples_ns": [...]} at the end. One thread, XNNPACK. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 16

typedef void *Handle;
typedef struct { uint32_t rank; int32_t dims[8]; uint32_t strides[8]; } Layout;
typedef struct { int32_t element; Layout layout; } TensorType;

int LiteRtCreateEnvironment(int count, const void *options, Handle *made);
int LiteRtCreateModelFromFile(Handle environment, const char *path, Handle *made);
int LiteRtCreateOptions(Handle *made);
int LiteRtSetOptionsHardwareAccelerators(Handle options, int set);
int LiteRtCreateOpaqueOptions(const char *identifier, void *payload, void (*free_it)(void *), Handle *made);
int LiteRtAddOpaqueOptions(Handle options, Handle opaque);
int LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle *made);
int LiteRtGetCompiledModelInputBufferRequirements(Handle compiled, size_t signature, size_t place, Handle *found);
int LiteRtGetCompiledModelOutputBufferRequirements(Handle compiled, size_t signature, size_t place, Handle *found);
int LiteRtCreateManagedTensorBufferFromRequirements(Handle environment, const TensorType *, Handle needs, Handle *made);
int LiteRtGetTensorBufferSize(Handle buffer, size_t *bytes);
int LiteRtLockTensorBuffer(Handle buffer, void **memory, int mode);
int LiteRtUnlockTensorBuffer(Handle buffer);
int LiteRtRunCompiledModel(Handle compiled, size_t signature, size_t inputs, Handle *in, size_t outputs, Handle *out);

enum { CPU = 1, WRITE = 1 };

static Handle environment, compiled, in[MOST], out[MOST];
static size_t inputs, outputs;

static void must(int status, const char *what) {
  if (status != 0) {
    fprintf(stderr, "%s: status %d\n", what, status);
    exit(1);
  }
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void run(void) { must(LiteRtRunCompiledModel(compiled, 0, inputs, in, outputs, out), "run"); }

static void open_model(const char *path) {
  Handle model, options, xnnpack;
  must(LiteRtCreateEnvironment(0, NULL, &environment), "environment");
  must(LiteRtCreateModelFromFile(environment, path, &model), "model");
  must(LiteRtCreateOptions(&options), "options");
  must(LiteRtSetOptionsHardwareAccelerators(options, CPU), "accelerator");
  must(LiteRtCreateOpaqueOptions("xnnpack", strdup("num_threads = 1\n"), free, &xnnpack), "threads");
  must(LiteRtAddOpaqueOptions(options, xnnpack), "threads");
  must(LiteRtCreateCompiledModel(environment, model, options, &compiled), "compile");
}

/* i9:1x32x32x3 */
static void add_tensor(char *spec) {
  int input = spec[0] == 'i';
  size_t place = input ? inputs : outputs;
  TensorType type = {0};
  Handle needs, *buffer = input ? &in[place] : &out[place];
  type.element = (int32_t)strtol(spec + 1, &spec, 10);
  while (*spec && type.layout.rank < 8) type.layout.dims[type.layout.rank++] = (int32_t)strtol(spec + 1, &spec, 10);
  must(input ? LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, place, &needs)
             : LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, place, &needs), "requirements");
  must(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, needs, buffer), "buffer");
  if (input) inputs++; else outputs++;
  if (!input) return;
  size_t bytes;
  void *memory;
  must(LiteRtGetTensorBufferSize(*buffer, &bytes), "size");
  must(LiteRtLockTensorBuffer(*buffer, &memory, WRITE), "lock");
  if (type.element == 1)
    for (size_t k = 0; k < bytes / sizeof(float); k++) ((float *)memory)[k] = (float)rand() / RAND_MAX * 2 - 1;
  else
    for (size_t k = 0; k < bytes; k++) ((uint8_t *)memory)[k] = (uint8_t)rand();
  must(LiteRtUnlockTensorBuffer(*buffer), "unlock");
}

int main(int count, char **given) {
  if (count < 8) return 2;
  long runs = atol(given[2]), turns = atol(given[5]), taken = 0, room = 1 << 16;
  double seconds = atof(given[3]), warmup = atof(given[4]);
  int64_t *samples = malloc((size_t)room * sizeof *samples);
  open_model(given[1]);
  for (int k = 6; k < count && k < 6 + MOST; k++) add_tensor(given[k]);
  for (int64_t end = now() + (int64_t)(warmup * 1e9); now() < end;) run();
  for (long turn = 0; turn < turns; turn++) {
    char line[64];
    printf("{\"ready\": %ld}\n", turn);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return 1;
    run();
    int64_t end = now() + (int64_t)(seconds / (double)turns * 1e9), after;
    long least = taken + (runs * (turn + 1) / turns - runs * turn / turns);
    do {
      int64_t before = now();
      run();
      after = now();
      if (taken == room) samples = realloc(samples, (size_t)(room *= 2) * sizeof *samples);
      samples[taken++] = after - before;
    } while (after < end || taken < least);
  }
  printf("{\"ok\": true, \"samples_ns\": [");
  for (long k = 0; k < taken; k++) printf("%s%lld", k ? ", " : "", (long long)samples[k]);
  printf("]}\n");
  return 0;
}
