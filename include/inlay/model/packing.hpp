// Packing: the weights of a mapped file, copied into the kernels' own layout. A plan like any
// other, run on any number of threads and in steps of any length, with an optional cache file that
// spares doing it again.
#ifndef INLAY_MODEL_PACKING_HPP_
#define INLAY_MODEL_PACKING_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "inlay/arch/weights.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/core/system.hpp"
#include "inlay/model/model.hpp"
#include "inlay/plan/plan.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct ModelImpl;

// A checksum of memory's speed: any damaged word changes it, and no other damage is likely not to.
// Not for anything that somebody forges.
uint64_t checksum(const uint8_t* data, size_t bytes) noexcept;

// One matrix of the model that has a packed form.
struct PackedMatrix {
  Weight* weight;       // bound to the file until all is packed
  size_t offset;        // of the packed form, in the block that holds all
  uint32_t first_task;  // its rows are packed by several tasks
  uint32_t rows_per_task;
};

// The cache file, in words of 64 bits and in this machine's byte order; after `head` and zeros up
// to data_offset, the packed matrices as they lie in memory:
//   head[kFields]; source[tasks]; sample[tasks]; packed[chunks];
// source: checksums of the weights that each task packs, as the model's file has them; sample: of
// kSampleBytes of these; packed: of each kChunkBytes of the data.
// The file is good for a model if the head is, if the packed checksums agree, and if either the
// model's file has not changed since (by its time, and by the samples: archives restore times) or
// the source checksums agree.
struct CacheHead {
  enum Field : size_t {
    magic,
    versions,  // of this format, and of the kernels' layout
    data_offset,
    data_bytes,
    shapes,    // checksum of all types, sizes and offsets
    modified,  // Gguf::modified
    check,     // checksum of the head with zero here
    kFields
  };
  static constexpr size_t kChunkBytes = size_t{1} << 20;
  static constexpr size_t kSampleBytes = 256;
  static constexpr size_t kPage = size_t{64} << 10;  // the largest page of any system
};

class Packing {
 public:
  explicit Packing(ModelImpl* model) noexcept;
  Packing(const Packing&) = delete;
  Packing& operator=(const Packing&) = delete;

  // Bytes of the host's memory that packing this model takes at most, and that the model keeps.
  static uint64_t memory_bytes(ModelImpl& model) noexcept;
  static uint64_t kept_bytes(ModelImpl& model) noexcept;

  // Takes the memory and starts the workers. Errors: out_of_memory.
  Status start(const ModelOptions& options, const std::atomic<bool>* cancelled) noexcept;
  // Goes on until everything is packed, until now_us() has passed `deadline_us`, or until
  // `cancelled` is true; then done() tells which. Tasks take some 0.1 ms, the last step with a
  // cache file as long as the disk takes to write it down. Errors: out_of_memory. The model is as
  // it was before until all is done.
  Status step(uint64_t deadline_us) noexcept;
  bool done() const noexcept { return stage_ == Stage::done; }
  float fraction() noexcept;

 private:
  enum class Stage : uint8_t { verify, pack, write, done };
  struct Tasks;  // the phases

  Status begin_packing() noexcept;
  void finish(const uint8_t* block) noexcept;
  bool try_cache() noexcept;
  void write_cache(uint64_t deadline_us) noexcept;
  void log_cache(LogLevel level, const char* what, const char* why = "") noexcept;

  ModelImpl& model_;
  Array<PackedMatrix> matrices_;
  Array<uint64_t> head_;  // of the cache file: CacheHead and the checksums
  size_t bytes_ = 0;      // of the block of packed matrices
  uint32_t n_tasks_ = 0, n_chunks_ = 0;
  const char* cache_ = nullptr;
  const std::atomic<bool>* cancelled_ = nullptr;
  std::atomic<bool> mismatch_{false};
  std::atomic<uint32_t> n_done_{0};  // tasks of this stage
  float fraction_ = 0;
  Stage stage_ = Stage::pack;
#if INLAY_HAS_FILES
  FileMapping file_;
  FileReplacement replacement_;
  size_t written_ = 0;
  bool verify_sources_ = false;
#endif
  Executor executor_;  // last: its workers end before what they work on does
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_MODEL_PACKING_HPP_
