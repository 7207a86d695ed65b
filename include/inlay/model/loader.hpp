// Opening a model in slices, for programs that must not wait for it.
#ifndef INLAY_MODEL_LOADER_HPP_
#define INLAY_MODEL_LOADER_HPP_

#include <cstdint>

#include "inlay/core/result.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/model/model.hpp"

INLAY_BEGIN_NAMESPACE

// Opens a model as Model::open does, with the same errors, but a little in each step:
//
//   auto loader = ModelLoader::create(source, options);
//   // ... in each frame
//   auto ready = loader->step(2000);
//   if (!ready) return fail(ready.error().message());
//   if (*ready) model = loader->take();
//
// The work is cut into pieces of less than 0.1 ms; a read function is asked for at most 128 KiB at
// once. One thing takes as long as it takes, whatever the budget: with a cache file, waiting until
// the disk has it. Used by one thread at a time. Move only.
class ModelLoader {
 public:
  // What source and options point to (path, cache) must stay as long as this.
  // ModelOptions::progress is not called. Errors: out_of_memory; all others are step()'s.
  static Result<ModelLoader> create(const GgufSource& source,
                                    const ModelOptions& options = {}) noexcept;
  ModelLoader(ModelLoader&&) noexcept;
  ModelLoader& operator=(ModelLoader&&) noexcept;
  ~ModelLoader();

  // Goes on for about `budget_us` microseconds, at least a little; true when the model is open.
  // Errors: those of Model::open. After one, nothing can be done with it.
  Result<bool> step(uint32_t budget_us) noexcept;
  // Of the whole, in [0, 1]; never falls.
  float fraction() const noexcept;
  // The step under way, or else the next one, ends with the error `cancelled` after at most one
  // piece, ticket of packing, or wait for the disk. From any thread.
  void cancel() noexcept;
  // The model, once: after step() gave true.
  Model take() noexcept;

 private:
  explicit ModelLoader(detail::Loading* impl) noexcept : impl_(impl) {}
  detail::Loading* impl_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_MODEL_LOADER_HPP_
