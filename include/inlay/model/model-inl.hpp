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

// Binds every tensor and writes all plans: what a layer computes with is what it asks the file for.
// begin(), then write_layers() until all are written, then finish().
class Binding {
 public:
  explicit Binding(ModelImpl* model) noexcept
      : m_(model),
        keys_(m_->file, m_->architecture->name),
        tensors_(m_->file, m_->architecture->name, &m_->weights, &m_->converted),
        plan_(*m_->kernels, &m_->layer_plan, &m_->works, &m_->needs),
        block_{tensors_, plan_, *m_->architecture, m_->hparams} {}
  Binding(const Binding&) = delete;
  Status begin(const ModelOptions& options) noexcept;
  // A few of them; whether there are more.
  bool write_layers() noexcept {
    constexpr uint32_t kAtOnce = 4;
    for (uint32_t i = 0; i < kAtOnce; ++i, ++block_.layer) {
      if (block_.layer == m_->hparams.n_layers || !tensors_.status()) return false;
      write_layer(block_);
    }
    return true;
  }
  Status finish() noexcept;

 private:
  ModelImpl* m_;
  Keys keys_;
  Binder tensors_;
  PlanWriter plan_;
  BlockWriter block_;
};

INLAY_COLD inline Status Binding::begin(const ModelOptions& options) noexcept {
  if (m_->kernels->takes_packed) m_->weight_mode = options.weights;
  m_->plan_only = options.plan_only;
  Hyper& h = m_->hparams;
  h.n_vocab = m_->tokenizer.size();
  INLAY_TRY(read_sampling(m_->file, m_->host.log, &m_->sampling));
  INLAY_TRY(keys_.start(m_->host.allocator));
  INLAY_TRY(read_hyper(keys_, *m_->architecture, &h, &m_->layers));
  // A layer has a tensor at least: what a file without as many says takes no room.
  const size_t n_tensors = m_->file.tensors().size();
  const size_t layers = (h.n_layers < n_tensors ? h.n_layers : n_tensors) + 1;
  INLAY_TRY(tensors_.start());
  if (!m_->works.reserve(layers * kMaxWorkBytesPerLayer)) return Error(ErrorCode::out_of_memory);
  write_before_layers(block_);
  return {};
}

INLAY_COLD inline Status Binding::finish() noexcept {
  Hyper& h = m_->hparams;
  const Facts& facts = *m_->architecture;
  const NormWeights norm = output_norm(tensors_, plan_, facts, h);
  m_->embedding_needs = m_->needs;
  PlanWriter head_plan(*m_->kernels, &m_->head_plan, &m_->works, &m_->needs);
  PlanWriter embedding_plan(*m_->kernels, &m_->embedding_plan, &m_->works, &m_->embedding_needs,
                            /*pooled=*/true);
  if (h.causal) {
    write_head(tensors_, head_plan, norm, h);
  } else {  // what sees later tokens cannot write
    tensors_.ignore("output");
    tensors_.ignore("output", ".bias");
  }
  write_embedding(tensors_, embedding_plan, facts, norm, &h);
  INLAY_TRY(tensors_.status());
  if (plan_.out_of_memory() || head_plan.out_of_memory() || embedding_plan.out_of_memory()) {
    return Error(ErrorCode::out_of_memory);
  }
  INLAY_TRY(make_ropes(keys_, tensors_, &h, &m_->rope_frequencies));
  INLAY_TRY(make_slopes(&h, &m_->slopes));
  if (h.draft_layers > 0) tensors_.ignore_layers(h.n_layers);
  INLAY_TRY(tensors_.finish());
  if (m_->file.find_tensor("position_embd.weight") != nullptr) h.max_context = h.n_context;
  INLAY_TRY(report_ignored(keys_, m_));
  ModelShape& shape = m_->shape;
  shape.n_layers = h.n_layers;
  shape.n_embd = h.n_embd;
  shape.n_ff = h.layers[0].n_ff;
  for (const LayerHyper& layer : h.layers) {
    if (layer.n_heads == 0 || shape.n_attention_layers++ > 0) continue;
    shape.n_heads = layer.n_heads;
    shape.n_kv_heads = layer.n_kv_heads;
    shape.head_k = layer.head_k;
    shape.head_v = layer.head_v;
  }
  shape.n_vocab = h.n_vocab;
  shape.context = h.n_context;
  shape.writes = h.causal;
  shape.shifts = h.causal && h.max_context == 0 &&
                 !(facts.qk_norm != arch::QkNorm::none && facts.qk_norm_after_rope) &&
                 h.most([](const LayerHyper& layer) { return layer.state_floats; }) == 0;
  shape.pooling = h.pooling;
  shape.embedding = h.embedding;
  shape.scores = h.scores;
  return {};
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
    destroy(meter_->allocator(), binding_);
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
  enum class Stage : uint8_t { open, read, tokenizer, layers, pack, done };
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
  Binding* binding_ = nullptr;
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
    const Allocator allocator = meter_->allocator();
    model_ = detail::create<ModelImpl>(allocator, meter_, options_.host, std::move(*file_),
                                       std::move(*tokenizer_));
    if (model_ == nullptr) return Error(ErrorCode::out_of_memory);
    model_->architecture = architecture_;
    model_->kernels = pick_kernels(options_.targets);
    if (model_->kernels == nullptr) {
      return Error(ErrorCode::unsupported,
                   "this processor has none of the instruction sets of this build, expected SSE4.2 "
                   "at least");
    }
    model_->reading = reading_of_cpu();
    binding_ = detail::create<Binding>(allocator, model_);
    if (binding_ == nullptr) return Error(ErrorCode::out_of_memory);
    stage_ = Stage::layers;
    return binding_->begin(options_);
  } else if (stage_ == Stage::layers) {
    if (binding_->write_layers()) return {};
    INLAY_TRY(binding_->finish());
    destroy(meter_->allocator(), binding_);
    binding_ = nullptr;
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
  return stage_ == Stage::tokenizer || stage_ == Stage::layers ? bound * 0.9f
         : file_ ? bound * 0.9f * file_->read_fraction()
                 : 0;
}

INLAY_COLD inline Model Loading::take() noexcept {
  INLAY_ASSERT(done() && model_ != nullptr, "ModelLoader::take before the model is open, or twice");
  ModelImpl* model = model_;
  model_ = nullptr;
  meter_->remove(sizeof(Loading));
  meter_ = nullptr;
  return Model(model);
}

}  // namespace detail

bool request_amx() noexcept {
#if INLAY_HAS_AVX3_AMX
  detail::request_tiles();
#endif
  return detail::tiles_permitted();
}

Result<Model> Model::open(const GgufSource& source, const ModelOptions& options) noexcept {
  constexpr uint32_t kReportEveryUs = 250;  // what stops opening is to be heard within 1 ms
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
