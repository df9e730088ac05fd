// The two distance functions in which FAISS spends its time. Debian builds its libfaiss for the oldest processor of the
// architecture; these are compiled once per processor generation, and the loader picks the one that fits. They are
// linked before the library's own functions (--allow-multiple-definition).
#include <cstddef>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define EVERY_PROCESSOR __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define EVERY_PROCESSOR
#endif

namespace faiss {
namespace {

constexpr size_t LANES = 16;
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float UnalignedLanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

// Four sums, because additions into one sum wait for each other.
constexpr size_t STEP = 4 * LANES;

#define LOAD(at) (*(const UnalignedLanes*)(at))

} // namespace

EVERY_PROCESSOR float fvec_inner_product(const float* x, const float* y, size_t d) {
  Lanes s0 = {}, s1 = {}, s2 = {}, s3 = {};
  size_t i = 0;
  for (; i + STEP <= d; i += STEP) {
    s0 += LOAD(x + i) * LOAD(y + i);
    s1 += LOAD(x + i + LANES) * LOAD(y + i + LANES);
    s2 += LOAD(x + i + 2 * LANES) * LOAD(y + i + 2 * LANES);
    s3 += LOAD(x + i + 3 * LANES) * LOAD(y + i + 3 * LANES);
  }
  for (; i + LANES <= d; i += LANES) s0 += LOAD(x + i) * LOAD(y + i);
  const Lanes sums = (s0 + s1) + (s2 + s3);
  float sum = 0;
  for (size_t lane = 0; lane < LANES; lane++) sum += sums[lane];
  for (; i < d; i++) sum += x[i] * y[i];
  return sum;
}

EVERY_PROCESSOR float fvec_L2sqr(const float* x, const float* y, size_t d) {
  Lanes s0 = {}, s1 = {}, s2 = {}, s3 = {};
  size_t i = 0;
  for (; i + STEP <= d; i += STEP) {
    const Lanes d0 = LOAD(x + i) - LOAD(y + i);
    const Lanes d1 = LOAD(x + i + LANES) - LOAD(y + i + LANES);
    const Lanes d2 = LOAD(x + i + 2 * LANES) - LOAD(y + i + 2 * LANES);
    const Lanes d3 = LOAD(x + i + 3 * LANES) - LOAD(y + i + 3 * LANES);
    s0 += d0 * d0;
    s1 += d1 * d1;
    s2 += d2 * d2;
    s3 += d3 * d3;
  }
  for (; i + LANES <= d; i += LANES) {
    const Lanes difference = LOAD(x + i) - LOAD(y + i);
    s0 += difference * difference;
  }
  const Lanes sums = (s0 + s1) + (s2 + s3);
  float sum = 0;
  for (size_t lane = 0; lane < LANES; lane++) sum += sums[lane];
  for (; i < d; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return sum;
}

} // namespace faiss
