#ifndef INLAY_MODEL_MODEL_INL_HPP_
#define INLAY_MODEL_MODEL_INL_HPP_

#include "inlay/arch/embedding-inl.hpp"
#include "inlay/model/hyper-inl.hpp"
#include "inlay/model/loader.hpp"
#include "inlay/model/model_impl.hpp"
#include "inlay/model/packing.hpp"
#include "inlay/model/sampling-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Binds every tensor and writes all plans: what a layer computes with is what it asks the file
// for.
inline Status write_plans(ModelImpl* m, Binder& tensors) noexcept {
  Hyper& h = m->hparams;
  // A layer has a tensor at least: what a file without as many says takes no room.
  const size_t n_tensors = m->file.tensors().size();
  const size_t layers = (h.n_layers < n_tensors ? h.n_layers : n_tensors) + 1;
  INLAY_TRY(tensors.start());
  if (!m->works.reserve(layers * kMaxWorkBytesPerLayer)) return Error(ErrorCode::out_of_memory);
  PlanWriter layer_plan(&m->layer_plan, &m->works, &m->needs);
  write_layers(tensors, layer_plan, *m->architecture, h);
  const NormWeights norm = output_norm(tensors, layer_plan, *m->architecture, h);
  m->embedding_needs = m->needs;
  PlanWriter head_plan(&m->head_plan, &m->works, &m->needs);
  PlanWriter embedding_plan(&m->embedding_plan, &m->works, &m->embedding_needs, /*pooled=*/true);
  if (h.causal) {
    write_head(tensors, head_plan, norm, h);
  } else {  // what sees later tokens cannot write
    tensors.ignore("output");
    tensors.ignore("output", ".bias");
  }
  write_embedding(tensors, embedding_plan, *m->architecture, norm, &h);
  INLAY_TRY(tensors.status());
  if (layer_plan.out_of_memory() || head_plan.out_of_memory() || embedding_plan.out_of_memory()) {
    return Error(ErrorCode::out_of_memory);
  }
  return {};
}

// What the file says of this architecture and nothing has read.
inline Status report_ignored(const Keys& keys, ModelImpl* m) noexcept {
  // Sizes that the tensors show too.
  constexpr std::string_view kKnown[] = {
      "vocab_size",      "rope.dimension_count", "dense_2_feat_in",    "dense_2_feat_out",
      "dense_3_feat_in", "dense_3_feat_out",     "moe_every_n_layers", "classifier.output_labels"};
  const std::string_view name = keys.architecture();
  for (const MetadataEntry& entry : m->file.metadata()) {
    const std::string_view key = entry.key;
    const size_t skip = name.size() + 1;  // and the dot
    if (key.size() <= skip || std::string_view(key.data(), name.size()) != name ||
        key[name.size()] != '.' || keys.was_read(entry)) {
      continue;
    }
    const std::string_view rest(key.data() + skip, key.size() - skip);
    bool known = false;
    for (const std::string_view other : kKnown) known = known || rest == other;
    if (known) continue;
    if (!m->ignored_keys.push_back(entry.key)) return Error(ErrorCode::out_of_memory);
    log(m->host.log, LogLevel::info,
        (Error(ErrorCode::unsupported, "key ") << entry.key << " is ignored").message());
  }
  return {};
}

inline Result<const Facts*> architecture_of(const Gguf& file) noexcept {
  const MetadataValue* name = file.find("general.architecture");
  std::string_view architecture_name;
  if (name == nullptr || !name->as_string(&architecture_name)) {
    return Error(ErrorCode::missing, "key general.architecture: expected a string");
  }
  const Facts* architecture = find_architecture(architecture_name);
  if (architecture == nullptr) {
    Error error(ErrorCode::unsupported, "architecture ");
    error << architecture_name << " is not in this build, which has";
    for (const std::string_view& known : BuiltIn::kNames) error << " " << known;
    return error;
  }
  return architecture;
}

inline Result<ModelImpl*> open_model(Meter* meter, const Facts* architecture, Gguf&& file,
                                     Tokenizer&& tokenizer, const ModelOptions& options) noexcept {
  const Allocator allocator = options.host.allocator;
  ModelImpl* m =
      create<ModelImpl>(allocator, meter, options.host, std::move(file), std::move(tokenizer));
  if (m == nullptr) return Error(ErrorCode::out_of_memory);
  const Status status = [&]() -> Status {
    m->architecture = architecture;
    m->kernels = pick_kernels(options.targets);
    if (m->kernels == nullptr) {
      return Error(ErrorCode::unsupported,
                   "this processor has none of the instruction sets of this build, expected SSE4.2 "
                   "at least");
    }
    if (m->kernels->takes_packed) m->weight_mode = options.weights;
    m->plan_only = options.plan_only;
    Hyper& h = m->hparams;
    h.n_vocab = m->tokenizer.size();
    INLAY_TRY(read_sampling(m->file, m->host.log, &m->sampling));
    Keys keys(m->file, architecture->name);
    INLAY_TRY(keys.start(m->host.allocator));
    INLAY_TRY(read_hyper(keys, *architecture, &h, &m->layers));
    Binder tensors(m->file, architecture->name, &m->weights, &m->converted);
    INLAY_TRY(write_plans(m, tensors));
    INLAY_TRY(make_ropes(keys, tensors, &h, &m->rope_frequencies));
    INLAY_TRY(make_slopes(&h, &m->slopes));
    if (h.draft_layers > 0) tensors.ignore_layers(h.n_layers);
    INLAY_TRY(tensors.finish());
    if (m->file.find_tensor("position_embd.weight") != nullptr) h.max_context = h.n_context;
    INLAY_TRY(report_ignored(keys, m));
    m->shape.n_layers = h.n_layers;
    m->shape.n_embd = h.n_embd;
    m->shape.n_ff = h.layers[0].n_ff;
    for (const LayerHyper& layer : h.layers) {
      if (layer.n_heads == 0 || m->shape.n_attention_layers++ > 0) continue;
      m->shape.n_heads = layer.n_heads;
      m->shape.n_kv_heads = layer.n_kv_heads;
      m->shape.head_k = layer.head_k;
      m->shape.head_v = layer.head_v;
    }
    m->shape.n_vocab = h.n_vocab;
    m->shape.context = h.n_context;
    m->shape.writes = h.causal;
    m->shape.shifts =
        h.causal && h.max_context == 0 &&
        !(architecture->qk_norm != arch::QkNorm::none && architecture->qk_norm_after_rope) &&
        h.most([](const LayerHyper& layer) { return layer.state_floats; }) == 0;
    m->shape.pooling = h.pooling;
    m->shape.embedding = h.embedding;
    m->shape.scores = h.scores;
    return {};
  }();
  if (!status) {
    destroy(allocator, m);
    return status.error();
  }
  return m;
}

inline void close_model(ModelImpl* m) noexcept {
  Meter* meter = m->meter;
  destroy(meter->allocator(), m);
  const Allocator host = meter->host();
  destroy(host, meter);
}

// Opening, piece by piece: the file is read, its vocabulary, the model is bound to it, its weights
// are packed.
class Loading {
 public:
  Loading(Meter* meter, const GgufSource& source, const ModelOptions& options) noexcept
      : meter_(meter),
        source_(source),
        options_(options),
        file_(Error(ErrorCode::io)),
        tokenizer_(Error(ErrorCode::io)) {
    options_.host.allocator = meter->allocator();
  }
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;
  ~Loading() {
    if (meter_ == nullptr) return;
    tokenizer_ = Error(ErrorCode::io);
    file_ = Error(ErrorCode::io);
    destroy(meter_->allocator(), packing_);
    destroy(meter_->allocator(), model_);
    const Allocator host = meter_->host();
    destroy(host, meter_);
  }

  static Result<Loading*> create(const GgufSource& source, const ModelOptions& options) noexcept;

  const Allocator& host() const noexcept { return host_; }
  bool done() const noexcept { return stage_ == Stage::done; }
  // Goes on until all is done or now_us() has passed `deadline_us`. Errors end it.
  Status step(uint64_t deadline_us) noexcept;
  uint64_t deadline_after(uint32_t budget_us) const noexcept {
    return detail::deadline_after(options_.host.clock, budget_us);
  }
  float fraction() noexcept;
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  // Once, when all is done.
  Model take() noexcept;

 private:
  enum class Stage : uint8_t { open, read, tokenizer, bind, pack, done };
  bool packs() const noexcept { return options_.weights == WeightMode::packed; }
  Status go_on(uint64_t deadline_us) noexcept;
  Status finish() noexcept;

  Meter* meter_;    // the model's in the end
  Allocator host_;  // of this object
  GgufSource source_;
  ModelOptions options_;
  Result<Gguf> file_;
  const Facts* architecture_ = nullptr;
  Result<Tokenizer> tokenizer_;
  ModelImpl* model_ = nullptr;
  Packing* packing_ = nullptr;
  uint64_t read_bytes_ = 0;
  Stage stage_ = Stage::open;
  std::atomic<bool> cancelled_{false};
};

INLAY_COLD inline Result<Loading*> Loading::create(const GgufSource& source,
                                                   const ModelOptions& options) noexcept {
  const Allocator host = options.host.allocator;
  const uint64_t bytes = sizeof(Meter) + sizeof(Loading);
  Meter first(host, options.max_bytes);  // there may not be room for the one that stays
  if (!first.add(bytes)) return first.explain(Error(ErrorCode::out_of_memory));
  Meter* meter = detail::create<Meter>(host, host, options.max_bytes);
  if (meter == nullptr) return Error(ErrorCode::out_of_memory);
  meter->add(bytes);
  Loading* loading = detail::create<Loading>(host, meter, source, options);
  if (loading != nullptr) {
    loading->host_ = host;
    return loading;
  }
  destroy(host, meter);
  return Error(ErrorCode::out_of_memory);
}

// What the model keeps, now that it is complete; or would keep.
INLAY_COLD inline Status Loading::finish() noexcept {
  ModelMemory& memory = model_->memory;
  memory.weights = read_bytes_;
  memory.packed = model_->packed.capacity();
  if (options_.plan_only && model_->weight_mode == WeightMode::packed) {
    const uint64_t most = Packing::memory_bytes(*model_);
    if (!meter_->add(most)) {
      return Error(ErrorCode::out_of_memory, "packing the weights needs ") << most << " bytes";
    }
    meter_->remove(most);
    memory.packed = Packing::kept_bytes(*model_);
  }
  memory.peak = meter_->peak();
  memory.other = meter_->live() - sizeof(Loading) - memory.weights - model_->packed.capacity();
  if (options_.plan_only) meter_->remove(read_bytes_);
  stage_ = Stage::done;
  return {};
}

INLAY_COLD inline Status Loading::go_on(uint64_t deadline_us) noexcept {
  if (stage_ == Stage::open) {
    GgufOptions gguf;
    gguf.host = options_.host;
    gguf.header_only = options_.plan_only;
    file_ = Gguf::begin(source_, gguf);
    if (!file_) return file_.error();
    stage_ = Stage::read;
  } else if (stage_ == Stage::read) {
    if (!file_->complete()) return file_->read_more();
    read_bytes_ = file_->bytes_to_read();
    if (options_.plan_only && !meter_->add(read_bytes_)) {
      return Error(ErrorCode::out_of_memory, "the weights have ") << read_bytes_ << " bytes";
    }
    const Result<const Facts*> architecture = architecture_of(*file_);
    if (!architecture) return architecture.error();
    architecture_ = *architecture;
    tokenizer_ = Tokenizer::begin(*file_, options_.host, options_.tokenizer);
    if (!tokenizer_) return tokenizer_.error();
    stage_ = Stage::tokenizer;
  } else if (stage_ == Stage::tokenizer) {
    if (!tokenizer_->complete()) return tokenizer_->build_more(*file_);
    stage_ = Stage::bind;
  } else if (stage_ == Stage::bind) {
    Result<ModelImpl*> model =
        open_model(meter_, architecture_, std::move(*file_), std::move(*tokenizer_), options_);
    if (!model) return model.error();
    model_ = *model;
    if (model_->weight_mode == WeightMode::mapped || options_.plan_only ||
        Packing::memory_bytes(*model_) == 0) {
      return finish();
    }
    packing_ = detail::create<Packing>(meter_->allocator(), model_);
    if (packing_ == nullptr) return Error(ErrorCode::out_of_memory);
    stage_ = Stage::pack;
    return packing_->start(options_, &cancelled_);
  } else if (stage_ == Stage::pack) {
    // cancel() is looked at in between, while a cache is written.
    constexpr uint64_t kSliceUs = 1000;
    const uint64_t slice = now_us(options_.host.clock) + kSliceUs;
    INLAY_TRY(packing_->step(deadline_us != 0 && deadline_us < slice ? deadline_us : slice));
    if (!packing_->done()) return {};
    destroy(meter_->allocator(), packing_);
    packing_ = nullptr;
    return finish();
  }
  return {};
}

INLAY_COLD inline Status Loading::step(uint64_t deadline_us) noexcept {
  for (uint64_t before = now_us(options_.host.clock); !done();) {
    if (cancelled_.load(std::memory_order_relaxed)) {
      return Error(ErrorCode::cancelled, "opening the model was cancelled");
    }
    if (Status status = go_on(deadline_us); !status) return meter_->explain(status.error());
    // Not once more if that would end late by half of what it takes, as this time: see plan.hpp.
    const uint64_t now = now_us(options_.host.clock);
    const bool late = deadline_us != 0 && now + (now - before) / 2 >= deadline_us;
    if (late && !cancelled_.load(std::memory_order_relaxed)) break;
    before = now;
  }
  return {};
}

INLAY_COLD inline float Loading::fraction() noexcept {
  if (done()) return 1;
  // Shares of the time, about: a read function takes as long as all that follows.
  const float bound = packs() ? 0.5f : 0.9f;
  if (stage_ == Stage::pack) return bound + (0.999f - bound) * packing_->fraction();
  return stage_ == Stage::tokenizer || stage_ == Stage::bind ? bound * 0.9f
         : file_                                             ? bound * 0.9f * file_->read_fraction()
                                                             : 0;
}

INLAY_COLD inline Model Loading::take() noexcept {
  ModelImpl* model = model_;
  model_ = nullptr;
  meter_->remove(sizeof(Loading));
  meter_ = nullptr;
  return Model(model);
}

}  // namespace detail

Result<Model> Model::open(const GgufSource& source, const ModelOptions& options) noexcept {
  constexpr uint32_t kReportEveryUs = 10000;
  const auto report = [&options](float fraction) {
    return options.progress == nullptr || options.progress(options.progress_user, fraction);
  };
  const Error cancelled(ErrorCode::cancelled, "opening the model was cancelled");
  if (!report(0)) return cancelled;
  auto loading = detail::Loading::create(source, options);
  if (!loading) return loading.error();
  Status status;
  while (status && !(*loading)->done()) {
    status = (*loading)->step((*loading)->deadline_after(kReportEveryUs));
    if (status && !report((*loading)->fraction())) status = cancelled;
  }
  Result<Model> model = status ? Result<Model>((*loading)->take()) : Result<Model>(status.error());
  detail::destroy((*loading)->host(), *loading);
  return model;
}

Result<Model> Model::open(const char* path, const ModelOptions& options) noexcept {
  if (path == nullptr) return Error(ErrorCode::bad_argument, "the path is null");
  GgufSource source;
  source.path = path;
  return open(source, options);
}

Result<Model> Model::from_memory(Span<const uint8_t> bytes, const ModelOptions& options) noexcept {
  GgufSource source;
  source.bytes = bytes;
  return open(source, options);
}

Result<Model> Model::from_function(const ReadFunction& file, const ModelOptions& options) noexcept {
  if (file.read == nullptr) return Error(ErrorCode::bad_argument, "the read function is null");
  GgufSource source;
  source.function = file;
  return open(source, options);
}

Model::Model(const Model& other) noexcept : impl_(other.impl_) {
  if (impl_ != nullptr) impl_->references.fetch_add(1, std::memory_order_relaxed);
}
Model::Model(Model&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
Model& Model::operator=(Model other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
Model::~Model() {
  if (impl_ != nullptr && impl_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    detail::close_model(impl_);
  }
}

std::string_view Model::architecture() const noexcept { return impl_->architecture->name; }
std::string_view Model::target() const noexcept { return impl_->kernels->name; }
const ModelShape& Model::shape() const noexcept { return impl_->shape; }
const Tokenizer& Model::tokenizer() const noexcept { return impl_->tokenizer; }
Span<const std::string_view> Model::ignored_keys() const noexcept {
  return impl_->ignored_keys.span();
}
const Sampling& Model::sampling() const noexcept { return impl_->sampling; }
const Gguf& Model::file() const noexcept { return impl_->file; }
const Host& Model::host() const noexcept { return impl_->host; }
ModelMemory Model::memory() const noexcept { return impl_->memory; }
WeightMode Model::weights() const noexcept { return impl_->weight_mode; }
uint64_t Model::packed_bytes() const noexcept { return detail::Packing::memory_bytes(*impl_); }

Result<ModelLoader> ModelLoader::create(const GgufSource& source,
                                        const ModelOptions& options) noexcept {
  auto loading = detail::Loading::create(source, options);
  if (!loading) return loading.error();
  return ModelLoader(*loading);
}

ModelLoader::ModelLoader(ModelLoader&& other) noexcept : impl_(other.impl_) {
  other.impl_ = nullptr;
}
ModelLoader& ModelLoader::operator=(ModelLoader&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
ModelLoader::~ModelLoader() {
  if (impl_ != nullptr) detail::destroy(impl_->host(), impl_);
}

Result<bool> ModelLoader::step(uint32_t budget_us) noexcept {
  INLAY_TRY(impl_->step(impl_->deadline_after(budget_us)));
  return impl_->done();
}
float ModelLoader::fraction() const noexcept { return impl_->fraction(); }
void ModelLoader::cancel() noexcept { impl_->cancel(); }
Model ModelLoader::take() noexcept { return impl_->take(); }

INLAY_END_NAMESPACE

#endif  // INLAY_MODEL_MODEL_INL_HPP_
