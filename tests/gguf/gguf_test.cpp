#include "inlay/gguf/gguf.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gguf/malformed.hpp"
#include "support/counting_allocator.hpp"
#include "support/folder.hpp"
#include "support/vocabulary_folder.hpp"

using inlay::ErrorCode;
using inlay::Gguf;
using inlay::GgufOptions;
using inlay::MetadataType;
using inlay::MetadataValue;
using inlay::ReadFunction;
using inlay::Result;
using inlay::TensorType;
using inlay::TensorView;
using inlay_test::CountingAllocator;
using inlay_test::FileBytes;
using inlay_test::Folder;
using inlay_test::valid_file;

namespace {

// A copy of a file's bytes of exactly its size, so that AddressSanitizer sees every read past its
// end.
struct Memory {
  explicit Memory(const std::string& text) : bytes(text.begin(), text.end()) {
    bytes.shrink_to_fit();
  }
  inlay::Span<const uint8_t> span() const { return {bytes.data(), bytes.size()}; }
  std::vector<uint8_t> bytes;
};

// A file behind a read function, which may claim another size and fail at the k-th call.
struct Source {
  explicit Source(std::string text) : bytes(std::move(text)) {}
  ReadFunction get() {
    ReadFunction f;
    f.user = this;
    f.size = bytes.size();
    f.read = [](void* user, uint64_t offset, void* destination, size_t count) {
      Source& s = *static_cast<Source*>(user);
      s.largest = std::max(s.largest, count);
      s.total += count;
      if (s.calls++ == s.fail_at) return false;
      if (offset > s.bytes.size() || count > s.bytes.size() - offset) {
        s.out_of_range = true;
        return false;
      }
      std::memcpy(destination, s.bytes.data() + offset, count);
      return true;
    };
    return f;
  }
  std::string bytes;
  size_t calls = 0, fail_at = SIZE_MAX, largest = 0, total = 0;
  bool out_of_range = false;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> strings(const MetadataValue& value) {
  std::vector<std::string> list;
  value.for_each_string([&](uint64_t i, std::string_view s) {
    CHECK(i == list.size());
    list.emplace_back(s);
  });
  return list;
}

// Everything there is to read, so that a sanitizer sees it.
uint64_t walk(const Gguf& file) {
  uint64_t sum = file.version() + file.file_bytes() + file.allocated_bytes();
  for (const auto& entry : file.metadata()) {
    REQUIRE(file.find(entry.key) == &entry.value);
    entry.value.for_each_string([&](uint64_t, std::string_view s) {
      for (char c : s) sum += static_cast<unsigned char>(c);
    });
    for (uint64_t i = 0; i < entry.value.size() && i < 1000; ++i) {
      uint64_t u = 0;
      int64_t s = 0;
      double d = 0;
      bool b = false;
      sum += entry.value.as_u64(&u, i) + entry.value.as_i64(&s, i) + entry.value.as_f64(&d, i) +
             entry.value.as_bool(&b, i);
    }
  }
  for (const auto& tensor : file.tensors()) {
    REQUIRE(file.find_tensor(tensor.name) == &tensor);
    for (uint64_t i = 0; tensor.data != nullptr && i < tensor.bytes; ++i) sum += tensor.data[i];
  }
  return sum;
}

// What valid_file() holds.
void check_valid(const Gguf& file, bool header_only = false) {
  REQUIRE(file.metadata().size() == 5);
  CHECK(file.metadata()[0].key == "general.architecture");
  CHECK(file.metadata()[4].key == "flag");
  std::string_view text;
  REQUIRE(file.find("general.architecture") != nullptr);
  CHECK(file.find("general.architecture")->as_string(&text));
  CHECK(text == "test");
  REQUIRE(file.find("tokens") != nullptr);
  CHECK(strings(*file.find("tokens")) == std::vector<std::string>{"a", "", "ccc"});
  CHECK(file.find("token") == nullptr);
  CHECK(file.find("tokens2") == nullptr);
  CHECK(file.find("") == nullptr);
  CHECK(file.find_tensor("") == nullptr);
  CHECK(file.find_tensor("biases") == nullptr);

  REQUIRE(file.tensors().size() == 3);
  const TensorView& weight = file.tensors()[0];
  CHECK(weight.name == "weight");
  CHECK(weight.type == TensorType::q4_0);
  CHECK(weight.n_dims == 2);
  CHECK(weight.dims[0] == 32);
  CHECK(weight.dims[1] == 2);
  CHECK(weight.dims[2] == 1);
  CHECK(weight.dims[3] == 1);
  CHECK(weight.bytes == 36);
  const TensorView* bias = file.find_tensor("bias");
  const TensorView* half = file.find_tensor("half");
  REQUIRE(bias == &file.tensors()[1]);
  REQUIRE(half == &file.tensors()[2]);
  CHECK(bias->bytes == 12);
  CHECK(half->bytes == 12);
  CHECK(half->dims[2] == 3);
  for (const TensorView& tensor : file.tensors()) {
    const unsigned first = tensor.name == "weight" ? 0 : tensor.name == "bias" ? 100 : 200;
    if (header_only) {
      CHECK(tensor.data == nullptr);
      continue;
    }
    REQUIRE(tensor.data != nullptr);
    bool same = true;
    for (unsigned i = 0; i < tensor.bytes; ++i) same = same && tensor.data[i] == first + i;
    CHECK(same);
  }
}

}  // namespace

TEST_CASE("a valid file gives the same from memory, from a path and through a read function") {
  for (uint32_t version : {2u, 3u}) {
    const std::string bytes = valid_file(version);
    const Memory memory(bytes);
    Result<Gguf> file = Gguf::from_memory(memory.span());
    REQUIRE_MESSAGE(file, file.error().message());
    CHECK(file->version() == version);
    CHECK(file->file_bytes() == bytes.size());
    CHECK_FALSE(file->mapped());
    CHECK(file->modified() == 0);
    check_valid(*file);
    for (const TensorView& tensor : file->tensors()) {  // no copy
      CHECK(tensor.data >= memory.bytes.data());
      CHECK(tensor.data + tensor.bytes <= memory.bytes.data() + memory.bytes.size());
    }

    const Folder folder;
    file = Gguf::open(folder
                          .write("m\xc3\xb6"
                                 "del.gguf",
                                 bytes)
                          .c_str());
    REQUIRE_MESSAGE(file, file.error().message());
    CHECK(file->file_bytes() == bytes.size());
    CHECK(file->mapped());
    CHECK(file->modified() != 0);
    check_valid(*file);
    CHECK(reinterpret_cast<uintptr_t>(file->tensors()[1].data) % 64 == 0);

    Source source(bytes);
    file = Gguf::from_function(source.get());
    REQUIRE_MESSAGE(file, file.error().message());
    CHECK_FALSE(source.out_of_range);
    CHECK_FALSE(file->mapped());
    source.bytes.assign(bytes.size(), '?');  // it must have been copied
    check_valid(*file);
    CHECK(reinterpret_cast<uintptr_t>(file->tensors()[1].data) % 64 == 0);

    Gguf moved = std::move(*file);
    check_valid(moved);
    *file = std::move(moved);
    check_valid(*file);
  }
}

TEST_CASE("only the header is read if that is all that is asked for") {
  GgufOptions options;
  options.header_only = true;
  const std::string bytes = valid_file();
  const size_t header = bytes.size() - 128 - 12;  // the data's first byte
  for (size_t size : {bytes.size(), header, header - 1}) {
    if (size == header - 1 && bytes[size] != '\0') continue;  // is not padding
    const Memory memory(bytes.substr(0, size));
    Result<Gguf> file = Gguf::from_memory(memory.span(), options);
    REQUIRE_MESSAGE(file, file.error().message());
    check_valid(*file, true);
    Source source(bytes.substr(0, size));
    file = Gguf::from_function(source.get(), options);
    REQUIRE_MESSAGE(file, file.error().message());
    check_valid(*file, true);
    const Folder folder;
    file = Gguf::open(
        folder.write("h.gguf", memory.span().empty() ? "" : bytes.substr(0, size)).c_str(),
        options);
    REQUIRE_MESSAGE(file, file.error().message());
    check_valid(*file, true);
  }
}

TEST_CASE("every type of metadata") {
  FileBytes f;
  f.header(0, 26);
  f.key("u8", 0).u8(200).key("i8", 1).u8(0x80).key("u16", 2).u16(60000).key("i16", 3).u16(0x8000);
  f.key("u32", 4).u32(4000000000u).key("i32", 5).u32(0x80000000u).key("f32", 6).f32(-0.1f);
  f.key("bool", 7).u8(1).key("string", 8).string("text").key("u64", 10).u64(UINT64_MAX);
  f.key("i64", 11).u64(uint64_t{1} << 63).key("f64", 12).f64(1e300);
  f.array("[u8]", 0, 3).u8(1).u8(2).u8(255).array("[i8]", 1, 2).u8(1).u8(0xff);
  f.array("[u16]", 2, 2).u16(1).u16(65535).array("[i16]", 3, 2).u16(1).u16(0xffff);
  f.array("[u32]", 4, 2).u32(1).u32(UINT32_MAX).array("[i32]", 5, 2).u32(1).u32(UINT32_MAX);
  f.array("[f32]", 6, 2).f32(1.5f).f32(-2.5f).array("[bool]", 7, 2).u8(0).u8(1);
  f.array("[string]", 8, 2).string("x").string("yz").array("[u64]", 10, 2).u64(1).u64(UINT64_MAX);
  f.array("[i64]", 11, 2).u64(1).u64(UINT64_MAX).array("[f64]", 12, 2).f64(0.1).f64(-0.1);
  f.array("[empty]", 4, 0).array("[no strings]", 8, 0);
  const Memory memory(f.bytes);
  Result<Gguf> opened = Gguf::from_memory(memory.span());
  REQUIRE_MESSAGE(opened, opened.error().message());
  const Gguf& file = *opened;
  walk(file);

  // as_u64, as_i64, as_f64: the value, or that there is none.
  struct Row {
    const char* key;
    uint64_t i;
    bool has_u, has_i, has_d;
    uint64_t u;
    int64_t s;
    double d;
  };
  const Row rows[] = {
      {"u8", 0, true, true, true, 200, 200, 200},
      {"i8", 0, false, true, true, 0, -128, -128},
      {"u16", 0, true, true, true, 60000, 60000, 60000},
      {"i16", 0, false, true, true, 0, -32768, -32768},
      {"u32", 0, true, true, true, 4000000000u, 4000000000, 4e9},
      {"i32", 0, false, true, true, 0, INT32_MIN, -2147483648.0},
      {"f32", 0, false, false, true, 0, 0, static_cast<double>(-0.1f)},
      {"bool", 0, false, false, false, 0, 0, 0},
      {"string", 0, false, false, false, 0, 0, 0},
      {"u64", 0, true, false, true, UINT64_MAX, 0, 18446744073709551615.0},
      {"i64", 0, false, true, true, 0, INT64_MIN, -9223372036854775808.0},
      {"f64", 0, false, false, true, 0, 0, 1e300},
      {"u8", 1, false, false, false, 0, 0, 0},
      {"[u8]", 2, true, true, true, 255, 255, 255},
      {"[i8]", 1, false, true, true, 0, -1, -1},
      {"[u16]", 1, true, true, true, 65535, 65535, 65535},
      {"[i16]", 0, true, true, true, 1, 1, 1},
      {"[i16]", 1, false, true, true, 0, -1, -1},
      {"[u32]", 1, true, true, true, UINT32_MAX, UINT32_MAX, 4294967295.0},
      {"[i32]", 0, true, true, true, 1, 1, 1},
      {"[i32]", 1, false, true, true, 0, -1, -1},
      {"[f32]", 1, false, false, true, 0, 0, -2.5},
      {"[bool]", 1, false, false, false, 0, 0, 0},
      {"[string]", 1, false, false, false, 0, 0, 0},
      {"[u64]", 0, true, true, true, 1, 1, 1},
      {"[u64]", 1, true, false, true, UINT64_MAX, 0, 18446744073709551615.0},
      {"[i64]", 1, false, true, true, 0, -1, -1},
      {"[f64]", 1, false, false, true, 0, 0, -0.1},
      {"[u8]", 3, false, false, false, 0, 0, 0},
      {"[f64]", UINT64_MAX, false, false, false, 0, 0, 0},
      {"[empty]", 0, false, false, false, 0, 0, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.key));
    CAPTURE(row.i);
    const MetadataValue* value = file.find(row.key);
    REQUIRE(value != nullptr);
    uint64_t u = 77;
    int64_t s = 77;
    double d = 77;
    CHECK(value->as_u64(&u, row.i) == row.has_u);
    CHECK(value->as_i64(&s, row.i) == row.has_i);
    CHECK(value->as_f64(&d, row.i) == row.has_d);
    CHECK(u == (row.has_u ? row.u : 77));  // unchanged if there is no value
    CHECK(s == (row.has_i ? row.s : 77));
    CHECK(d == (row.has_d ? row.d : 77));
  }

  bool b = false;
  CHECK(file.find("bool")->as_bool(&b));
  CHECK(b);
  CHECK(file.find("[bool]")->as_bool(&b, 0));
  CHECK_FALSE(b);
  CHECK(file.find("[bool]")->as_bool(&b, 1));
  CHECK(b);
  CHECK_FALSE(file.find("[bool]")->as_bool(&b, 2));
  CHECK_FALSE(file.find("u8")->as_bool(&b));
  std::string_view text = "before";
  CHECK_FALSE(file.find("[string]")->as_string(&text));
  CHECK_FALSE(file.find("u8")->as_string(&text));
  CHECK(text == "before");
  CHECK(file.find("string")->as_string(&text));
  CHECK(text == "text");
  CHECK(strings(*file.find("string")) == std::vector<std::string>{"text"});
  CHECK(strings(*file.find("[string]")) == std::vector<std::string>{"x", "yz"});
  CHECK(strings(*file.find("[no strings]")).empty());
  CHECK(strings(*file.find("[u8]")).empty());

  CHECK(file.find("u8")->type() == MetadataType::u8);
  CHECK(file.find("u8")->element_type() == MetadataType::u8);
  CHECK(file.find("u8")->size() == 1);
  CHECK_FALSE(file.find("u8")->is_array());
  CHECK(file.find("[f64]")->type() == MetadataType::array);
  CHECK(file.find("[f64]")->element_type() == MetadataType::f64);
  CHECK(file.find("[f64]")->size() == 2);
  CHECK(file.find("[f64]")->is_array());
  CHECK(file.find("[empty]")->size() == 0);
}

TEST_CASE("every tensor type by its number, block and size") {
  // Number, name, elements and bytes of a block: as ggml prints them, independently of
  // INLAY_TENSOR_TYPES.
  struct Row {
    uint32_t number;
    const char* name;
    uint64_t elements, bytes;
  };
  const Row rows[] = {
      {0, "f32", 1, 4},         {1, "f16", 1, 2},         {2, "q4_0", 32, 18},
      {3, "q4_1", 32, 20},      {6, "q5_0", 32, 22},      {7, "q5_1", 32, 24},
      {8, "q8_0", 32, 34},      {9, "q8_1", 32, 36},      {10, "q2_K", 256, 84},
      {11, "q3_K", 256, 110},   {12, "q4_K", 256, 144},   {13, "q5_K", 256, 176},
      {14, "q6_K", 256, 210},   {15, "q8_K", 256, 292},   {16, "iq2_xxs", 256, 66},
      {17, "iq2_xs", 256, 74},  {18, "iq3_xxs", 256, 98}, {19, "iq1_s", 256, 50},
      {20, "iq4_nl", 32, 18},   {21, "iq3_s", 256, 110},  {22, "iq2_s", 256, 82},
      {23, "iq4_xs", 256, 136}, {24, "i8", 1, 1},         {25, "i16", 1, 2},
      {26, "i32", 1, 4},        {27, "i64", 1, 8},        {28, "f64", 1, 8},
      {29, "iq1_m", 256, 56},   {30, "bf16", 1, 2},       {34, "tq1_0", 256, 54},
      {35, "tq2_0", 256, 66},   {39, "mxfp4", 32, 17},    {40, "nvfp4", 64, 36},
      {41, "q1_0", 128, 18},    {42, "q2_0", 64, 18},
  };
  FileBytes f;
  f.header(std::size(rows), 0);
  uint64_t offset = 0;
  for (const Row& row : rows) {
    f.tensor(row.name, {row.elements * 3, 5}, row.number, offset);
    offset += (row.bytes * 15 + 31) / 32 * 32;
  }
  f.pad().data(static_cast<size_t>(offset));
  const Memory memory(f.bytes);
  Result<Gguf> file = Gguf::from_memory(memory.span());
  REQUIRE_MESSAGE(file, file.error().message());
  for (const Row& row : rows) {
    CAPTURE(std::string(row.name));
    const TensorView* tensor = file->find_tensor(row.name);
    REQUIRE(tensor != nullptr);
    CHECK(static_cast<uint32_t>(tensor->type) == row.number);
    CHECK(inlay::tensor_type_info(tensor->type).name == row.name);
    CHECK(inlay::tensor_type_info(tensor->type).block_elements == row.elements);
    CHECK(tensor->bytes == row.bytes * 15);
  }
}

TEST_CASE("shapes at the edge: scalars, no elements, four dimensions, names of any length") {
  const std::string long_name(300, 'n');
  FileBytes f;
  f.header(5, 0);
  f.tensor("scalar", {}, 0, 0);
  f.tensor("none", {32, 0}, 2, 32);
  f.tensor("none, large", {0, 1, INT32_MAX, UINT32_MAX}, 2, 32);
  f.tensor(long_name, {2, 3, 4, 5}, 0, 32);
  f.tensor("", {0}, 0, 512);
  f.pad().data(32).data(480);  // the file ends where the last tensor, which is empty, would be
  const Memory memory(f.bytes);
  Result<Gguf> file = Gguf::from_memory(memory.span());
  REQUIRE_MESSAGE(file, file.error().message());
  walk(*file);
  const auto tensors = file->tensors();
  CHECK(tensors[0].n_dims == 0);
  CHECK(tensors[0].dims[0] == 1);
  CHECK(tensors[0].bytes == 4);
  CHECK(tensors[1].bytes == 0);
  CHECK(tensors[2].bytes == 0);
  CHECK(tensors[2].dims[3] == UINT32_MAX);
  CHECK(tensors[3].bytes == 480);
  CHECK(tensors[3].data == tensors[0].data + 32);
  CHECK(file->find_tensor(long_name) == &tensors[3]);
  CHECK(file->find_tensor("") == &tensors[4]);
}

TEST_CASE("an empty file with a header is valid, padding and bytes after the data are ignored") {
  const Memory empty(FileBytes().header(0, 0).bytes);
  CHECK(Gguf::from_memory(empty.span()));
  const Memory longer(valid_file() + std::string(1000, 'z'));
  const Result<Gguf> file = Gguf::from_memory(longer.span());
  REQUIRE(file);
  check_valid(*file);
}

TEST_CASE("alignments from 8 bytes to 16 MiB place the data") {
  for (uint32_t shift : {3u, 5u, 6u, 12u, 24u}) {
    const uint32_t alignment = 1u << shift;
    FileBytes f;
    f.header(1, 1).key("general.alignment", 4).u32(alignment).tensor("x", {4}, 24, 0);
    const size_t header = f.bytes.size();
    f.pad(alignment).raw("data");
    const Memory memory(f.bytes);
    const Result<Gguf> file = Gguf::from_memory(memory.span());
    REQUIRE_MESSAGE(file, file.error().message());
    const uint8_t* data = file->tensors()[0].data;
    CHECK(std::memcmp(data, "data", 4) == 0);
    CHECK(static_cast<size_t>(data - memory.bytes.data()) % alignment == 0);
    CHECK(static_cast<size_t>(data - memory.bytes.data()) >= header);
  }
}

TEST_CASE("each malformed file is refused with its code and place, however it is opened") {
  const Folder folder;
  for (const auto& bad : inlay_test::malformed_files()) {
    CAPTURE(std::string(bad.name));
    CountingAllocator allocator;
    GgufOptions options;
    options.host.allocator = allocator.get();
    const Memory memory(bad.bytes);
    const Result<Gguf> by_memory = Gguf::from_memory(memory.span(), options);
    REQUIRE_FALSE(by_memory);
    CHECK(by_memory.error().code() == bad.code);
    CHECK_MESSAGE(contains(by_memory.error().message(), bad.place),
                  std::string(by_memory.error().message()));

    Source source(bad.bytes);
    const Result<Gguf> by_function = Gguf::from_function(source.get(), options);
    REQUIRE_FALSE(by_function);
    CHECK_FALSE(source.out_of_range);
    CHECK(by_function.error().code() == bad.code);
    CHECK(std::string(by_function.error().message()) == by_memory.error().message());

    const std::string name = std::string(bad.name) + ".gguf";
    const Result<Gguf> by_path = Gguf::open(folder.write(name, bad.bytes).c_str(), options);
    REQUIRE_FALSE(by_path);
    CHECK_MESSAGE(contains(by_path.error().message(), name),
                  std::string(by_path.error().message()));
    if (std::string(bad.name) == "SPLIT_IN_MEMORY") {
      CHECK(by_path.error().code() == ErrorCode::bad_argument);
    } else if (std::string(bad.name) == "EMPTY") {
      CHECK(by_path.error().code() == ErrorCode::io);
    } else {
      CHECK(by_path.error().code() == bad.code);
      CHECK_MESSAGE(contains(by_path.error().message(), bad.place),
                    std::string(by_path.error().message()));
    }
    CHECK(allocator.live_blocks() == 0);
    CHECK(allocator.wrong_releases() == 0);
    // Nothing is allocated for what a header claims: entries are 3 times their bytes in the file at
    // most, and the arrays start with room for 64.
    CHECK(allocator.peak_bytes() <= 4 * bad.bytes.size() + 64 * 40 + 64 * 72 + 1024);
  }
}

TEST_CASE("a file cut off at any byte is an error that says so, never a crash") {
  const std::string bytes = valid_file();
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    const Memory memory(bytes.substr(0, size));
    const Result<Gguf> file = Gguf::from_memory(memory.span());
    REQUIRE_FALSE(file);
    CHECK(file.error().code() == (size < 4 ? ErrorCode::not_gguf : ErrorCode::truncated));
    Source source(bytes.substr(0, size));
    const Result<Gguf> by_function = Gguf::from_function(source.get());
    REQUIRE_FALSE(by_function);
    CHECK(std::string(by_function.error().message()) == file.error().message());
  }
}

TEST_CASE("a file with any byte changed is read without a crash") {
  const std::string bytes = valid_file();
  size_t opened = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int change : {0x01, 0x80, 0xff, 0x7f}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ change);
      const Memory memory(changed);
      const Result<Gguf> file = Gguf::from_memory(memory.span());
      if (!file) continue;
      ++opened;
      walk(*file);
    }
  }
  CHECK(opened > bytes.size());  // the data, names and values may be anything
}

TEST_CASE("memory that is not aligned to 8 bytes is refused") {
  const std::string bytes = valid_file();
  std::vector<uint64_t> words(bytes.size() / 8 + 2);
  uint8_t* base = reinterpret_cast<uint8_t*>(words.data());
  std::memcpy(base + 4, bytes.data(), bytes.size());
  const Result<Gguf> file = Gguf::from_memory({base + 4, bytes.size()});
  REQUIRE_FALSE(file);
  CHECK(file.error().code() == ErrorCode::bad_argument);
  CHECK(contains(file.error().message(), "aligned to 8"));
}

TEST_CASE("a long header comes in growing pieces, the data in one block") {
  FileBytes f;
  constexpr size_t kTokens = 150000;
  f.header(2, 2).array("tokens", 8, kTokens);
  for (size_t i = 0; i < kTokens; ++i) f.string("token " + std::to_string(i));
  f.key("last", 4).u32(7);
  f.tensor("x", {1000}, 0, 0).tensor("y", {100}, 24, 4000);
  const size_t header = f.bytes.size();
  f.pad().data(4000).data(100, 50);

  Source source(f.bytes);
  CountingAllocator allocator;
  GgufOptions options;
  options.host.allocator = allocator.get();
  {
    const Result<Gguf> file = Gguf::from_function(source.get(), options);
    REQUIRE_MESSAGE(file, file.error().message());
    CHECK_FALSE(source.out_of_range);
    const std::vector<std::string> tokens = strings(*file->find("tokens"));
    REQUIRE(tokens.size() == kTokens);
    CHECK(tokens.front() == "token 0");
    CHECK(tokens.back() == "token 149999");
    CHECK(file->find_tensor("y")->data[99] == (149 & 0xff));
    CHECK(file->find_tensor("y")->data == file->find_tensor("x")->data + 4000);
    CHECK(allocator.live_bytes() == file->allocated_bytes());
    CHECK(source.total <= 2 * header + 5000);  // every byte once: the header's pieces are kept
  }
  CHECK(allocator.live_blocks() == 0);

  // The same, header only: the data is not asked for where the last piece ends before it.
  options.header_only = true;
  const Result<Gguf> file = Gguf::from_function(source.get(), options);
  REQUIRE(file);
  CHECK(file->find("last") != nullptr);
  CHECK(file->find_tensor("x")->data == nullptr);
}

TEST_CASE("a read function that fails, is null, or claims too much") {
  for (size_t k = 0; k < 2; ++k) {
    Source source(valid_file());
    source.fail_at = k;
    const Result<Gguf> file = Gguf::from_function(source.get());
    REQUIRE_FALSE(file);
    CHECK(file.error().code() == ErrorCode::io);
    CHECK_MESSAGE(contains(file.error().message(), "read function failed for"),
                  std::string(file.error().message()));
  }
  CHECK(Gguf::from_function(ReadFunction()).error().code() == ErrorCode::bad_argument);
  Source source(valid_file());
  ReadFunction f = source.get();
  f.size = uint64_t{1} << 63;
  CHECK(Gguf::from_function(f).error().code() == ErrorCode::bad_argument);
  f.size = source.bytes.size() + 1;
  CHECK(Gguf::from_function(f).error().code() == ErrorCode::io);
  f.size = 0;
  CHECK(Gguf::from_function(f).error().code() == ErrorCode::not_gguf);
}

TEST_CASE("a claimed file size does not make it allocate for what is not there") {
  // A host that says its file is huge, and a header that claims as many entries as would fit.
  struct Huge {
    std::string head = FileBytes().header(uint64_t{1} << 31, uint64_t{1} << 31).bytes;
  } huge;
  ReadFunction f;
  f.size = uint64_t{1} << 60;
  f.user = &huge;
  f.read = [](void* user, uint64_t offset, void* destination, size_t count) {
    std::memset(destination, 0, count);  // entries with an empty key
    if (offset == 0) std::memcpy(destination, static_cast<Huge*>(user)->head.data(), 24);
    return true;
  };
  CountingAllocator allocator;
  GgufOptions options;
  options.host.allocator = allocator.get();
  const Result<Gguf> file = Gguf::from_function(f, options);
  REQUIRE_FALSE(file);
  CHECK(file.error().code() == ErrorCode::corrupt);
  CHECK(allocator.peak_bytes() < (1 << 20));
}

TEST_CASE("when any one allocation fails, reading a file is out_of_memory and leaks nothing") {
  const std::string bytes = valid_file();
  const Memory memory(bytes);
  const Folder folder;
  const std::string path = folder.write("m.gguf", bytes);
  const auto part = [](int number, const char* tensor) {
    return FileBytes()
        .header(1, 3)
        .key("split.no", 2)
        .u16(static_cast<uint64_t>(number))
        .key("split.count", 2)
        .u16(2)
        .key("split.tensors.count", 5)
        .u32(2)
        .tensor(tensor, {4}, 0, 0)
        .pad()
        .data(16)
        .bytes;
  };
  const std::string split = folder.write("s-00001-of-00002.gguf", part(0, "a"));
  folder.write("s-00002-of-00002.gguf", part(1, "b"));
  const std::function<Result<Gguf>(const GgufOptions&)> ways[] = {
      [&](const GgufOptions& o) { return Gguf::from_memory(memory.span(), o); },
      [&](const GgufOptions& o) { return Gguf::open(path.c_str(), o); },
      [&](const GgufOptions& o) { return Gguf::open(split.c_str(), o); },
      [&](const GgufOptions& o) {
        Source source(bytes);
        return Gguf::from_function(source.get(), o);
      }};
  for (const auto& way : ways) {
    for (size_t k = 0;; ++k) {
      REQUIRE(k < 100);
      CountingAllocator allocator(k);
      bool done;
      {
        GgufOptions options;
        options.host.allocator = allocator.get();
        const Result<Gguf> file = way(options);
        done = !allocator.failed();
        CHECK(file.has_value() == done);
        if (!file) CHECK(file.error().code() == ErrorCode::out_of_memory);
        if (file) CHECK(allocator.live_bytes() == file->allocated_bytes());
      }
      CHECK(allocator.live_blocks() == 0);
      CHECK(allocator.wrong_releases() == 0);
      if (done) {
        CHECK(k >= 4);  // the object, entries, tensors, and their order
        break;
      }
    }
  }
}

TEST_CASE("many keys and tensors are found by name") {
  constexpr size_t kCount = 20000;
  const auto name = [](size_t i) { return "n" + std::to_string(i * 7919 % 100003); };
  FileBytes f;
  f.header(kCount, kCount);
  for (size_t i = 0; i < kCount; ++i) f.key(name(i), 4).u32(i);
  for (size_t i = 0; i < kCount; ++i) f.tensor(name(i), {8}, 24, i * 32);
  f.pad().data(kCount * 32);
  const Memory memory(f.bytes);
  const Result<Gguf> file = Gguf::from_memory(memory.span());
  REQUIRE_MESSAGE(file, file.error().message());
  bool found = true;
  for (size_t i = 0; i < kCount; ++i) {
    found = found && file->find(name(i)) == &file->metadata()[i].value &&
            file->find_tensor(name(i)) == &file->tensors()[i];
  }
  CHECK(found);
  CHECK(file->find("n") == nullptr);
  CHECK(file->find("o") == nullptr);
}

namespace {

// One part of a split model.
struct PartFile {
  uint64_t number, count, all_tensors;
  std::vector<std::string> tensors;
  std::string bytes() const {
    FileBytes f;
    f.header(tensors.size(), number == 0 ? 4 : 3);
    if (number == 0) f.key("general.architecture", 8).string("test");
    f.key("split.no", 2).u16(number).key("split.count", 2).u16(count);
    f.key("split.tensors.count", 5).u32(all_tensors);
    for (size_t i = 0; i < tensors.size(); ++i) f.tensor(tensors[i], {16}, 24, i * 32);
    f.pad();
    for (const std::string& name : tensors)
      f.raw(name.substr(0, 16)).raw(std::string(16 - name.size(), '.')).pad();
    return f.bytes;
  }
};

}  // namespace

TEST_CASE("a split model opens as one, from its first part") {
  const Folder folder;
  const std::string first =
      folder.write("m-00001-of-00003.gguf", PartFile{0, 3, 5, {"c", "a"}}.bytes());
  folder.write("m-00002-of-00003.gguf", PartFile{1, 3, 5, {"e", "b"}}.bytes());
  folder.write("m-00003-of-00003.gguf", PartFile{2, 3, 5, {"d"}}.bytes());
  for (bool header_only : {false, true}) {
    GgufOptions options;
    options.header_only = header_only;
    const Result<Gguf> file = Gguf::open(first.c_str(), options);
    REQUIRE_MESSAGE(file, file.error().message());
    CHECK(file->metadata().size() == 4);
    CHECK(file->find("general.architecture") != nullptr);
    REQUIRE(file->tensors().size() == 5);
    const char* order[] = {"c", "a", "e", "b", "d"};
    for (size_t i = 0; i < 5; ++i) {
      const TensorView* tensor = file->find_tensor(order[i]);
      CHECK(tensor == &file->tensors()[i]);
      if (!header_only) CHECK(tensor->data[0] == static_cast<uint8_t>(order[i][0]));
      if (header_only) CHECK(tensor->data == nullptr);
    }
    uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path))
      bytes += entry.file_size();
    CHECK(file->file_bytes() == bytes);
  }
}

TEST_CASE("what can be wrong with a split model") {
  struct Row {
    const char* name;  // of the file that is opened
    PartFile first, second;
    ErrorCode code;
    const char* place;
  };
  const Row rows[] = {
      {"m-00002-of-00002.gguf",
       {0, 2, 2, {"a"}},
       {1, 2, 2, {"b"}},
       ErrorCode::bad_argument,
       "m-00002-of-00002.gguf: this is part 2 of a model in 2 files, open part 1"},
      {"m-00001-of-00002.gguf",
       {0, 3, 2, {"a"}},
       {1, 2, 2, {"b"}},
       ErrorCode::corrupt,
       "part 1 of a model in 3 files, expected a name that ends in -00001-of-00003.gguf"},
      {"m-00001-of-00002.gguf",
       {0, 2, 3, {"a"}},
       {1, 2, 3, {"b"}},
       ErrorCode::corrupt,
       "\"split.tensors.count\": found 3, but all parts together have 2"},
      {"m-00001-of-00002.gguf",
       {0, 2, 2, {"a"}},
       {0, 2, 2, {"b"}},
       ErrorCode::corrupt,
       "m-00002-of-00002.gguf: its metadata says part 1 of 2, expected 2 of 2"},
      {"m-00001-of-00002.gguf",
       {0, 2, 2, {"a"}},
       {1, 4, 2, {"b"}},
       ErrorCode::corrupt,
       "part 2 of 4, expected 2 of 2"},
      {"m-00001-of-00002.gguf",
       {0, 2, 2, {"same"}},
       {1, 2, 2, {"same"}},
       ErrorCode::corrupt,
       "tensor \"same\": tensors 0 and 1"},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.place));
    const Folder folder;
    folder.write("m-00001-of-00002.gguf", row.first.bytes());
    folder.write("m-00002-of-00002.gguf", row.second.bytes());
    const Result<Gguf> file = Gguf::open((folder / row.name).c_str());
    REQUIRE_FALSE(file);
    CHECK(file.error().code() == row.code);
    CHECK_MESSAGE(contains(file.error().message(), row.place), std::string(file.error().message()));
  }

  const Folder folder;
  const PartFile first{0, 2, 2, {"a"}};
  const std::string path = folder.write("m-00001-of-00002.gguf", first.bytes());
  Result<Gguf> file = Gguf::open(path.c_str());
  REQUIRE_FALSE(file);
  CHECK(file.error().code() == ErrorCode::io);
  CHECK_MESSAGE(contains(file.error().message(), "m-00002-of-00002.gguf: no such file"),
                std::string(file.error().message()));

  const std::string second = PartFile{1, 2, 2, {"b"}}.bytes();
  folder.write("m-00002-of-00002.gguf", second.substr(0, second.size() - 17));
  file = Gguf::open(path.c_str());
  REQUIRE_FALSE(file);
  CHECK(file.error().code() == ErrorCode::truncated);
  CHECK_MESSAGE(contains(file.error().message(), "m-00002-of-00002.gguf: tensor \"b\""),
                std::string(file.error().message()));

  file = Gguf::open(folder.write("other.gguf", first.bytes()).c_str());
  REQUIRE_FALSE(file);
  CHECK(contains(file.error().message(), "expected a name that ends in -00001-of-00002.gguf"));
}

TEST_CASE("paths that cannot be opened") {
  const Folder folder;
  CHECK(Gguf::open(nullptr).error().code() == ErrorCode::bad_argument);
  const std::string missing = folder / "none.gguf";
  Result<Gguf> file = Gguf::open(missing.c_str());
  REQUIRE_FALSE(file);
  CHECK(file.error().code() == ErrorCode::io);
  CHECK(file.error().message() == "cannot open " + missing + ": no such file");
}

// The corpus has the malformed files and a valid one under their names: stale ones would test
// nothing.
TEST_CASE("the fuzzer's corpus is what make_corpus writes") {
  const std::filesystem::path corpus =
      std::filesystem::path(INLAY_SOURCE_DIR) / "tests/fuzz/gguf_corpus";
  const auto same = [&](const std::string& name, const std::string& bytes) {
    std::ifstream in(corpus / (name + ".gguf"), std::ios::binary);
    return in && std::string(std::istreambuf_iterator<char>(in), {}) == bytes;
  };
  for (const auto& valid : inlay_test::valid_files()) {
    CAPTURE(valid.first);
    CHECK(same(valid.first, valid.second));
    CHECK(Gguf::from_memory(Memory(valid.second).span()));
  }
  for (const auto& bad : inlay_test::malformed_files()) {
    CAPTURE(std::string(bad.name));
    CHECK(same(bad.name, bad.bytes));
  }
}

TEST_CASE("the vocabularies of llama.cpp open") {
  const std::filesystem::path folder = inlay_test::vocabulary_folder();
  if (!std::filesystem::is_directory(folder)) {
    MESSAGE("skipped: no folder ", folder.string(), " (set INLAY_VOCABULARIES)");
    return;
  }
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    CAPTURE(entry.path().string());
    const Result<Gguf> file = Gguf::open(entry.path().string().c_str());
    REQUIRE_MESSAGE(file, file.error().message());
    walk(*file);
    const MetadataValue* tokens = file->find("tokenizer.ggml.tokens");
    REQUIRE(tokens != nullptr);
    CHECK(strings(*tokens).size() == tokens->size());
    ++count;
  }
  CHECK(count > 0);
}
