#ifndef INLAY_GGUF_GGUF_INL_HPP_
#define INLAY_GGUF_GGUF_INL_HPP_

#include <algorithm>

#include "inlay/core/memory.hpp"
#include "inlay/core/system.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/gguf/metadata-inl.hpp"
#include "inlay/gguf/name_index.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Numbers of tensor types that other programs wrote, and who: for the message that refuses them.
struct ForeignTensorType {
  uint32_t first, last;
  std::string_view name;
};
inline constexpr ForeignTensorType kForeignTensorTypes[] = {
    {4, 4, "q4_2, removed from ggml"},
    {5, 5, "q4_3, removed from ggml"},
    {31, 31, "q4_0_4_4, removed from ggml"},
    {32, 32, "q4_0_4_8, removed from ggml"},
    {33, 33, "q4_0_8_8, removed from ggml"},
    {36, 36, "iq4_nl_4_4, removed from ggml, or i2_s of ik_llama.cpp"},
    {37, 37, "iq4_nl_4_8, removed from ggml"},
    {38, 38, "iq4_nl_8_8, removed from ggml"},
    {133, 133, "q6_0 of ik_llama.cpp"},
    {134, 134, "iq1_bn of ik_llama.cpp"},
    {135, 135, "iq2_bn of ik_llama.cpp"},
    {136, 136, "q8_k64 of ik_llama.cpp"},
    {137, 137, "iq2_k of ik_llama.cpp"},
    {138, 138, "iq3_k of ik_llama.cpp"},
    {139, 139, "iq4_k of ik_llama.cpp"},
    {140, 140, "iq5_k of ik_llama.cpp"},
    {141, 141, "iq6_k of ik_llama.cpp"},
    {144, 144, "iq4_ks of ik_llama.cpp"},
    {145, 145, "iq2_ks of ik_llama.cpp"},
    {146, 146, "iq4_kss of ik_llama.cpp"},
    {151, 151, "q8_kv of ik_llama.cpp"},
    {152, 152, "iq5_ks of ik_llama.cpp"},
    {153, 153, "iq2_kt of ik_llama.cpp"},
    {154, 154, "iq3_kt of ik_llama.cpp"},
    {155, 155, "iq4_kt of ik_llama.cpp"},
    {156, 156, "iq3_ks of ik_llama.cpp"},
    {157, 157, "iq2_kl of ik_llama.cpp"},
    {158, 158, "iq1_kt of ik_llama.cpp"},
    {202, 399, "a row-interleaved type of ik_llama.cpp"},
};

// A name from the file, in a message: quoted, short, printable.
inline Error& quote(Error& error, std::string_view name) noexcept {
  constexpr size_t kMaxShown = 48;
  error << "\"";
  for (char c : slice(name, 0, kMaxShown)) {
    const bool printable = c >= 0x20 && c < 0x7f;
    error << std::string_view(printable ? &c : "?", 1);
  }
  return error << (name.size() > kMaxShown ? "...\"" : "\"");
}
inline Error key_error(ErrorCode code, std::string_view key, uint64_t offset) noexcept {
  Error error(code, "metadata key ");
  return quote(error, key) << " at byte " << offset << ": ";
}
inline Error tensor_error(ErrorCode code, std::string_view name, uint64_t offset) noexcept {
  Error error(code, "tensor ");
  return quote(error, name) << " at byte " << offset << ": ";
}
// The file that an error is in, for models in several files.
inline Error in_file(std::string_view path, const Error& error) noexcept {
  const size_t slash = path.find_last_of("/\\");
  std::string_view name = path;
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);  // substr can throw
  if (name.size() > 64) name = slice(name, name.size() - 64);
  return Error(error.code(), name) << ": " << error.message();
}

}  // namespace detail

// ---- the file -----------------------------------------------------------------------------------

struct Gguf::Impl {
  using Entries = detail::Array<MetadataEntry>;

  // The bytes of one file as far as they are here. `wanted` tells a caller that reads in chunks how
  // many to bring.
  struct Bytes {
    const uint8_t* data = nullptr;
    uint64_t here = 0;  // bytes at data
    uint64_t size = 0;  // bytes in the file, at least `here` and below 2^63
    uint64_t wanted = 0;

    bool has(uint64_t offset, uint64_t count) noexcept {
      if (offset <= here && count <= here - offset) return true;
      if (offset <= size && count <= size - offset) wanted = offset + count;
      return false;
    }
  };
#if INLAY_HAS_FILES
  struct Part {
    explicit Part(detail::FileMapping&& file) noexcept : mapping(std::move(file)) {}
    detail::FileMapping mapping;
    Part* next = nullptr;
  };
#endif

  explicit Impl(const Allocator& host_allocator) noexcept
      : allocator(host_allocator),
        metadata(allocator),
        tensors(allocator),
        metadata_index(allocator),
        tensor_index(allocator),
#if INLAY_HAS_FILES
        part_path(allocator),
        part_metadata(allocator),
#endif
        header(allocator),
        shorter_header(allocator) {
  }
  Impl(const Impl&) = delete;
  ~Impl() {
#if INLAY_HAS_FILES
    while (parts != nullptr) {
      Part* next = parts->next;
      detail::destroy(allocator, parts);
      parts = next;
    }
#endif
    detail::release(allocator, data, data_bytes);
  }

  // How far parse() has come, and how many more strings of arrays it may look at in this call; a
  // tensor counts as several. At none, it ends with an error that is none, `paused`, and goes on
  // there the next time.
  struct Progress {
    static constexpr uint64_t kAtOnce = 8192, kTensor = 16;
    uint64_t left = 0;
    bool paused = false;
    uint64_t entry = 0, at = 0;          // of the metadata, and where it or the next tensor is
    uint64_t string = 0, string_at = 0;  // of its array
    uint64_t tensor = 0, data_size = 0;  // of those before it

    Status pause() noexcept {
      paused = true;
      return Error(ErrorCode::cancelled);
    }
  };

  // Reads the header of one file: appends to `entries` and to `tensors`, sets version, alignment
  // and data_begin.
  Status parse(Bytes* bytes, Entries* entries, Progress* progress) noexcept;
  Status parse_value(Bytes* bytes, std::string_view key, uint64_t key_at, uint64_t* at,
                     MetadataValue* value, Progress* progress) noexcept;
  Status parse_tensor(Bytes* bytes, uint64_t number, uint64_t count, uint64_t* at,
                      uint64_t* data_size) noexcept;
  // Checks that the data of the tensors parsed last, tensors[first] and later, lies in a file of
  // `size` bytes, and sets data_end. place_tensors then points them there; `begin` is where the
  // data starts in memory.
  Status check_data(size_t first, uint64_t size) noexcept;
  void place_tensors(size_t first, const uint8_t* begin) noexcept;
  // An error if a name is there twice: when the index is sorted.
  Status check_keys() const noexcept;
  Status check_names() const noexcept;
  const MetadataEntry* find(std::string_view key) const noexcept;
  Status refuse_split() const noexcept;
#if INLAY_HAS_FILES
  Status add_part(Result<detail::FileMapping>&& mapping) noexcept;
  Status check_first_part() noexcept;
  Status check_part() const noexcept;
  Status open_next_part() noexcept;
#endif
  Status open(const GgufSource& source) noexcept;
  Status read_more() noexcept;
  Status read(uint64_t offset, uint8_t* to, uint64_t count) const noexcept;
  Status read_header() noexcept;
  Status finish_header() noexcept;
  Status start_data() noexcept;
  Status read_data() noexcept;

  Allocator allocator;
  bool header_only = false;
  Entries metadata;                   // of the first part, in file order
  detail::Array<TensorView> tensors;  // of all parts, in file order
  detail::NameIndex metadata_index, tensor_index;
  uint64_t file_bytes = 0;  // of all parts
  uint64_t allocated_bytes = 0;

  // Of the part that was parsed last. Offsets in its file.
  uint32_t version = 0;
  uint64_t alignment = 0, data_begin = 0, data_end = 0;

#if INLAY_HAS_FILES
  Part* parts = nullptr;
  const char* path = nullptr;  // of the first one: errors name it
  bool whole_path = false;     // others may lie beside it
  uint64_t n_parts = 1;
  detail::String part_path;  // of another one, while it is looked at
  Entries part_metadata;
#endif
  enum class Reading : uint8_t { header, keys, names, data, done } reading = Reading::header;
  uint64_t part = 0;        // that is looked at
  size_t first_tensor = 0;  // of it
  Bytes arrived;            // of its header
  Progress parsing;
  // What a read function brings: the file's first bytes, and the data of all tensors.
  ReadFunction function;
  uint64_t function_offset = 0;  // of the GGUF file
  detail::Array<uint8_t> header, shorter_header;
  static constexpr size_t kPiece = size_t{1} << 17;  // short beside a frame, long beside a call
  uint8_t* data = nullptr;
  size_t data_bytes = 0, data_read = 0;
};

namespace detail {

inline constexpr uint64_t kHeaderBytes = 24;  // magic, version, tensor count, metadata count
// The smallest that one of each can be in a file: bounds what a header may claim.
inline constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;  // key length, key, type, value
inline constexpr uint64_t kMinTensorBytes =
    8 + 4 + 0 + 4 + 8;  // name length, n_dims, dims, type, offset
inline constexpr uint64_t kDefaultAlignment = 32;
inline constexpr uint64_t kMinAlignment = 8, kMaxAlignment = uint64_t{1} << 24;

}  // namespace detail

Status Gguf::Impl::parse_value(Bytes* bytes, std::string_view key, uint64_t key_at, uint64_t* at,
                               MetadataValue* value, Progress* progress) noexcept {
  using detail::key_error;
  const auto cut_off = [&](uint64_t offset, std::string_view what) noexcept {
    return key_error(ErrorCode::truncated, key, key_at)
           << "the file ends at byte " << bytes->size << " within " << what << " at byte "
           << offset;
  };
  if (!bytes->has(*at, 4)) return cut_off(*at, "the type");
  uint32_t number = detail::read_number<uint32_t>(bytes->data + *at);
  if (number > 12) {
    return key_error(ErrorCode::corrupt, key, key_at)
           << "value type " << number << " at byte " << *at << ", expected 0 to 12";
  }
  *at += 4;
  value->type_ = value->element_type_ = static_cast<MetadataType>(number);
  value->count_ = 1;
  if (value->is_array()) {
    if (!bytes->has(*at, 12)) return cut_off(*at, "the array's type and length");
    number = detail::read_number<uint32_t>(bytes->data + *at);
    if (number == static_cast<uint32_t>(MetadataType::array)) {
      return key_error(ErrorCode::unsupported, key, key_at)
             << "an array of arrays at byte " << *at << ", expected an array of numbers or strings";
    }
    if (number > 12) {
      return key_error(ErrorCode::corrupt, key, key_at)
             << "element type " << number << " at byte " << *at << ", expected 0 to 12";
    }
    value->element_type_ = static_cast<MetadataType>(number);
    value->count_ = detail::read_number<uint64_t>(bytes->data + *at + 4);
    *at += 12;
  }
  const uint64_t count = value->count_;
  const uint64_t value_at = *at;
  const uint32_t element_bytes = detail::metadata_type_bytes(value->element_type_);

  // The claimed length against the bytes that are left: a string has at least its own length field.
  const uint64_t least = element_bytes > 0 ? element_bytes : 8;
  uint64_t total = 0;
  if (!detail::checked_mul(count, least, &total) || total > bytes->size - value_at) {
    Error error = key_error(ErrorCode::truncated, key, key_at);
    return error << count << (value->is_array() ? " elements of type " : " value of type ")
                 << detail::metadata_type_name(value->element_type_) << " at byte " << value_at
                 << ", but only " << bytes->size - value_at << " bytes follow";
  }
  if (!bytes->has(value_at, total)) return cut_off(value_at, "the value");

  if (value->element_type_ == MetadataType::boolean) {
    for (uint64_t i = 0; i < count; ++i) {
      const uint8_t b = bytes->data[value_at + i];
      if (b > 1) {
        return key_error(ErrorCode::corrupt, key, key_at)
               << "bool " << uint32_t{b} << " at byte " << value_at + i << ", expected 0 or 1";
      }
    }
  }
  if (element_bytes > 0) {
    *at = value_at + total;
  } else {
    uint64_t i = progress->string, next = i > 0 ? progress->string_at : value_at;
    for (; i < count; ++i) {
      if (progress->left-- == 0) {
        progress->string = i;
        progress->string_at = next;
        return progress->pause();
      }
      if (!bytes->has(next, 8)) return cut_off(next, "a string's length");
      const uint64_t length = detail::read_number<uint64_t>(bytes->data + next);
      if (length > bytes->size - next - 8) {
        return key_error(ErrorCode::truncated, key, key_at)
               << "string " << i << " at byte " << next << " has length " << length << ", but only "
               << bytes->size - next - 8 << " bytes follow";
      }
      if (!bytes->has(next, 8 + length)) return cut_off(next, "a string");
      next += 8 + length;
    }
    progress->string = 0;
    *at = next;
  }
  value->data_ = bytes->data + value_at;
  return {};
}

Status Gguf::Impl::parse_tensor(Bytes* bytes, uint64_t number, uint64_t count, uint64_t* at,
                                uint64_t* data_size) noexcept {
  using detail::tensor_error;
  const uint64_t begin = *at;
  const auto unnamed = [&](std::string_view what) noexcept {
    return Error(ErrorCode::truncated, "tensor ")
           << number << " of " << count << " at byte " << begin << ": the file ends at byte "
           << bytes->size << " within its " << what;
  };
  if (!bytes->has(begin, 8)) return unnamed("name's length");
  const uint64_t length = detail::read_number<uint64_t>(bytes->data + begin);
  if (length > bytes->size - begin - 8) {
    return Error(ErrorCode::truncated, "tensor ")
           << number << " of " << count << " at byte " << begin << ": its name has length "
           << length << ", but only " << bytes->size - begin - 8 << " bytes follow";
  }
  if (!bytes->has(begin, 8 + length)) return unnamed("name");
  TensorView tensor;
  tensor.name = {reinterpret_cast<const char*>(bytes->data + begin + 8),
                 static_cast<size_t>(length)};
  const std::string_view name = tensor.name;
  const auto cut_off = [&](std::string_view what) noexcept {
    return tensor_error(ErrorCode::truncated, name, begin)
           << "the file ends at byte " << bytes->size << " within its " << what;
  };

  uint64_t next = begin + 8 + length;
  if (!bytes->has(next, 4)) return cut_off("number of dimensions");
  tensor.n_dims = detail::read_number<uint32_t>(bytes->data + next);
  if (tensor.n_dims > 4) {
    return tensor_error(ErrorCode::corrupt, name, begin)
           << tensor.n_dims << " dimensions at byte " << next << ", expected at most 4";
  }
  next += 4;
  if (!bytes->has(next, uint64_t{8} * tensor.n_dims + 12)) {
    return cut_off("dimensions, type and offset");
  }
  // The product of all dims but empty ones must fit too, so that no one who multiplies some
  // overflows.
  uint64_t elements = 1;
  bool fits = true, empty = false;
  for (uint32_t d = 0; d < tensor.n_dims; ++d, next += 8) {
    tensor.dims[d] = detail::read_number<uint64_t>(bytes->data + next);
    if (tensor.dims[d] > INT64_MAX) {
      return tensor_error(ErrorCode::corrupt, name, begin)
             << "dimension " << d << " at byte " << next << " is " << tensor.dims[d]
             << ", expected less than 2^63";
    }
    empty = empty || tensor.dims[d] == 0;
    if (tensor.dims[d] != 0)
      fits = fits && detail::checked_mul(elements, tensor.dims[d], &elements);
  }
  const uint32_t type = detail::read_number<uint32_t>(bytes->data + next);
  tensor.type = static_cast<TensorType>(type);
  const TensorTypeInfo info = tensor_type_info(tensor.type);
  if (info.name.empty()) {
    std::string_view foreign = "no type that this version knows";
    for (const auto& f : detail::kForeignTensorTypes) {
      if (type >= f.first && type <= f.last) foreign = f.name;
    }
    return tensor_error(ErrorCode::unsupported, name, begin)
           << "type " << type << " at byte " << next << " is " << foreign;
  }
  next += 4;
  if (tensor.dims[0] % info.block_elements != 0) {
    return tensor_error(ErrorCode::corrupt, name, begin)
           << "rows of " << tensor.dims[0] << " elements, expected a multiple of "
           << info.block_elements << ", the block of " << info.name;
  }
  // Rows are whole blocks, so this division is exact where there are rows.
  fits =
      fits && detail::checked_mul(elements / info.block_elements, info.block_bytes, &tensor.bytes);
  if (!fits || elements > INT64_MAX || tensor.bytes > INT64_MAX) {
    Error error = tensor_error(ErrorCode::corrupt, name, begin);
    error << "dimensions ";
    for (uint32_t d = 0; d < tensor.n_dims; ++d) error << (d > 0 ? " x " : "") << tensor.dims[d];
    return error << " of " << info.name << " make 2^63 elements or bytes, or more";
  }
  if (empty) tensor.bytes = 0;

  const uint64_t offset = detail::read_number<uint64_t>(bytes->data + next);
  if (offset != *data_size) {
    Error error = tensor_error(ErrorCode::corrupt, name, begin);
    error << "data offset " << offset << " at byte " << next << ", expected " << *data_size;
    if (offset % alignment != 0) error << ", a multiple of the alignment " << alignment;
    return error;
  }
  next += 8;
  // Below 2^63 + 2^63 + 2^24 at most, so the sums cannot wrap.
  const uint64_t end = offset + tensor.bytes;
  const uint64_t padded = (end + alignment - 1) & ~(alignment - 1);
  if (end > INT64_MAX || padded > INT64_MAX) {
    return tensor_error(ErrorCode::corrupt, name, begin)
           << tensor.bytes << " bytes at data offset " << offset << " end beyond 2^63";
  }
  *data_size = padded;
  *at = next;
  if (!tensors.push_back(tensor)) return Error(ErrorCode::out_of_memory);
  return {};
}

Status Gguf::Impl::parse(Bytes* bytes, Entries* entries, Progress* progress) noexcept {
  if (!bytes->has(0, 4) || std::memcmp(bytes->data, "GGUF", 4) != 0) {
    return Error(ErrorCode::not_gguf, "not a GGUF file: ")
           << (bytes->size < 4 ? "it has fewer than 4 bytes" : "bytes 0 to 3 are not \"GGUF\"");
  }
  if (!bytes->has(0, detail::kHeaderBytes)) {
    return Error(ErrorCode::truncated, "the file has ")
           << bytes->size << " bytes, expected a header of at least " << detail::kHeaderBytes;
  }
  version = detail::read_number<uint32_t>(bytes->data + 4);
  if (version != 2 && version != 3) {
    Error error(ErrorCode::unsupported, "GGUF version at byte 4: ");
    if (version != 0 && (version & 0xffff) == 0)
      return error << "the file is big-endian, expected little-endian";
    return error << "found " << version << ", expected 2 or 3";
  }
  const uint64_t n_tensors = detail::read_number<uint64_t>(bytes->data + 8);
  const uint64_t n_entries = detail::read_number<uint64_t>(bytes->data + 16);
  const uint64_t rest = bytes->size - detail::kHeaderBytes;
  if (n_tensors > rest / detail::kMinTensorBytes || n_tensors > UINT32_MAX) {
    return Error(ErrorCode::truncated, "tensor count at byte 8: found ")
           << n_tensors << ", but only " << rest << " bytes follow the header";
  }
  if (n_entries > rest / detail::kMinEntryBytes || n_entries > UINT32_MAX) {
    return Error(ErrorCode::truncated, "metadata count at byte 16: found ")
           << n_entries << ", but only " << rest << " bytes follow the header";
  }
  uint64_t at = progress->at;
  if (at == 0) {
    at = detail::kHeaderBytes;
    alignment = detail::kDefaultAlignment;
  }
  // The arrays grow with what was read, not with what the header claims, and end at exactly the
  // count.
  uint64_t room = 64;
  for (uint64_t i = progress->entry; i < n_entries; ++i) {
    while (i >= room) room *= 2;
    progress->entry = i;
    progress->at = at;
    if (!entries->reserve(static_cast<size_t>(std::min(room, n_entries)))) {
      return Error(ErrorCode::out_of_memory);
    }
    if (!bytes->has(at, 8)) {
      return Error(ErrorCode::truncated, "metadata entry ")
             << i << " of " << n_entries << " at byte " << at << ": the file ends at byte "
             << bytes->size << " within its key's length";
    }
    const uint64_t length = detail::read_number<uint64_t>(bytes->data + at);
    if (length > bytes->size - at - 8) {
      return Error(ErrorCode::truncated, "metadata entry ")
             << i << " of " << n_entries << " at byte " << at << ": its key has length " << length
             << ", but only " << bytes->size - at - 8 << " bytes follow";
    }
    if (length == 0) {
      return Error(ErrorCode::corrupt, "metadata entry ")
             << i << " of " << n_entries << " at byte " << at << ": its key is empty";
    }
    if (!bytes->has(at, 8 + length)) return Error(ErrorCode::truncated);
    MetadataEntry entry;
    entry.key = {reinterpret_cast<const char*>(bytes->data + at + 8), static_cast<size_t>(length)};
    const uint64_t key_at = at;
    at += 8 + length;
    INLAY_TRY(parse_value(bytes, entry.key, key_at, &at, &entry.value, progress));
    if (entry.key == "general.alignment") {
      uint64_t value = 0;
      if (entry.value.type() != MetadataType::u32 || !entry.value.as_u64(&value)) {
        return detail::key_error(ErrorCode::corrupt, entry.key, key_at)
               << "type " << detail::metadata_type_name(entry.value.type()) << ", expected u32";
      }
      if (value < detail::kMinAlignment || value > detail::kMaxAlignment ||
          (value & (value - 1)) != 0) {
        return detail::key_error(ErrorCode::corrupt, entry.key, key_at)
               << "found " << value << ", expected a power of two from " << detail::kMinAlignment
               << " to " << detail::kMaxAlignment;
      }
      alignment = value;
    }
    if (!entries->push_back(entry)) return Error(ErrorCode::out_of_memory);
  }
  progress->entry = n_entries;
  room = 64;
  for (uint64_t& i = progress->tensor; i < n_tensors; ++i) {
    while (i >= room) room *= 2;
    progress->at = at;
    if (progress->left < Progress::kTensor) return progress->pause();
    progress->left -= Progress::kTensor;
    if (!tensors.reserve(first_tensor + static_cast<size_t>(std::min(room, n_tensors)))) {
      return Error(ErrorCode::out_of_memory);
    }
    INLAY_TRY(parse_tensor(bytes, i, n_tensors, &at, &progress->data_size));
  }
  data_begin = (at + alignment - 1) & ~(alignment - 1);
  return {};
}

Status Gguf::Impl::check_data(size_t first, uint64_t size) noexcept {
  uint64_t at = data_begin;
  data_end = data_begin;
  for (size_t i = first; i < tensors.size(); ++i) {
    const TensorView& tensor = tensors[i];
    // parse_tensor bounded the sum of all tensors by 2^63, and data_begin is below 2^63 + 2^24.
    if (tensor.bytes > 0 && at + tensor.bytes > size) {
      return detail::tensor_error(ErrorCode::truncated, tensor.name, at)
             << "its data has " << tensor.bytes << " bytes, but the file ends at byte " << size;
    }
    if (tensor.bytes > 0) data_end = at + tensor.bytes;
    at = (at + tensor.bytes + alignment - 1) & ~(alignment - 1);
  }
  return {};
}

void Gguf::Impl::place_tensors(size_t first, const uint8_t* begin) noexcept {
  uint64_t offset = 0;
  for (size_t i = first; i < tensors.size(); ++i) {
    // The file need not reach as far as the place of a tensor that has no bytes.
    tensors[i].data = tensors[i].bytes > 0 ? begin + offset : begin;
    offset = (offset + tensors[i].bytes + alignment - 1) & ~(alignment - 1);
  }
}

INLAY_COLD Status Gguf::Impl::check_keys() const noexcept {
  const detail::NameIndex::Pair same = metadata_index.repeated();
  if (same.first == same.second) return {};
  const auto offset = [&](uint32_t i) noexcept {
    return static_cast<uint64_t>(reinterpret_cast<const uint8_t*>(metadata[i].key.data()) -
                                 arrived.data - 8);
  };
  return detail::key_error(ErrorCode::corrupt, metadata[same.first].key, offset(same.second))
         << "the same key is at byte " << offset(same.first) << ", expected each key once";
}

INLAY_COLD Status Gguf::Impl::check_names() const noexcept {
  const detail::NameIndex::Pair same = tensor_index.repeated();
  if (same.first == same.second) return {};
  Error error(ErrorCode::corrupt, "tensor ");
  return detail::quote(error, tensors[same.first].name)
         << ": tensors " << same.first << " and " << same.second
         << " have this name, expected each name once";
}

const MetadataEntry* Gguf::Impl::find(std::string_view key) const noexcept {
  const uint32_t at = metadata_index.find(key);
  return at == detail::NameIndex::kNone ? nullptr : &metadata[at];
}

// ---- files in several parts ---------------------------------------------------------------------

namespace detail {

// What the metadata of one part says: split.no counts from 0, but file names from 1.
struct SplitInfo {
  uint64_t number = 0, count = 1, tensors = UINT64_MAX;
};

inline Status read_split_info(Span<const MetadataEntry> entries, SplitInfo* out) noexcept {
  for (const MetadataEntry& entry : entries) {
    uint64_t* to = entry.key == "split.no"              ? &out->number
                   : entry.key == "split.count"         ? &out->count
                   : entry.key == "split.tensors.count" ? &out->tensors
                                                        : nullptr;
    if (to != nullptr && (entry.value.is_array() || !entry.value.as_u64(to))) {
      Error error(ErrorCode::corrupt, "metadata key ");
      return quote(error, entry.key) << ": expected a number that is not negative";
    }
  }
  return {};
}

// The end of a part's name: "-00002-of-00003.gguf".
inline constexpr size_t kSplitSuffix = 20;
struct SplitSuffix {
  char text[kSplitSuffix + 1];
};
constexpr SplitSuffix split_suffix(uint64_t number, uint64_t count) noexcept {
  SplitSuffix suffix = {"-00000-of-00000.gguf"};
  for (size_t i = 0; i < 5; ++i, number /= 10, count /= 10) {
    suffix.text[5 - i] = static_cast<char>('0' + number % 10);
    suffix.text[14 - i] = static_cast<char>('0' + count % 10);
  }
  return suffix;
}

}  // namespace detail

INLAY_COLD Status Gguf::Impl::refuse_split() const noexcept {
  detail::SplitInfo split;
  INLAY_TRY(detail::read_split_info(metadata.span(), &split));
  if (split.count <= 1) return {};
  return Error(ErrorCode::unsupported, "part ")
         << split.number + 1 << " of a model in " << split.count
         << " files: its other parts can only be found when it is opened by path";
}

#if INLAY_HAS_FILES

INLAY_COLD Status Gguf::Impl::add_part(Result<detail::FileMapping>&& mapping) noexcept {
  if (!mapping) return mapping.error();
  Part* fresh = detail::create<Part>(allocator, std::move(*mapping));
  if (fresh == nullptr) return Error(ErrorCode::out_of_memory);
  fresh->next = parts;
  parts = fresh;
  allocated_bytes += sizeof(Part);
  file_bytes += fresh->mapping.size();
  arrived.data = fresh->mapping.data();
  arrived.here = arrived.size = fresh->mapping.size();
  return {};
}

// How many parts there are.
INLAY_COLD Status Gguf::Impl::check_first_part() noexcept {
  detail::SplitInfo split;
  INLAY_TRY(detail::read_split_info(metadata.span(), &split));
  n_parts = split.count;
  if (split.count <= 1) return {};
  if (split.number != 0) {
    return Error(ErrorCode::bad_argument, "this is part ")
           << split.number + 1 << " of a model in " << split.count << " files, open part 1";
  }
  const std::string_view name = path;
  if (split.count > 99999 || name.size() < detail::kSplitSuffix ||
      detail::slice(name, name.size() - detail::kSplitSuffix) !=
          detail::split_suffix(1, split.count).text) {
    return Error(ErrorCode::corrupt, "this is part 1 of a model in ")
           << split.count << " files, expected a name that ends in "
           << detail::split_suffix(1, split.count % 100000).text;
  }
  return part_path.append(path, name.size() + 1) ? Status() : Error(ErrorCode::out_of_memory);
}

INLAY_COLD Status Gguf::Impl::check_part() const noexcept {
  detail::SplitInfo split;
  INLAY_TRY(detail::read_split_info(part_metadata.span(), &split));
  if (split.number == part && split.count == n_parts) return {};
  return Error(ErrorCode::corrupt, "its metadata says part ")
         << split.number + 1 << " of " << split.count << ", expected " << part + 1 << " of "
         << n_parts;
}

INLAY_COLD Status Gguf::Impl::open_next_part() noexcept {
  ++part;
  const detail::SplitSuffix suffix = detail::split_suffix(part + 1, n_parts);
  std::memcpy(part_path.end() - sizeof suffix.text, suffix.text, sizeof suffix.text);
  INLAY_TRY(add_part(detail::FileMapping::open(part_path.data())));
  first_tensor = tensors.size();
  part_metadata.clear();
  parsing = {};
  reading = Reading::header;
  return {};
}

#endif  // INLAY_HAS_FILES

// ---- a host's read function ---------------------------------------------------------------------

Status Gguf::Impl::read(uint64_t offset, uint8_t* to, uint64_t count) const noexcept {
  const uint64_t at = function_offset + offset;
  if (function.read(function.user, at, to, static_cast<size_t>(count))) return {};
  return Error(ErrorCode::io, "the host's read function failed for ")
         << count << " bytes at byte " << at;
}

// Parses what is there, some of it in each call; if a read function has to bring more, at least
// twice as much is fetched, a piece in each call, and parsed again: linear in all.
INLAY_COLD Status Gguf::Impl::read_header() noexcept {
  if (function.read != nullptr) {
    if (header.size() == header.capacity() && !parsing.paused) {
      uint64_t more = arrived.here == 0 ? 2 * kPiece : arrived.here * 2;
      if (more < arrived.wanted) more = arrived.wanted;
      if (more > arrived.size) more = arrived.size;
      shorter_header = std::move(header);
      if (more > SIZE_MAX || !header.reserve(static_cast<size_t>(more))) {
        return Error(ErrorCode::out_of_memory, "no memory for a header of ") << more << " bytes";
      }
      metadata.clear();
      tensors.clear();
      parsing = {};
      arrived.data = header.data();
      arrived.wanted = 0;
    }
    const size_t here = header.size(), left = header.capacity() - here;
    if (left > 0) {
      size_t count = left < kPiece ? left : kPiece;
      if (here < shorter_header.size()) {
        if (count > shorter_header.size() - here) count = shorter_header.size() - here;
        (void)header.append(shorter_header.data() + here, count);  // there is room
      } else {
        (void)header.resize(here + count);
        INLAY_TRY(read(here, header.data() + here, count));
      }
      if (count < left) return {};
      shorter_header = detail::Array<uint8_t>(allocator);
      arrived.here = header.size();
    }
  }
  parsing.left = Progress::kAtOnce;
  parsing.paused = false;
#if INLAY_HAS_FILES
  Entries* const entries = part > 0 ? &part_metadata : &metadata;
#else
  Entries* const entries = &metadata;
#endif
  if (Status status = parse(&arrived, entries, &parsing); !status) {
    return arrived.wanted == 0 && !parsing.paused ? status : Status();
  }
  if (part > 0) return finish_header();
  allocated_bytes += header.size();
  const auto key = [](const void* list, size_t i) noexcept {
    return static_cast<const MetadataEntry*>(list)[i].key;
  };
  if (!metadata_index.begin({metadata.data(), key}, metadata.size())) {
    return Error(ErrorCode::out_of_memory);
  }
  reading = Reading::keys;
  return {};
}

// What is wrong with a file is found in the same order however it is read.
INLAY_COLD Status Gguf::Impl::finish_header() noexcept {
#if INLAY_HAS_FILES
  if (part > 0) {
    INLAY_TRY(check_part());
  } else if (whole_path) {
    INLAY_TRY(check_first_part());
  } else {
    INLAY_TRY(refuse_split());
  }
#else
  INLAY_TRY(refuse_split());
#endif
  if (!header_only) {
    INLAY_TRY(check_data(first_tensor, arrived.size));
    if (function.read == nullptr && data_end > data_begin) {
      place_tensors(first_tensor, arrived.data + data_begin);
    }
  }
#if INLAY_HAS_FILES
  if (part + 1 < n_parts) return open_next_part();
  part_path = detail::String(allocator);
  part_metadata = Entries(allocator);
  if (n_parts > 1) {
    part = 0;  // errors are the first one's
    detail::SplitInfo split;
    INLAY_TRY(detail::read_split_info(metadata.span(), &split));
    if (split.tensors != UINT64_MAX && split.tensors != tensors.size()) {
      return Error(ErrorCode::corrupt, "metadata key \"split.tensors.count\": found ")
             << split.tensors << ", but all parts together have " << uint64_t{tensors.size()};
    }
  }
#endif
  const auto name = [](const void* list, size_t i) noexcept {
    return static_cast<const TensorView*>(list)[i].name;
  };
  if (!tensor_index.begin({tensors.data(), name}, tensors.size())) {
    return Error(ErrorCode::out_of_memory);
  }
  reading = Reading::names;
  return {};
}

INLAY_COLD Status Gguf::Impl::read_more() noexcept {
  switch (reading) {
    case Reading::header:
      return read_header();
    case Reading::keys:
      if (!metadata_index.sort_more()) return {};
      INLAY_TRY(check_keys());
      return finish_header();
    case Reading::names:
      if (!tensor_index.sort_more()) return {};
      INLAY_TRY(check_names());
      reading = Reading::done;
      return function.read != nullptr && !header_only && data_end > data_begin ? start_data()
                                                                               : Status();
    default:
      return read_data();
  }
}

INLAY_COLD Status Gguf::Impl::start_data() noexcept {
  const uint64_t total = data_end - data_begin;
  if (total <= SIZE_MAX) {
    data = static_cast<uint8_t*>(detail::allocate(allocator, static_cast<size_t>(total)));
  }
  if (data == nullptr) {
    return Error(ErrorCode::out_of_memory, "no memory for ") << total << " bytes of tensor data";
  }
  data_bytes = static_cast<size_t>(total);
  allocated_bytes += total;
  reading = Reading::data;
  return {};
}

Status Gguf::Impl::read_data() noexcept {
  const size_t left = data_bytes - data_read, count = left < kPiece ? left : kPiece;
  INLAY_TRY(read(data_begin + data_read, data + data_read, count));
  data_read += count;
  if (data_read < data_bytes) return {};
  place_tensors(0, data);
  reading = Reading::done;
  return {};
}

// ---- the public class ---------------------------------------------------------------------------

// Which of two ways is meant nobody can know. But descriptor 0, which a zeroed structure of C has,
// is one only by itself.
INLAY_COLD inline Status check_source(const GgufSource& source) noexcept {
  const struct {
    bool given;
    const char* name;
  } ways[] = {{source.path != nullptr, "a path"},
              {source.descriptor > 0, "a descriptor"},
              {source.bytes.data() != nullptr, "memory"},
              {source.function.read != nullptr, "a read function"}};
  const char* first = nullptr;
  for (const auto& way : ways) {
    if (!way.given) continue;
    if (first != nullptr) {
      return Error(ErrorCode::bad_argument, "the source has ")
             << first << " and " << way.name << ": expected one of these";
    }
    first = way.name;
  }
  return {};
}

Status Gguf::Impl::open(const GgufSource& source) noexcept {
  INLAY_TRY(check_source(source));
  if (source.function.read != nullptr) {
    const uint64_t all = source.function.size;
    if (all > INT64_MAX) {
      return Error(ErrorCode::bad_argument, "a file of ")
             << all << " bytes, expected less than 2^63";
    }
    if (source.offset > all || source.size > all - source.offset) {
      return Error(ErrorCode::bad_argument, "the part at byte ")
             << source.offset << ": the file has " << all << " bytes, and ends before it does";
    }
    function = source.function;
    function_offset = source.offset;
    file_bytes = arrived.size = source.size != 0 ? source.size : all - source.offset;
    return {};
  }
  const bool is_file =
      source.path != nullptr || (source.descriptor >= 0 && source.bytes.data() == nullptr);
  if (source.offset % 8 != 0) {
    return Error(ErrorCode::bad_argument, "the part at byte ")
           << source.offset << ": expected a multiple of 8, or a read function";
  }
  if (!is_file) {
    const uint64_t all = source.bytes.size();
    if (source.offset > all || source.size > all - source.offset) {
      return Error(ErrorCode::bad_argument, "the part at byte ")
             << source.offset << ": there are " << all << " bytes, which end before it does";
    }
    const size_t at = static_cast<size_t>(source.offset);
    const Span<const uint8_t> file =
        source.size != 0 ? source.bytes.subspan(at, static_cast<size_t>(source.size))
                         : source.bytes.subspan(at);
    if (reinterpret_cast<uintptr_t>(file.data()) % 8 != 0) {
      return Error(ErrorCode::bad_argument, "a GGUF file in memory must be aligned to 8 bytes");
    }
    arrived.data = file.data();
    file_bytes = arrived.here = arrived.size = file.size();
    return {};
  }
#if INLAY_HAS_FILES
  path = source.path != nullptr ? source.path : "the descriptor";
  whole_path = source.path != nullptr && source.offset == 0 && source.size == 0;
  return add_part(source.path != nullptr
                      ? detail::FileMapping::open(source.path, source.offset, source.size)
                      : detail::FileMapping::open(source.descriptor, source.offset, source.size));
#else
  return Error(ErrorCode::unsupported, "cannot open ")
         << (source.path != nullptr ? source.path : "a descriptor")
         << ": this build has no file access, see INLAY_NO_FILES";
#endif
}

Result<Gguf> Gguf::begin(const GgufSource& source, const GgufOptions& options) noexcept {
  Impl* impl = detail::create<Impl>(options.host.allocator, options.host.allocator);
  if (impl == nullptr) return Error(ErrorCode::out_of_memory);
  Gguf file(impl);
  impl->header_only = options.header_only;
  INLAY_TRY(impl->open(source));
  return file;
}

Status Gguf::read_more() noexcept {
  Status status = impl_->read_more();
#if INLAY_HAS_FILES
  const char* const path = impl_->part > 0 ? impl_->part_path.data() : impl_->path;
  if (!status && path != nullptr && status.error().code() != ErrorCode::io) {
    return detail::in_file(path, status.error());
  }
#endif
  return status;
}

bool Gguf::complete() const noexcept { return impl_->reading == Impl::Reading::done; }

float Gguf::read_fraction() const noexcept {
  if (complete()) return 1;
  return impl_->data_bytes == 0
             ? 0
             : static_cast<float>(impl_->data_read) / static_cast<float>(impl_->data_bytes);
}

Result<Gguf> Gguf::open(const GgufSource& source, const GgufOptions& options) noexcept {
  Result<Gguf> file = begin(source, options);
  while (file && !file->complete()) INLAY_TRY(file->read_more());
  return file;
}

Result<Gguf> Gguf::open(const char* path, const GgufOptions& options) noexcept {
  if (path == nullptr) return Error(ErrorCode::bad_argument, "the path is null");
  GgufSource source;
  source.path = path;
  return open(source, options);
}

Result<Gguf> Gguf::from_memory(Span<const uint8_t> memory, const GgufOptions& options) noexcept {
  GgufSource source;
  source.bytes = memory;
  return open(source, options);
}

Result<Gguf> Gguf::from_function(const ReadFunction& function,
                                 const GgufOptions& options) noexcept {
  if (function.read == nullptr) return Error(ErrorCode::bad_argument, "the read function is null");
  GgufSource source;
  source.function = function;
  return open(source, options);
}

Gguf::Gguf(Gguf&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }

Gguf& Gguf::operator=(Gguf&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Gguf::~Gguf() {
  if (impl_ != nullptr) detail::destroy(impl_->allocator, impl_);
}

uint32_t Gguf::version() const noexcept { return impl_->version; }
Span<const MetadataEntry> Gguf::metadata() const noexcept { return impl_->metadata.span(); }
Span<const TensorView> Gguf::tensors() const noexcept { return impl_->tensors.span(); }
const MetadataEntry* Gguf::find_entry(std::string_view key) const noexcept {
  return impl_->find(key);
}

const MetadataValue* Gguf::find(std::string_view key) const noexcept {
  const MetadataEntry* entry = impl_->find(key);
  return entry == nullptr ? nullptr : &entry->value;
}

const TensorView* Gguf::find_tensor(std::string_view name) const noexcept {
  const uint32_t at = impl_->tensor_index.find(name);
  return at == detail::NameIndex::kNone ? nullptr : &impl_->tensors[at];
}

uint64_t Gguf::file_bytes() const noexcept { return impl_->file_bytes; }

uint64_t Gguf::bytes_to_read() const noexcept {
  if (impl_->function.read == nullptr) return 0;
  uint64_t end = 0, at = 0;
  for (const TensorView& tensor : impl_->tensors) {  // what parse_tensor checked
    if (tensor.bytes > 0) end = at + tensor.bytes;
    at = (at + tensor.bytes + impl_->alignment - 1) & ~(impl_->alignment - 1);
  }
  return end;
}

bool Gguf::mapped() const noexcept {
#if INLAY_HAS_FILES
  return impl_->parts != nullptr;
#else
  return false;
#endif
}

uint64_t Gguf::modified() const noexcept {
  uint64_t last = 0;
#if INLAY_HAS_FILES
  for (const Impl::Part* part = impl_->parts; part != nullptr; part = part->next) {
    last = part->mapping.modified() > last ? part->mapping.modified() : last;
  }
#endif
  return last;
}

uint64_t Gguf::allocated_bytes() const noexcept {
  return sizeof(Impl) + impl_->allocated_bytes + impl_->metadata.size() * sizeof(MetadataEntry) +
         impl_->tensors.size() * sizeof(TensorView) +
         (impl_->metadata_index.size() + impl_->tensor_index.size()) * sizeof(uint32_t);
}

INLAY_END_NAMESPACE

#endif  // INLAY_GGUF_GGUF_INL_HPP_
