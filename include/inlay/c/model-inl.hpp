// The part of the C interface about errors, models and tokens.
#ifndef INLAY_C_MODEL_INL_HPP_
#define INLAY_C_MODEL_INL_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "inlay/c/handles-inl.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/gguf/gguf.hpp"
#include "inlay/inlay.h"
#include "inlay/model/loader.hpp"
#include "inlay/model/model.hpp"
#include "inlay/text/tokenizer.hpp"

struct INLAY_HIDDEN inlay_loader {
  inlay_loader(inlay_model* m, INLAY_NAMESPACE::ModelLoader&& l) noexcept
      : model(m), loader(std::move(l)) {}
  inlay_model* model;  // empty until it is open
  INLAY_NAMESPACE::ModelLoader loader;
};

INLAY_BEGIN_NAMESPACE
namespace detail {

inline inlay_model_options c_defaults(const ModelOptions& from) noexcept {
  inlay_model_options to = {};
  to.threads = from.threads;
  to.targets = from.targets;
  return to;
}

// The options, and the handle, which the callbacks need: it holds no model yet.
inline Status c_model_options(const inlay_model_options* given, ModelOptions* options,
                              inlay_model** out) noexcept {
  inlay_model_options from = c_defaults(*options);
  inlay_host host = {};
  INLAY_TRY(c_take(given, "inlay_model_options", &from));
  INLAY_TRY(c_take(from.host, "inlay_host", &host));
  if (from.weights != INLAY_WEIGHTS_MAPPED && from.weights != INLAY_WEIGHTS_PACKED) {
    return c_range("weights", "one of INLAY_WEIGHTS_");
  }
  if ((host.allocate == nullptr) != (host.release == nullptr)) {
    return c_range("host", "both allocate and release, or neither");
  }
  if (from.n_patterns > 0 && from.patterns == nullptr) return c_range("patterns", "no null");

  options->host.allocator = {host.allocate, host.release, host.allocator_user};
  inlay_model* model = create<inlay_model>(options->host.allocator, options->host.allocator);
  if (model == nullptr) return Error(ErrorCode::out_of_memory);
  model->host = host;
  model->options = from;
  if (host.log != nullptr) {
    options->host.log = {[](void* user, LogLevel level, const char* text) {
                           const inlay_host& h = static_cast<inlay_model*>(user)->host;
                           h.log(h.log_user, static_cast<int32_t>(level), text);
                         },
                         model};
  }
  options->host.jobs = {host.parallel_for, host.jobs_user};
  options->host.clock = {host.now_us, host.clock_user};
  options->threads = from.threads;
  options->targets = from.targets;
  options->weights = static_cast<WeightMode>(from.weights);
  options->tokenizer.pre_tokenizer = from.pre_tokenizer;
  options->tokenizer.patterns = {from.patterns, from.n_patterns};
  options->cache = from.cache;
  options->max_bytes = from.max_bytes;
  options->plan_only = from.plan_only != 0;
  if (from.progress != nullptr) {
    options->progress = [](void* user, float fraction) {
      const inlay_model_options& o = static_cast<inlay_model*>(user)->options;
      return o.progress(o.progress_user, fraction) != 0;
    };
    options->progress_user = model;
  }
  *out = model;
  return {};
}

inline inlay_source c_defaults(const GgufSource& from) noexcept {
  inlay_source to = {};
  to.descriptor = from.descriptor;
  return to;
}

// Its function calls back by the handle.
inline Status c_source(const inlay_source* given, inlay_model* model, GgufSource* to) noexcept {
  inlay_source from = c_defaults(*to);
  INLAY_TRY(c_take(given, "inlay_source", &from));
  to->path = from.path;
  to->descriptor = from.descriptor;
  to->bytes = {static_cast<const uint8_t*>(from.memory), from.memory_size};
  to->offset = from.offset;
  to->size = from.size;
  if (from.function == nullptr) return {};
  INLAY_TRY(c_take(from.function, "inlay_read_function", &model->file));
  if (model->file.read == nullptr) {
    return Error(ErrorCode::bad_argument, "argument read: expected no null");
  }
  to->function.read = [](void* user, uint64_t offset, void* destination, size_t bytes) {
    const inlay_read_function& f = static_cast<inlay_model*>(user)->file;
    return f.read(f.user, offset, destination, bytes) != 0;
  };
  to->function.size = model->file.size;
  to->function.user = model;
  return {};
}

inline inlay_status c_open(const inlay_source* given_source, const inlay_model_options* given,
                           inlay_model** out, inlay_error* error) noexcept {
  if (out == nullptr) return c_null("model", error);
  *out = nullptr;
  ModelOptions options;
  GgufSource source;
  inlay_model* model = nullptr;
  Status status = c_model_options(given, &options, &model);
  if (status) status = c_source(given_source, model, &source);
  if (status) {
    model->model = Model::open(source, options);
    if (!model->model) status = model->model.error();
  }
  if (!status) {
    c_release(model);
  } else {
    *out = model;
  }
  return c_report(status, error);
}

// The value of a metadata entry, or null.
inline const MetadataValue* c_metadata(const inlay_model* model, size_t index) noexcept {
  if (model == nullptr) return nullptr;
  const Span<const MetadataEntry> all = model->model->file().metadata();
  return index < all.size() ? &all[index].value : nullptr;
}

}  // namespace detail

extern "C" {

INLAY_C_API uint32_t inlay_c_version(void) { return INLAY_C_VERSION; }
INLAY_C_API const char* inlay_version(void) { return INLAY_VERSION; }

INLAY_C_API const char* inlay_status_text(inlay_status status) {
  if (status == INLAY_OK) return "no error";
#define INLAY_X(id, text) \
  if (status == detail::c_status(ErrorCode::id)) return text;
  INLAY_ERROR_CODES(INLAY_X)
#undef INLAY_X
  return "unknown error";
}

INLAY_C_API void inlay_host_init(inlay_host* host, uint32_t struct_size) {
  detail::c_put(inlay_host{}, host, struct_size);
}

INLAY_C_API int32_t inlay_request_amx(void) { return request_amx() ? 1 : 0; }

INLAY_C_API void inlay_model_options_init(inlay_model_options* options, uint32_t struct_size) {
  detail::c_put(detail::c_defaults(ModelOptions{}), options, struct_size);
}

INLAY_C_API inlay_status inlay_model_open(const char* path, const inlay_model_options* options,
                                          inlay_model** model, inlay_error* error) {
  if (path == nullptr) return detail::c_null("path", error);
  inlay_source source = detail::c_defaults(GgufSource{});
  source.struct_size = sizeof source;
  source.path = path;
  return detail::c_open(&source, options, model, error);
}

INLAY_C_API inlay_status inlay_model_open_memory(const void* bytes, size_t size,
                                                 const inlay_model_options* options,
                                                 inlay_model** model, inlay_error* error) {
  if (bytes == nullptr) return detail::c_null("bytes", error);
  inlay_source source = detail::c_defaults(GgufSource{});
  source.struct_size = sizeof source;
  source.memory = bytes;
  source.memory_size = size;
  return detail::c_open(&source, options, model, error);
}

INLAY_C_API inlay_status inlay_model_open_function(const inlay_read_function* file,
                                                   const inlay_model_options* options,
                                                   inlay_model** model, inlay_error* error) {
  if (file == nullptr) return detail::c_null("file", error);
  inlay_source source = detail::c_defaults(GgufSource{});
  source.struct_size = sizeof source;
  source.function = file;
  return detail::c_open(&source, options, model, error);
}

INLAY_C_API void inlay_model_close(inlay_model* model) { detail::c_release(model); }

INLAY_C_API void inlay_source_init(inlay_source* source, uint32_t struct_size) {
  detail::c_put(detail::c_defaults(GgufSource{}), source, struct_size);
}

INLAY_C_API inlay_status inlay_model_open_source(const inlay_source* source,
                                                 const inlay_model_options* options,
                                                 inlay_model** model, inlay_error* error) {
  if (source == nullptr) return detail::c_null("source", error);
  return detail::c_open(source, options, model, error);
}

INLAY_C_API inlay_status inlay_loader_create(const inlay_source* source,
                                             const inlay_model_options* options,
                                             inlay_loader** loader, inlay_error* error) {
  if (loader == nullptr) return detail::c_null("loader", error);
  *loader = nullptr;
  if (source == nullptr) return detail::c_null("source", error);
  ModelOptions o;
  GgufSource from;
  inlay_model* model = nullptr;
  Status status = detail::c_model_options(options, &o, &model);
  if (status) status = detail::c_source(source, model, &from);
  if (status) {
    auto made = ModelLoader::create(from, o);
    if (made) {
      *loader = detail::create<inlay_loader>(model->allocator, model, std::move(*made));
      if (*loader == nullptr) status = Error(ErrorCode::out_of_memory);
    } else {
      status = made.error();
    }
  }
  if (!status) detail::c_release(model);
  return detail::c_report(status, error);
}

INLAY_C_API inlay_status inlay_loader_step(inlay_loader* loader, uint32_t budget_us,
                                           inlay_model** model, inlay_error* error) {
  if (model == nullptr) return detail::c_null("model", error);
  *model = nullptr;
  if (loader == nullptr) return detail::c_null("loader", error);
  inlay_model* opened = loader->model;
  if (opened->model) {
    return detail::c_report(Error(ErrorCode::bad_argument, "the model was taken before"), error);
  }
  const auto ready = loader->loader.step(budget_us);
  if (!ready) return detail::c_report(ready.error(), error);
  if (*ready) {
    opened->model = loader->loader.take();
    *model = detail::c_hold(opened);
  }
  return detail::c_ok(error);
}

INLAY_C_API float inlay_loader_fraction(const inlay_loader* loader) {
  return loader == nullptr ? 0.0f : loader->loader.fraction();
}

INLAY_C_API void inlay_loader_cancel(inlay_loader* loader) {
  if (loader != nullptr) loader->loader.cancel();
}

INLAY_C_API void inlay_loader_close(inlay_loader* loader) { detail::c_close(loader); }

INLAY_C_API inlay_status inlay_model_get_info(const inlay_model* model, inlay_model_info* info,
                                              inlay_error* error) {
  if (model == nullptr) return detail::c_null("model", error);
  if (info == nullptr) return detail::c_null("info", error);
  const Model& m = *model->model;
  const ModelShape& shape = m.shape();
  inlay_model_info to = {};
  to.n_layers = shape.n_layers;
  to.n_embd = shape.n_embd;
  to.n_heads = shape.n_heads;
  to.n_kv_heads = shape.n_kv_heads;
  to.head_k = shape.head_k;
  to.head_v = shape.head_v;
  to.n_ff = shape.n_ff;
  to.n_vocab = shape.n_vocab;
  to.n_attention_layers = shape.n_attention_layers;
  to.context = shape.context;
  to.writes = shape.writes;
  to.pooling = static_cast<int32_t>(shape.pooling);
  to.embedding = shape.embedding;
  to.scores = shape.scores;
  to.weights = static_cast<int32_t>(m.weights());
  to.packed_bytes = m.packed_bytes();
  to.file_bytes = m.file().file_bytes();
  to.shifts = shape.shifts;
  const ModelMemory memory = m.memory();
  to.memory_total = memory.total();
  to.memory_weights = memory.weights;
  to.memory_packed = memory.packed;
  to.memory_peak = memory.peak;
  return detail::c_give(to, "inlay_model_info", info, error);
}

INLAY_C_API const char* inlay_model_architecture(const inlay_model* model, size_t* size) {
  return detail::c_text(model == nullptr ? std::string_view() : model->model->architecture(), size);
}

INLAY_C_API const char* inlay_model_target(const inlay_model* model, size_t* size) {
  return detail::c_text(model == nullptr ? std::string_view() : model->model->target(), size);
}

INLAY_C_API size_t inlay_metadata_count(const inlay_model* model) {
  return model == nullptr ? 0 : model->model->file().metadata().size();
}

INLAY_C_API size_t inlay_metadata_find(const inlay_model* model, const char* key, size_t size) {
  if (model == nullptr) return INLAY_NOT_FOUND;
  const Gguf& file = model->model->file();
  const MetadataEntry* found = file.find_entry(detail::c_text(key, size));
  return found == nullptr ? INLAY_NOT_FOUND : static_cast<size_t>(found - file.metadata().data());
}

INLAY_C_API const char* inlay_metadata_key(const inlay_model* model, size_t index, size_t* size) {
  const bool found = detail::c_metadata(model, index) != nullptr;
  return detail::c_text(found ? model->model->file().metadata()[index].key : std::string_view(),
                        size);
}

INLAY_C_API int32_t inlay_metadata_type(const inlay_model* model, size_t index) {
  const MetadataValue* value = detail::c_metadata(model, index);
  return value == nullptr ? 0 : static_cast<int32_t>(value->type());
}

INLAY_C_API int32_t inlay_metadata_element_type(const inlay_model* model, size_t index) {
  const MetadataValue* value = detail::c_metadata(model, index);
  return value == nullptr ? 0 : static_cast<int32_t>(value->element_type());
}

INLAY_C_API uint64_t inlay_metadata_size(const inlay_model* model, size_t index) {
  const MetadataValue* value = detail::c_metadata(model, index);
  return value == nullptr ? 0 : value->size();
}

INLAY_C_API int32_t inlay_metadata_u64(const inlay_model* model, size_t index, uint64_t element,
                                       uint64_t* out) {
  const MetadataValue* value = detail::c_metadata(model, index);
  return value != nullptr && out != nullptr && value->as_u64(out, element);
}

INLAY_C_API int32_t inlay_metadata_i64(const inlay_model* model, size_t index, uint64_t element,
                                       int64_t* out) {
  const MetadataValue* value = detail::c_metadata(model, index);
  return value != nullptr && out != nullptr && value->as_i64(out, element);
}

INLAY_C_API int32_t inlay_metadata_f64(const inlay_model* model, size_t index, uint64_t element,
                                       double* out) {
  const MetadataValue* value = detail::c_metadata(model, index);
  return value != nullptr && out != nullptr && value->as_f64(out, element);
}

INLAY_C_API int32_t inlay_metadata_bool(const inlay_model* model, size_t index, uint64_t element,
                                        int32_t* out) {
  const MetadataValue* value = detail::c_metadata(model, index);
  bool is_true = false;
  if (value == nullptr || out == nullptr || !value->as_bool(&is_true, element)) return 0;
  *out = is_true;
  return 1;
}

INLAY_C_API const char* inlay_metadata_string(const inlay_model* model, size_t index,
                                              uint64_t element, size_t* size) {
  const MetadataValue* value = detail::c_metadata(model, index);
  std::string_view found;
  if (value != nullptr) {
    value->for_each_string([&](uint64_t i, std::string_view text) {
      if (i == element) found = text;
    });
  }
  return detail::c_text(found, size);
}

INLAY_C_API inlay_status inlay_get_special_tokens(const inlay_model* model,
                                                  inlay_special_tokens* tokens,
                                                  inlay_error* error) {
  if (model == nullptr) return detail::c_null("model", error);
  if (tokens == nullptr) return detail::c_null("tokens", error);
  const SpecialTokens& from = model->model->tokenizer().special();
  inlay_special_tokens to = {};
  to.bos = from.bos;
  to.eos = from.eos;
  to.eot = from.eot;
  to.unknown = from.unknown;
  to.padding = from.padding;
  to.newline = from.newline;
  to.fim_prefix = from.fim_prefix;
  to.fim_suffix = from.fim_suffix;
  to.fim_middle = from.fim_middle;
  to.fim_pad = from.fim_pad;
  to.fim_repo = from.fim_repo;
  to.fim_separator = from.fim_separator;
  to.separator = from.separator;
  to.mask = from.mask;
  return detail::c_give(to, "inlay_special_tokens", tokens, error);
}

INLAY_C_API size_t inlay_max_tokens(size_t text_bytes) { return Tokenizer::max_tokens(text_bytes); }

INLAY_C_API inlay_status inlay_tokenize(const inlay_model* model, const char* text, size_t size,
                                        uint32_t flags, inlay_token* out, size_t capacity,
                                        size_t* count, inlay_error* error) {
  if (model == nullptr) return detail::c_null("model", error);
  if (count == nullptr) return detail::c_null("count", error);
  *count = 0;
  const auto encoded = model->model->tokenizer().encode(detail::c_text(text, size),
                                                        {out, out == nullptr ? 0 : capacity},
                                                        detail::c_tokenize_options(flags));
  if (!encoded) return detail::c_report(encoded.error(), error);
  *count = *encoded;
  return detail::c_ok(error);
}

INLAY_C_API size_t inlay_token_bytes(const inlay_model* model, inlay_token token, int32_t special,
                                     char* out, size_t capacity) {
  if (model == nullptr) return 0;
  return model->model->tokenizer().piece(token, {out, out == nullptr ? 0 : capacity}, special != 0);
}

INLAY_C_API int32_t inlay_token_is_end(const inlay_model* model, inlay_token token) {
  return model != nullptr && model->model->tokenizer().is_end(token);
}

INLAY_C_API int32_t inlay_token_is_control(const inlay_model* model, inlay_token token) {
  return model != nullptr && model->model->tokenizer().is_control(token);
}

}  // extern "C"

INLAY_END_NAMESPACE

#endif  // INLAY_C_MODEL_INL_HPP_
