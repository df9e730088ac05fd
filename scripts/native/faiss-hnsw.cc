// The two inner loops of FAISS's HNSW, searching and linking, over vectors stored flat in memory. FAISS 1.7.3 computes
// one distance at a time, and each waits for memory. Here the neighbours of a node are gathered first, and four
// distances are computed at a time while the next four are being fetched. Newer versions of FAISS already do this, so
// the file is for 1.7.3 only. It is linked before the library's own loops (--allow-multiple-definition) and writes the
// same files.
//
// Source: Y. A. Malkov, D. A. Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
// Navigable Small World graphs", 2018, algorithms 1, 2, 4 and 5.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <queue>
#include <vector>

#include <faiss/IndexFlat.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/FaissAssert.h>
#include <faiss/impl/HNSW.h>
#include <faiss/utils/distances.h>
#include <faiss/utils/extra_distances.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define EVERY_PROCESSOR __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define EVERY_PROCESSOR
#endif

namespace faiss {
namespace {

using idx_t = Index::idx_t;
using node_t = HNSW::storage_idx_t;

constexpr size_t GROUP = 4;
// Relative to the distance.
constexpr float EQUAL = 1e-6f;
constexpr size_t LANES = 16;
constexpr size_t CACHE_LINE_BYTES = 64;
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float UnalignedLanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

#define SUM_UP(lanes, total) \
  float total = 0;           \
  for (size_t lane = 0; lane < LANES; lane++) total += lanes[lane]

EVERY_PROCESSOR void four_products(const float* x, const float* const* rows, size_t d, float* out) {
  const float *a = rows[0], *b = rows[1], *c = rows[2], *e = rows[3];
  Lanes s0 = {}, s1 = {}, s2 = {}, s3 = {};
  size_t i = 0;
  for (; i + LANES <= d; i += LANES) {
    const Lanes v = *(const UnalignedLanes*)(x + i);
    s0 += v * *(const UnalignedLanes*)(a + i);
    s1 += v * *(const UnalignedLanes*)(b + i);
    s2 += v * *(const UnalignedLanes*)(c + i);
    s3 += v * *(const UnalignedLanes*)(e + i);
  }
  SUM_UP(s0, t0);
  SUM_UP(s1, t1);
  SUM_UP(s2, t2);
  SUM_UP(s3, t3);
  for (; i < d; i++) {
    t0 += x[i] * a[i];
    t1 += x[i] * b[i];
    t2 += x[i] * c[i];
    t3 += x[i] * e[i];
  }
  out[0] = t0;
  out[1] = t1;
  out[2] = t2;
  out[3] = t3;
}

EVERY_PROCESSOR void four_distances(const float* x, const float* const* rows, size_t d, float* out) {
  const float *a = rows[0], *b = rows[1], *c = rows[2], *e = rows[3];
  Lanes s0 = {}, s1 = {}, s2 = {}, s3 = {};
  size_t i = 0;
  for (; i + LANES <= d; i += LANES) {
    const Lanes v = *(const UnalignedLanes*)(x + i);
    const Lanes d0 = v - *(const UnalignedLanes*)(a + i);
    const Lanes d1 = v - *(const UnalignedLanes*)(b + i);
    const Lanes d2 = v - *(const UnalignedLanes*)(c + i);
    const Lanes d3 = v - *(const UnalignedLanes*)(e + i);
    s0 += d0 * d0;
    s1 += d1 * d1;
    s2 += d2 * d2;
    s3 += d3 * d3;
  }
  SUM_UP(s0, t0);
  SUM_UP(s1, t1);
  SUM_UP(s2, t2);
  SUM_UP(s3, t3);
  for (; i < d; i++) {
    t0 += (x[i] - a[i]) * (x[i] - a[i]);
    t1 += (x[i] - b[i]) * (x[i] - b[i]);
    t2 += (x[i] - c[i]) * (x[i] - c[i]);
    t3 += (x[i] - e[i]) * (x[i] - e[i]);
  }
  out[0] = t0;
  out[1] = t1;
  out[2] = t2;
  out[3] = t3;
}

// The distance computer of an IndexFlat. The loops below reach its vectors through `latest`, because a graph of inner
// products wraps it once more.
struct FlatDistances final : FlatCodesDistanceComputer {
  const IndexFlat& index;
  const float* query = nullptr;
  static thread_local const FlatDistances* latest;

  explicit FlatDistances(const IndexFlat& index)
      : FlatCodesDistanceComputer(index.codes.data(), index.code_size), index(index) {}
  ~FlatDistances() override {
    if (latest == this) latest = nullptr;
  }
  void set_query(const float* x) override {
    query = x;
    latest = this;
  }
  float distance_to_code(const uint8_t* code) override { return plain(query, (const float*)code); }
  float symmetric_dis(idx_t i, idx_t j) override { return plain(row(i), row(j)); }

  const float* row(idx_t i) const { return index.get_xb() + i * index.d; }
  bool products() const { return index.metric_type == METRIC_INNER_PRODUCT; }
  float plain(const float* x, const float* y) const {
    return products() ? fvec_inner_product(x, y, index.d) : fvec_L2sqr(x, y, index.d);
  }
};

thread_local const FlatDistances* FlatDistances::latest = nullptr;

// Distances as the graph needs them: smaller is nearer.
class Distances {
 public:
  // `any` belongs to a graph over a flat index, and its query was set on this thread.
  Distances(DistanceComputer& any, node_t known) : flat_(FlatDistances::latest) {
    FAISS_THROW_IF_NOT_MSG(flat_ != nullptr && flat_->query != nullptr, "only flat vectors are searched here");
    const float own = flat_->plain(flat_->query, flat_->row(known));
    FAISS_THROW_IF_NOT_MSG(any(known) == (flat_->products() ? -own : own), "these are another index's vectors");
  }

  const float* query() const { return flat_->query; }
  const float* row(node_t node) const { return flat_->row(node); }
  float between(const float* x, const float* y) const {
    const float plain = flat_->plain(x, y);
    return flat_->products() ? -plain : plain;
  }

  // The distances from x to `count` nodes.
  void to(const float* x, const node_t* nodes, size_t count, float* out) const {
    for (size_t i = 0; i < std::min(count, GROUP); i++) fetch(nodes[i]);
    size_t i = 0;
    for (; i + GROUP <= count; i += GROUP) {
      const float* rows[GROUP];
      for (size_t j = 0; j < GROUP; j++) rows[j] = row(nodes[i + j]);
      for (size_t j = i + GROUP; j < std::min(count, i + 2 * GROUP); j++) fetch(nodes[j]);
      if (flat_->products()) {
        four_products(x, rows, flat_->index.d, out + i);
        for (size_t j = 0; j < GROUP; j++) out[i + j] = -out[i + j];
      } else {
        four_distances(x, rows, flat_->index.d, out + i);
      }
    }
    for (; i < count; i++) out[i] = between(x, row(nodes[i]));
  }

 private:
  const FlatDistances* flat_;

  void fetch(node_t node) const {
    const char* at = (const char*)row(node);
    const char* end = at + flat_->index.code_size;
    for (; at < end; at += CACHE_LINE_BYTES) __builtin_prefetch(at);
  }
};

using Near = std::pair<float, node_t>;
// Heaps with the farthest and with the nearest on top.
using Farthest = std::priority_queue<Near>;
using Nearest = std::priority_queue<Near, std::vector<Near>, std::greater<Near>>;

// Copies the neighbours of a node, up to the first -1. Another thread may be linking the node, so each is read once.
void neighbours(const HNSW& graph, node_t node, int level, std::vector<node_t>& copy) {
  size_t begin, end;
  graph.neighbor_range(node, level, &begin, &end);
  copy.clear();
  for (size_t i = begin; i < end; i++) {
    const node_t other = __atomic_load_n(&graph.neighbors[i], __ATOMIC_RELAXED);
    if (other < 0) break;
    copy.push_back(other);
  }
}

void write(HNSW& graph, size_t at, node_t node) { __atomic_store_n(&graph.neighbors[at], node, __ATOMIC_RELAXED); }

// Prefetches the links of the node that most likely comes next, on the bottom level, where most of the time is spent.
void fetch_links(const HNSW& graph, node_t node) {
  const char* at = (const char*)(graph.neighbors.data() + graph.offsets[node]);
  const char* end = at + graph.nb_neighbors(0) * sizeof(node_t);
  for (; at < end; at += CACHE_LINE_BYTES) __builtin_prefetch(at);
}

// Moves to the nearest neighbour for as long as there is a nearer one.
Near descend(const HNSW& graph, const Distances& distances, Near at, int level, size_t& computed) {
  std::vector<node_t> nodes;
  std::vector<float> found;
  for (;;) {
    neighbours(graph, at.second, level, nodes);
    found.resize(nodes.size());
    distances.to(distances.query(), nodes.data(), nodes.size(), found.data());
    computed += nodes.size();
    Near next = at;
    for (size_t i = 0; i < nodes.size(); i++) next = std::min(next, Near(found[i], nodes[i]));
    if (next.second == at.second || !(next.first < at.first)) return at;
    at = next;
  }
}

// The `breadth` nearest nodes found when starting from a node (algorithm 2).
Farthest explore(
    const HNSW& graph, const Distances& distances, Near from, int level, size_t breadth, VisitedTable& visited,
    size_t& computed) {
  Farthest results;
  Nearest candidates;
  std::vector<node_t> nodes;
  std::vector<node_t> fresh;
  std::vector<float> found;
  results.push(from);
  candidates.push(from);
  visited.set(from.second);
  while (!candidates.empty()) {
    const Near at = candidates.top();
    if (at.first > results.top().first && results.size() >= breadth) break;
    candidates.pop();
    if (!candidates.empty()) fetch_links(graph, candidates.top().second);
    neighbours(graph, at.second, level, nodes);
    fresh.clear();
    for (const node_t node : nodes) {
      if (visited.get(node)) continue;
      visited.set(node);
      fresh.push_back(node);
    }
    found.resize(fresh.size());
    distances.to(distances.query(), fresh.data(), fresh.size(), found.data());
    computed += fresh.size();
    for (size_t i = 0; i < fresh.size(); i++) {
      const Near one(found[i], fresh[i]);
      if (results.size() >= breadth && !(one.first < results.top().first)) continue;
      candidates.push(one);
      __builtin_prefetch(graph.offsets.data() + one.second);
      results.push(one);
      if (results.size() > breadth) results.pop();
    }
  }
  visited.advance();
  return results;
}

// Keeps those candidates, nearest first, that are nearer to the centre than to each one kept before (algorithm 4). A
// candidate that is equally near to both is left out too. Otherwise a node among hundreds of equal vectors has links to
// those only, and a search that gets there never leaves. Equal distances may differ by the order of their additions.
std::vector<node_t> choose(const Distances& distances, const std::vector<Near>& candidates, size_t most) {
  std::vector<node_t> kept;
  float between[GROUP];
  for (const Near& one : candidates) {
    bool good = true;
    const float* own = distances.row(one.second);
    const float near = one.first + EQUAL * std::abs(one.first);
    for (size_t i = 0; i < kept.size() && good; i += GROUP) {
      const size_t count = std::min(GROUP, kept.size() - i);
      distances.to(own, kept.data() + i, count, between);
      for (size_t j = 0; j < count; j++) good = good && between[j] > near;
    }
    if (!good) continue;
    kept.push_back(one.second);
    if (kept.size() >= most) break;
  }
  return kept;
}

// Links `from`, whose lock is held, to `to`. If `from` is full, its links are chosen again from neighbours and `to`.
void link(HNSW& graph, const Distances& distances, node_t from, node_t to, int level) {
  size_t begin, end;
  graph.neighbor_range(from, level, &begin, &end);
  std::vector<node_t> all;
  neighbours(graph, from, level, all);
  if (all.size() < end - begin) {
    write(graph, begin + all.size(), to);
    return;
  }
  all.push_back(to);
  std::vector<float> found(all.size());
  distances.to(distances.row(from), all.data(), all.size(), found.data());
  std::vector<Near> candidates;
  for (size_t i = 0; i < all.size(); i++) candidates.emplace_back(found[i], all[i]);
  std::sort(candidates.begin(), candidates.end());
  const std::vector<node_t> kept = choose(distances, candidates, end - begin);
  for (size_t i = begin; i < end; i++) write(graph, i, i - begin < kept.size() ? kept[i - begin] : -1);
}

} // namespace

FlatCodesDistanceComputer* IndexFlat::get_FlatCodesDistanceComputer() const {
  if (metric_type == METRIC_L2 || metric_type == METRIC_INNER_PRODUCT) return new FlatDistances(*this);
  return get_extra_distance_computer(d, metric_type, metric_arg, ntotal, get_xb());
}

// The caller holds the lock of `node`, and holds it again on return.
void HNSW::add_links_starting_from(
    DistanceComputer& any, storage_idx_t node, storage_idx_t nearest, float d_nearest, int level, omp_lock_t* locks,
    VisitedTable& visited) {
  const Distances distances(any, nearest);
  size_t computed = 0;
  Farthest found =
      explore(*this, distances, Near(d_nearest, nearest), level, std::max(efConstruction, 1), visited, computed);
  std::vector<Near> candidates(found.size());
  for (size_t i = found.size(); i > 0; i--) {
    candidates[i - 1] = found.top();
    found.pop();
  }
  const size_t most = nb_neighbors(level);
  std::vector<node_t> kept;
  if (candidates.size() < most) {
    for (const Near& one : candidates) kept.push_back(one.second);
  } else {
    kept = choose(distances, candidates, most);
  }
  // Other threads may have linked this node during the search.
  for (node_t other : kept) link(*this, distances, node, other, level);
  omp_unset_lock(&locks[node]);
  for (node_t other : kept) {
    omp_set_lock(&locks[other]);
    link(*this, distances, other, node, level);
    omp_unset_lock(&locks[other]);
  }
  omp_set_lock(&locks[node]);
}

HNSWStats HNSW::search(
    DistanceComputer& any, int k, idx_t* labels, float* scores, VisitedTable& visited,
    const SearchParametersHNSW* params) const {
  HNSWStats stats;
  if (entry_point == -1) return stats;
  FAISS_THROW_IF_NOT_MSG(params == nullptr || params->sel == nullptr, "no selection is searched for here");
  const Distances distances(any, entry_point);
  size_t computed = 1;
  Near at(distances.between(distances.query(), distances.row(entry_point)), entry_point);
  for (int level = max_level; level > 0; level--) at = descend(*this, distances, at, level, computed);
  const size_t breadth = std::max(params == nullptr ? efSearch : params->efSearch, k);
  Farthest found = explore(*this, distances, at, 0, breadth, visited, computed);
  while (found.size() > (size_t)k) found.pop();
  // The caller expects a heap with the farthest first; missing results are -1, infinitely far away.
  const size_t missing = k - found.size();
  for (size_t i = 0; i < missing; i++) {
    scores[i] = std::numeric_limits<float>::infinity();
    labels[i] = -1;
  }
  for (size_t i = missing; i < (size_t)k; i++) {
    scores[i] = found.top().first;
    labels[i] = found.top().second;
    found.pop();
  }
  stats.n1 = 1;
  stats.ndis = computed;
  return stats;
}

} // namespace faiss
