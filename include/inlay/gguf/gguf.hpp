// Reading GGUF files: metadata and tensors as views into the file's bytes, everything checked when
// opened. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3,
// little-endian.
#ifndef INLAY_GGUF_GGUF_HPP_
#define INLAY_GGUF_GGUF_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/host.hpp"
#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"
#include "inlay/gguf/metadata.hpp"
#include "inlay/gguf/tensor_type.hpp"

INLAY_BEGIN_NAMESPACE

// One tensor as the file has it. dims[0] is the contiguous one; unused dims are 1. Any product of
// them, and `bytes`, is below 2^63.
struct TensorView {
  std::string_view name;
  TensorType type = TensorType::f32;
  uint32_t n_dims = 0;
  uint64_t dims[4] = {1, 1, 1, 1};
  uint64_t bytes = 0;             // of the data
  const uint8_t* data = nullptr;  // null if only the header was read
};

struct GgufOptions {
  Host host;
  // Metadata and tensor directory only: no data is read, and it may be missing.
  bool header_only = false;
};

// Where a GGUF file is: give one of the first four (two are an error), and which part of it is
// meant if it holds more than that (an archive, a pack of assets).
struct GgufSource {
  const char* path = nullptr;  // UTF-8; mapped
  int descriptor = -1;         // open for reading, mapped; may be closed afterwards. Not on Windows
  Span<const uint8_t> bytes;   // used in place: they must outlive what is made of them
  ReadFunction function;       // read into memory of the host's allocator
  // The GGUF file begins at byte `offset`, for what is mapped or in memory a multiple of 8; and has
  // `size` bytes, or all that follow if that is 0.
  uint64_t offset = 0, size = 0;
};

namespace detail {
class Loading;
}

// An opened file (or a set of split files). Immutable, so any number of threads may use it. Move
// only.
class Gguf {
 public:
  // Maps the file. If it is the first part of a split model (NAME-00001-of-0000N.gguf), the other
  // parts beside it too.
  static Result<Gguf> open(const char* path, const GgufOptions& options = {}) noexcept;
  // Uses `bytes` in place: they must outlive the object and be aligned to 8 bytes.
  static Result<Gguf> from_memory(Span<const uint8_t> bytes,
                                  const GgufOptions& options = {}) noexcept;
  // Reads through the host's function into memory of the host's allocator.
  static Result<Gguf> from_function(const ReadFunction& file,
                                    const GgufOptions& options = {}) noexcept;
  // Any of these, or a part of it. A part of a file cannot be the first of several.
  static Result<Gguf> open(const GgufSource& source, const GgufOptions& options = {}) noexcept;

  Gguf(Gguf&&) noexcept;
  Gguf& operator=(Gguf&&) noexcept;
  ~Gguf();

  uint32_t version() const noexcept;
  Span<const MetadataEntry> metadata() const noexcept;  // in file order
  Span<const TensorView> tensors() const noexcept;      // in file order, parts one after another
  // Null if the file has no such key or tensor. O(log n).
  const MetadataValue* find(std::string_view key) const noexcept;
  const MetadataEntry* find_entry(std::string_view key) const noexcept;  // one of metadata()
  const TensorView* find_tensor(std::string_view name) const noexcept;
  uint64_t file_bytes() const noexcept;       // of all parts
  uint64_t allocated_bytes() const noexcept;  // that this object took from the host's allocator
  // Whether this object mapped the file, and when that was last changed, as its file system counts;
  // of several parts the latest change. 0 if it is not mapped, or not known.
  bool mapped() const noexcept;
  uint64_t modified() const noexcept;

 private:
  friend class detail::Loading;
  // Opens, but for what takes long: read_more() does that, some 0.1 ms at a time, until it is
  // complete(). What `source` points to must stay until then.
  static Result<Gguf> begin(const GgufSource& source, const GgufOptions& options) noexcept;
  Status read_more() noexcept;
  bool complete() const noexcept;
  float read_fraction() const noexcept;     // of the pieces
  uint64_t bytes_to_read() const noexcept;  // of tensors, into the host's memory

  struct Impl;
  explicit Gguf(Impl* impl) noexcept : impl_(impl) {}
  Impl* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_GGUF_GGUF_HPP_
