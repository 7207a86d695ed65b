// Tensors of the file as the forward pass sees them.
#ifndef INLAY_ARCH_WEIGHTS_HPP_
#define INLAY_ARCH_WEIGHTS_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/arch/decoder.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/gguf/tensor_type.hpp"
#include "inlay/kernels/kernels.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

constexpr bool is_quantized(TensorType type) noexcept {
  return type != TensorType::f32 && type != TensorType::f16 && type != TensorType::bf16;
}
// Whether the kernels may read what was quantized of the input for them.
inline bool reads_quantized(const Kernels& kernels, TensorType type) noexcept {
  return is_quantized(type) || kernels.least_columns(type) > 0;
}

// A tensor, or rows of one: [count][rows][cols], cols contiguous, or in the kernels' packed form.
// Null data: the file does not have it.
struct Weight {
  TensorType type = TensorType::f32;
  const uint8_t* data = nullptr;
  uint32_t rows = 0, cols = 0, count = 1;
  bool packable = false;  // a matrix that activations are multiplied with
  bool packed = false;
  const float* scale = nullptr;  // [count] on what comes of each matrix, or null

  explicit operator bool() const noexcept { return data != nullptr; }
  size_t row_bytes() const noexcept {  // as the file has it
    const TensorTypeInfo info = tensor_type_info(type);
    return size_t{cols} / info.block_elements * info.block_bytes;
  }
  const float* floats() const noexcept {  // of a vector: those are always f32
    return static_cast<const float*>(static_cast<const void*>(data));
  }
  uint32_t all_rows() const noexcept { return count * rows; }
  // One matrix of several. In the packed form too: those have whole panels.
  Weight at(uint32_t i) const noexcept {
    Weight w = *this;
    w.data += size_t{i} * rows * row_bytes();
    w.count = 1;
    if (scale != nullptr) w.scale += i;
    return w;
  }
};

// Finds tensors by name, checks their shapes, and keeps what was found. The first failure stays in
// status(); what is asked for after it is empty. References stay valid: memory for all of them is
// taken at once.
class Binder {
 public:
  Binder(const Gguf& file, std::string_view architecture, Array<Weight>* weights,
         Array<float>* converted) noexcept
      : file_(file), architecture_(architecture), weights_(*weights), converted_(*converted) {}
  Status start() noexcept;
  // Whether every tensor of the file was asked for: else it is another model.
  Status finish() const noexcept;
  const Status& status() const noexcept { return status_; }

  // Names are "<name>" of the model, "blk.<layer>.<name>" of a layer.
  void enter_layer(uint32_t layer) noexcept { layer_ = layer; }
  void leave_layers() noexcept { layer_ = kNoLayer; }

  // Without `.weight`; of a tensor that is not required, empty if the file does not have it. A
  // table's rows are looked up, a matrix is multiplied with activations, a stack is several of
  // these. Matrices may have scales beside them, one for each: <name>.scale; <name>.input_scale,
  // what activations are to be quantized by, is ignored.
  const Weight& table(std::string_view name, uint64_t rows, uint64_t cols,
                      arch::Presence presence = arch::Presence::required) noexcept;
  const Weight& matrix(std::string_view name, uint64_t rows, uint64_t cols,
                       arch::Presence presence = arch::Presence::required) noexcept;
  const Weight& stack(std::string_view name, uint64_t count, uint64_t rows, uint64_t cols,
                      arch::Presence presence = arch::Presence::required) noexcept;
  // [rows][n] floats: a vector that the file has in another type is converted, once.
  const float* vector(std::string_view name, uint64_t n,
                      arch::Presence presence = arch::Presence::required,
                      std::string_view suffix = ".weight", uint64_t rows = 1) noexcept;
  const float* bias(std::string_view name, uint64_t n,
                    arch::Presence presence = arch::Presence::optional) noexcept {
    return vector(name, n, presence, ".bias");
  }
  // Rows [begin, begin + rows) of a matrix, as a matrix of their own.
  const Weight& rows(const Weight& matrix, uint64_t begin, uint64_t rows) noexcept;
  // A matrix that was bound before, used for something else too (the embedding as output).
  const Weight& tied(std::string_view name) noexcept;
  // A tensor that means nothing here.
  void ignore(std::string_view name, std::string_view suffix = ".weight") noexcept;

  // All tensors of the layers from `layer` on.
  void ignore_layers(uint32_t layer) noexcept;

  // Rows of a matrix in the file; 0 if it is not there.
  uint64_t rows_of(std::string_view name) noexcept {
    const TensorView* tensor = find(name, ".weight");
    return tensor == nullptr ? 0 : tensor->dims[1];
  }
  bool has(std::string_view name, std::string_view suffix = ".weight") noexcept {
    return find(name, suffix) != nullptr;
  }
  // False if only the file's header was read: then weights point to what tells them apart, and may
  // not be read.
  bool has_data() const noexcept {
    return file_.tensors().size() == 0 || file_.tensors()[0].data != nullptr;
  }

 private:
  static constexpr uint32_t kNoLayer = ~uint32_t{0};
  const TensorView* find(std::string_view name, std::string_view suffix) noexcept;
  const Weight& bind(std::string_view name, std::string_view suffix, const uint64_t (&dims)[3],
                     arch::Presence presence) noexcept;
  const Weight& bind_matrices(std::string_view name, uint64_t count, uint64_t rows, uint64_t cols,
                              arch::Presence presence, bool packable) noexcept;
  const Weight& keep(const Weight& weight) noexcept;
  const uint8_t* data_of(const TensorView& tensor) const noexcept {
    return has_data() ? tensor.data
                      : static_cast<const uint8_t*>(static_cast<const void*>(&tensor));
  }

  const Gguf& file_;
  std::string_view architecture_;
  Array<Weight>& weights_;
  Array<float>& converted_;
  Status status_;
  size_t bound_ = 0;
  uint32_t layer_ = kNoLayer;
  char name_[128];
  size_t size_ = 0;
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_WEIGHTS_HPP_
