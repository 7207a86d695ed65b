#ifndef INLAY_TEXT_VOCABULARY_INL_HPP_
#define INLAY_TEXT_VOCABULARY_INL_HPP_

#include <cstring>

#include "inlay/text/vocabulary.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";

Token Vocabulary::find(std::string_view first, std::string_view second) const noexcept {
  const size_t size = first.size() + second.size();
  if (size > longest_) return kNoToken;
  const uint32_t hash = mix_hash(hash_bytes(hash_bytes(kHashStart, first), second));
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.token == kNoToken) return kNoToken;
    if (slot.hash != hash) continue;
    const TokenData& token = tokens_[static_cast<uint32_t>(slot.token)];
    if (token.size == size && std::memcmp(token.text, first.data(), first.size()) == 0 &&
        (second.empty() ||
         std::memcmp(token.text + first.size(), second.data(), second.size()) == 0)) {
      return slot.token;
    }
  }
}

void Vocabulary::warn(const Error& text) const noexcept {
  if (host_.log.write != nullptr)
    host_.log.write(host_.log.user, LogLevel::warning, text.message());
}

// The kinds that a build knows: all, or those of INLAY_VOCABULARIES and none.
#ifdef INLAY_VOCABULARIES
namespace vocabulary_kinds {  // so that the list can name them without `VocabularyKind::`
constexpr auto none = VocabularyKind::none, sentence_piece = VocabularyKind::sentence_piece,
               byte_pairs = VocabularyKind::byte_pairs, word_pieces = VocabularyKind::word_pieces,
               unigrams = VocabularyKind::unigrams, longest_match = VocabularyKind::longest_match;
constexpr VocabularyKind kList[] = {none, INLAY_VOCABULARIES};
}  // namespace vocabulary_kinds
constexpr bool is_compiled_in(VocabularyKind kind) noexcept {
  for (const VocabularyKind listed : vocabulary_kinds::kList) {
    if (listed == kind) return true;
  }
  return false;
}
#else
constexpr bool is_compiled_in(VocabularyKind) noexcept { return true; }
#endif

// What tokenizer.ggml.model means, and what the files that have it may leave out.
struct VocabularyModel {
  const char* name;
  VocabularyKind kind;
  Token bos, eos, unknown, separator, padding, mask;
  bool add_bos, add_eos, add_separator, add_space_prefix;
};
inline constexpr VocabularyModel kVocabularyModels[] = {
    // clang-format off
    //                                             bos  eos unknown sep. pad. mask  bos    eos    sep.   space
    {"llama",      VocabularyKind::sentence_piece,     1,   2,   0,  -1,  -1,  -1,  true,  false, false, true},
    {"gpt2",       VocabularyKind::byte_pairs,        11,  11,  -1,  -1,  -1,  -1,  false, false, false, false},
    {"whitespace", VocabularyKind::byte_pairs,        11,  11,  -1,  -1,  -1,  -1,  false, false, false, false},
    {"gemma4",     VocabularyKind::byte_pairs,        -1,  -1,  -1,  -1,  -1,  -1,  false, false, false, false},
    {"bert",       VocabularyKind::word_pieces,      101,  -1, 100, 102,   0, 103,  true,  false, true,  false},
    {"t5",         VocabularyKind::unigrams,          -1,   1,   2,  -1,   0,  -1,  false, true,  false, false},
    {"rwkv",       VocabularyKind::longest_match,     -1,  -1,  -1,  -1,  -1,  -1,  false, false, false, false},
    {"none",       VocabularyKind::none,              -1,  -1,  -1,  -1,  -1,  -1,  false, false, false, false},
    {"no_vocab",   VocabularyKind::none,              -1,  -1,  -1,  -1,  -1,  -1,  false, false, false, false},
    // clang-format on
};

Status Vocabulary::load(const Gguf& file, const TokenizerOptions& options) noexcept {
  INLAY_TRY(begin(file, options));
  while (!complete()) INLAY_TRY(load_more(file));
  return {};
}

Status Vocabulary::begin(const Gguf& file, const TokenizerOptions& options) noexcept {
  INLAY_TRY(load_kind(file, options));
  if (kind_ != VocabularyKind::none) return begin_tokens(file);
  stage_ = Stage::complete;
  return load_size(file);
}

Status Vocabulary::load_more(const Gguf& file) noexcept {
  if (stage_ == Stage::texts) return load_texts();
  if (stage_ == Stage::ends) return list_ends();
  INLAY_TRY(load_entries(file));
  if (traits_.size() < size_) return {};
  stage_ = Stage::ends;
  INLAY_TRY(finish_tokens());
  INLAY_TRY(load_ids(file));
  INLAY_TRY(load_flags(file));
  INLAY_TRY(load_suppressed(file));
  detect_special();
  detect_stripping(file);
  return {};
}

Status Vocabulary::load_kind(const Gguf& file, const TokenizerOptions& options) noexcept {
  const auto string_at = [&file](std::string_view key, std::string_view* out) {
    const MetadataValue* value = file.find(key);
    return value == nullptr || value->as_string(out);
  };
  std::string_view name, pre;
  if (file.find("tokenizer.ggml.model") == nullptr) {
    return Error(ErrorCode::missing,
                 "metadata key tokenizer.ggml.model: the file has no vocabulary");
  }
  if (!string_at("tokenizer.ggml.model", &name)) {
    return Error(ErrorCode::corrupt, "tokenizer.ggml.model: expected a string");
  }
  if (!string_at("tokenizer.ggml.pre", &pre)) {
    return Error(ErrorCode::corrupt, "tokenizer.ggml.pre: expected a string");
  }
  const VocabularyModel* model = nullptr;
  for (const VocabularyModel& known : kVocabularyModels) {
    if (known.name == name && is_compiled_in(known.kind)) model = &known;
  }
  if (model == nullptr) {
    Error error(ErrorCode::unsupported, "tokenizer.ggml.model '");
    error << name << "': expected one of";
    for (const VocabularyModel& known : kVocabularyModels) {
      if (is_compiled_in(known.kind)) error << " " << known.name;
    }
    return error;
  }
  kind_ = model->kind;
  special_.bos = model->bos;
  special_.eos = model->eos;
  special_.unknown = model->unknown;
  special_.separator = model->separator;
  special_.padding = model->padding;
  special_.mask = model->mask;
  add_bos_ = model->add_bos;
  add_eos_ = model->add_eos;
  add_separator_ = model->add_separator;
  add_space_prefix_ = model->add_space_prefix;

  pre_tokenizer_ = pre_tokenizers().data();
  if (kind_ != VocabularyKind::byte_pairs) return Status();
  if (name == "gemma4") pre = name;
  drop_spaces_ = name == "whitespace";
  normalizer_.lowercase = pre != "whitespace";
  if (options.pre_tokenizer != nullptr) pre = options.pre_tokenizer;
  const PreTokenizer* row = find_pre_tokenizer(pre);
  if (row != nullptr) {
    pre_tokenizer_ = row;
  } else if (options.patterns.empty()) {
    pre_tokenizer_known_ = false;
    warn(Error(ErrorCode::unsupported, "tokenizer.ggml.pre is ")
         << (pre.empty() ? "missing" : "unknown: '") << pre << (pre.empty() ? "" : "'")
         << "; words are cut by the default rule and tokens may differ from the model's");
  }
  add_bos_ = (pre_tokenizer_->flags & kAddBos) != 0;
  add_separator_ = (pre_tokenizer_->flags & kSeparated) != 0;
  if ((pre_tokenizer_->flags & kNoBos) != 0) special_.bos = kNoToken;
  return Status();
}

// Without a vocabulary, the architecture's own keys say how many ids there are.
Status Vocabulary::load_size(const Gguf& file) noexcept {
  std::string_view architecture;
  const MetadataValue* value = file.find("general.architecture");
  if (value != nullptr) value->as_string(&architecture);
  Error key(ErrorCode::missing, "");  // a text builder that does not allocate
  key << architecture << ".vocab_size";
  value = file.find(key.message());
  uint64_t size = 0;
  if (value == nullptr || !value->as_u64(&size) || size == 0 || size > INT32_MAX) {
    return Error(ErrorCode::missing, "metadata key ")
           << key.message() << ": a model without a vocabulary must say how many ids it has";
  }
  size_ = static_cast<uint32_t>(size);
  return Status();
}

inline constexpr std::string_view kScoresKey = "tokenizer.ggml.scores",
                                  kTypesKey = "tokenizer.ggml.token_type";

Status Vocabulary::begin_tokens(const Gguf& file) noexcept {
  const MetadataValue* texts = file.find(kTokensKey);
  if (texts == nullptr) return Error(ErrorCode::missing, "metadata key ") << kTokensKey;
  const uint64_t count = texts->size();
  if (!texts->is_array() || texts->element_type() != MetadataType::string || count == 0 ||
      count > INT32_MAX) {
    return Error(ErrorCode::corrupt, kTokensKey) << ": expected 1 to 2147483647 strings";
  }
  for (const std::string_view key : {kScoresKey, kTypesKey}) {
    const MetadataValue* value = file.find(key);
    if (value != nullptr && !(value->is_array() && value->size() >= count)) {
      return Error(ErrorCode::corrupt, key)
             << ": expected an array of " << count << " elements, one for each token";
    }
  }
  const auto n = static_cast<size_t>(count);
  size_ = static_cast<uint32_t>(n);
  if (!tokens_.reserve(n) || !traits_.reserve(n) || !slots_.reserve(hash_slots(n)))
    return Error(ErrorCode::out_of_memory);
  texts_ = texts->strings();
  return {};
}

// Of some of the tokens, and as many slots.
Status Vocabulary::load_texts() noexcept {
  constexpr size_t kAtOnce = 2048, kNameBytes = 24;
  const size_t begin = tokens_.size(), left = size_ - begin;
  const size_t end = left < kAtOnce ? size_ : begin + kAtOnce;
  for (size_t i = begin; i < end; ++i) {
    const std::string_view text = texts_.next();
    if (text.size() > UINT32_MAX / 8)
      return Error(ErrorCode::corrupt, kTokensKey) << ": expected texts below 512 MiB";
    (void)tokens_.push_back({text.data(), static_cast<uint32_t>(text.size()), 0.0f});
    if (text.empty()) ++n_unnamed_;
  }
  // There are less than three slots for each token, and at most 16 besides.
  (void)slots_.fill(4 * kAtOnce);
  if (end < size_) return {};
  stage_ = Stage::entries;
  return names_.reserve(n_unnamed_ * kNameBytes) ? Status() : Error(ErrorCode::out_of_memory);
}

// Kinds and scores of some of the tokens, and their places in the table.
Status Vocabulary::load_entries(const Gguf& file) noexcept {
  constexpr size_t kAtOnce = 1024;
  const MetadataValue *scores = file.find(kScoresKey), *types = file.find(kTypesKey);
  for (size_t n = 0, i = traits_.size(); n < kAtOnce && i < size_; ++n, ++i) {
    TokenData& token = tokens_[i];
    if (token.size == 0) {  // llama.cpp calls token i without text "[EMPTY_i]"
      Error name(ErrorCode::corrupt, "[EMPTY_");
      name << static_cast<uint64_t>(i) << "]";
      token.size = static_cast<uint32_t>(std::strlen(name.message()));
      token.text = names_.end();
      if (!names_.append(name.message(), token.size)) return Error(ErrorCode::out_of_memory);
    }
    if (token.size > longest_) longest_ = token.size;
    double score = 0;
    if (scores != nullptr && !scores->as_f64(&score, i)) {
      return Error(ErrorCode::corrupt, kScoresKey)
             << "[" << static_cast<uint64_t>(i) << "]: expected a number";
    }
    token.score = static_cast<float>(score);
    int64_t type = 1;
    if (types != nullptr && !types->as_i64(&type, i)) {
      return Error(ErrorCode::corrupt, kTypesKey)
             << "[" << static_cast<uint64_t>(i) << "]: expected an integer";
    }
    // In the order of the file's numbers: undefined, normal, unknown, control, user-defined,
    // unused, byte.
    static constexpr uint16_t kTraits[] = {
        0, kTokenNormal, kTokenUnknown, kTokenControl, kTokenUserDefined, kTokenUnused, kTokenByte};
    (void)traits_.push_back(type >= 0 && type <= 6 ? kTraits[type] : uint16_t{0});  // there is room
    INLAY_TRY(add_slot(static_cast<uint32_t>(i)));
  }
  return {};
}

inline Error crowded_texts() noexcept {
  return Error(ErrorCode::corrupt, kTokensKey) << ": expected texts that do not share their hashes";
}

Status Vocabulary::add_slot(uint32_t token) noexcept {
  const std::string_view own = text(token);
  const uint32_t hash = mix_hash(hash_bytes(kHashStart, own));
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask, probes = 0;
  for (; slots_[slot].token != kNoToken; slot = (slot + 1) & mask) {
    if (slots_[slot].hash == hash && text(static_cast<uint32_t>(slots_[slot].token)) == own) {
      return Error(ErrorCode::corrupt, kTokensKey)
             << "[" << token << "]: the same text as token " << slots_[slot].token;
    }
    if (++probes > kMaxRun) return crowded_texts();
  }
  slots_[slot] = {hash, static_cast<Token>(token)};
  return {};
}

Status Vocabulary::finish_tokens() noexcept {
  const auto occupied = [this](size_t slot) { return slots_[slot].token != kNoToken; };
  return runs_are_short(slots_.size(), occupied) ? Status() : crowded_texts();
}

Status Vocabulary::load_ids(const Gguf& file) noexcept {
  const struct {
    const char* key;
    Token* id;
  } ids[] = {
      {"tokenizer.ggml.bos_token_id", &special_.bos},
      {"tokenizer.ggml.eos_token_id", &special_.eos},
      {"tokenizer.ggml.eot_token_id", &special_.eot},
      {"tokenizer.ggml.eom_token_id", &end_of_message_},
      {"tokenizer.ggml.unknown_token_id", &special_.unknown},
      {"tokenizer.ggml.seperator_token_id", &special_.separator},  // spelled so
      {"tokenizer.ggml.padding_token_id", &special_.padding},
      {"tokenizer.ggml.mask_token_id", &special_.mask},
      {"tokenizer.ggml.fim_pre_token_id", &special_.fim_prefix},
      {"tokenizer.ggml.fim_suf_token_id", &special_.fim_suffix},
      {"tokenizer.ggml.fim_mid_token_id", &special_.fim_middle},
      {"tokenizer.ggml.fim_pad_token_id", &special_.fim_pad},
      {"tokenizer.ggml.fim_rep_token_id", &special_.fim_repo},
      {"tokenizer.ggml.fim_sep_token_id", &special_.fim_separator},
      // Older names.
      {"tokenizer.ggml.prefix_token_id", &special_.fim_prefix},
      {"tokenizer.ggml.suffix_token_id", &special_.fim_suffix},
      {"tokenizer.ggml.middle_token_id", &special_.fim_middle},
  };
  for (const auto& entry : ids) {
    const MetadataValue* value = file.find(entry.key);
    uint64_t id = 0;
    if (value != nullptr && !value->as_u64(&id)) {
      return Error(ErrorCode::corrupt, entry.key) << ": expected an unsigned integer";
    }
    if (value != nullptr && id < size()) {
      *entry.id = static_cast<Token>(id);
    } else if (value != nullptr) {
      warn(Error(ErrorCode::corrupt, entry.key)
           << " is " << id << ", but there are only " << size() << " tokens: ignored");
    }
    if (!has(*entry.id)) *entry.id = kNoToken;  // a default beyond the vocabulary
  }
  return Status();
}

Status Vocabulary::load_flags(const Gguf& file) noexcept {
  const auto load = [&file](std::string_view key, bool* flag) {
    const MetadataValue* value = file.find(key);
    if (value == nullptr || value->as_bool(flag)) return Status();
    return Status(Error(ErrorCode::corrupt, key) << ": expected a boolean");
  };
  INLAY_TRY(load("tokenizer.ggml.add_bos_token", &add_bos_));
  INLAY_TRY(load("tokenizer.ggml.add_eos_token", &add_eos_));
  INLAY_TRY(load("tokenizer.ggml.add_sep_token", &add_separator_));
  INLAY_TRY(load("tokenizer.ggml.add_space_prefix", &add_space_prefix_));
  INLAY_TRY(load("tokenizer.ggml.remove_extra_whitespaces", &remove_extra_spaces_));
  INLAY_TRY(load("tokenizer.ggml.normalizer.lowercase", &normalizer_.lowercase));
  normalizer_.strip_accents = normalizer_.lowercase;
  INLAY_TRY(load("tokenizer.ggml.normalizer.strip_accents", &normalizer_.strip_accents));
  // llama.cpp overrides the files of Gemma 4, the first of which said otherwise.
  if ((pre_tokenizer_->flags & kAlwaysBos) != 0) add_bos_ = true;
  // It never asks the flags of word pieces.
  if (kind_ == VocabularyKind::word_pieces) add_bos_ = true;
  return Status();
}

Status Vocabulary::load_suppressed(const Gguf& file) noexcept {
  static constexpr std::string_view kKey = "tokenizer.ggml.suppress_tokens";
  const MetadataValue* value = file.find(kKey);
  if (value == nullptr) return Status();
  if (!value->is_array()) return Error(ErrorCode::corrupt, kKey) << ": expected an array of ids";
  for (uint64_t i = 0; i < value->size(); ++i) {
    int64_t id = 0;
    if (!value->as_i64(&id, i)) {
      return Error(ErrorCode::corrupt, kKey) << "[" << i << "]: expected an integer";
    }
    if (id < 0 || id >= size()) continue;
    if (!suppressed_.push_back(static_cast<Token>(id))) return Error(ErrorCode::out_of_memory);
  }
  return Status();
}

// `known`, or else the first of the texts that is a token, which then counts as a control token.
// A list of texts is one text, in which each ends with a zero and another follows the last: a table
// of string_views would take 40 bytes more for each, 24 of them to be relocated. The next of it:
static std::string_view text_after(std::string_view text) noexcept {
  return text.data() + text.size() + 1;
}

Token Vocabulary::detect(Token known, std::string_view text) noexcept {
  for (; known == kNoToken && !text.empty(); text = text_after(text)) {
    known = find(text);
    if (known != kNoToken) traits_[static_cast<uint32_t>(known)] |= kTokenControl;
  }
  return known;
}

void Vocabulary::detect_special() noexcept {
  static constexpr char kEndOfTurn[] =
      "<|eot_id|>\0"
      "<|im_end|>\0"
      "<|end|>\0"
      "<end_of_turn>\0"
      "<|endoftext|>\0"
      "<|end_of_text|>\0"
      "<EOT>\0"
      "_<EOT>\0"
      "[EOT]\0"
      "<\xEF\xBD\x9C"
      "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>\0"
      "<end_of_utterance>\0";
  static constexpr char kEndOfMessage[] = "<|eom_id|>\0";
  static constexpr char kFimPrefix[] =
      "<|fim_prefix|>\0"
      "<fim-prefix>\0"
      "<fim_prefix>\0"
      "<\xEF\xBD\x9C"
      "fim\xE2\x96\x81"
      "begin\xEF\xBD\x9C>\0"
      "<PRE>\0"
      "\xE2\x96\x81<PRE>\0"
      "<|code_prefix|>\0"
      "<|prefix|>\0"
      "<|plamo:fim_prefix|>\0";
  static constexpr char kFimSuffix[] =
      "<|fim_suffix|>\0"
      "<fim-suffix>\0"
      "<fim_suffix>\0"
      "<\xEF\xBD\x9C"
      "fim\xE2\x96\x81hole\xEF\xBD\x9C>\0"
      "<SUF>\0"
      "\xE2\x96\x81<SUF>\0"
      "<|code_suffix|>\0"
      "<|suffix|>\0"
      "<|plamo:fim_suffix|>\0";
  static constexpr char kFimMiddle[] =
      "<|fim_middle|>\0"
      "<fim-middle>\0"
      "<fim_middle>\0"
      "<\xEF\xBD\x9C"
      "fim\xE2\x96\x81"
      "end\xEF\xBD\x9C>\0"
      "<MID>\0"
      "\xE2\x96\x81<MID>\0"
      "<|code_middle|>\0"
      "<|middle|>\0"
      "<|plamo:fim_middle|>\0";
  static constexpr char kFimPad[] =
      "<|fim_pad|>\0"
      "<fim-pad>\0"
      "<fim_pad>\0"
      "<PAD>\0"
      "[PAD]\0";
  static constexpr char kFimRepo[] =
      "<|fim_repo|>\0"
      "<|repo_name|>\0"
      "<fim-repo>\0"
      "<REPO>\0"
      "<reponame>\0";
  static constexpr char kFimSeparator[] =
      "<|file_sep|>\0"
      "<|plamo:file_separator|>\0";
  special_.eot = detect(special_.eot, kEndOfTurn);
  end_of_message_ = detect(end_of_message_, kEndOfMessage);
  special_.fim_prefix = detect(special_.fim_prefix, kFimPrefix);
  special_.fim_suffix = detect(special_.fim_suffix, kFimSuffix);
  special_.fim_middle = detect(special_.fim_middle, kFimMiddle);
  special_.fim_pad = detect(special_.fim_pad, kFimPad);
  special_.fim_repo = detect(special_.fim_repo, kFimRepo);
  special_.fim_separator = detect(special_.fim_separator, kFimSeparator);

  static constexpr char kEnds[] =
      "<|eot_id|>\0"
      "<|im_end|>\0"
      "<|end|>\0"
      "<|return|>\0"
      "<|call|>\0"
      "<|flush|>\0"
      "<|calls|>\0"
      "<end_of_turn>\0"
      "<|endoftext|>\0"
      "</s>\0"
      "<|eom_id|>\0"
      "<EOT>\0"
      "_<EOT>\0"
      "[EOT]\0"
      "[EOS]\0"
      "<|end_of_text|>\0"
      "<end_of_utterance>\0"
      "<eos>\0"
      "<turn|>\0"
      "<|tool_response>\0"
      "<\xEF\xBD\x9C"
      "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>\0"
      "[e~[\0"
      "<|ifm|im_end|>\0";
  for (std::string_view text = kEnds; !text.empty(); text = text_after(text)) {
    const Token token = find(text);
    if (token != kNoToken) traits_[static_cast<uint32_t>(token)] |= kTokenControl | kTokenEnd;
  }
  // Those of gpt-oss that a reader should see.
  for (std::string_view text : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}) {
    const Token token = find(text);
    if (token != kNoToken) traits_[static_cast<uint32_t>(token)] = kTokenUserDefined;
  }
  for (Token token : {special_.fim_pad, special_.fim_repo, special_.fim_separator, special_.eos,
                      special_.eot, end_of_message_}) {
    if (token != kNoToken) traits_[static_cast<uint32_t>(token)] |= kTokenEnd;
  }

  const auto ends = [this](std::string_view text) {
    const Token token = find(text);
    return token != kNoToken && (traits_[static_cast<uint32_t>(token)] & kTokenEnd) != 0;
  };
  const auto set_traits = [this](std::string_view text, TokenTraits traits) {
    traits_[static_cast<uint32_t>(find(text))] = traits;
  };
  // In the vocabularies of gpt-oss and Solar, <|end|> ends a part of an answer and not the answer.
  const bool has_call = ends("<|call|>") || ends("<|calls|>");
  if (has_call && (ends("<|return|>") || ends("<|flush|>")) && ends("<|end|>"))
    set_traits("<|end|>", kTokenUserDefined);
  // In Gemma 4's and PLaMo's, </s> is an ordinary token.
  if ((ends("<|tool_response>") || ends("<|plamo:eos|>")) && ends("</s>"))
    set_traits("</s>", kTokenNormal);
}

Status Vocabulary::list_ends() noexcept {
  constexpr uint32_t kAtOnce = 32768;
  for (uint32_t n = 0; n < kAtOnce && next_ < size_; ++n, ++next_) {
    const bool ends = (traits_[next_] & kTokenEnd) != 0;
    if (ends && !ends_.push_back(static_cast<Token>(next_))) return Error(ErrorCode::out_of_memory);
  }
  if (next_ == size_) stage_ = Stage::complete;
  return Status();
}

// Which tokens swallow whitespace is not in the file: llama.cpp knows it by name, and so does this.
void Vocabulary::detect_stripping(const Gguf& file) noexcept {
  const auto contains = [&file](std::string_view key, std::string_view part) {
    std::string_view text;
    const MetadataValue* value = file.find(key);
    if (value == nullptr || !value->as_string(&text)) return false;
    for (; text.size() >= part.size(); text.remove_prefix(1)) {
      bool same = true;
      for (size_t i = 0; i < part.size(); ++i) {
        const char c = text[i];
        same = same && (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == part[i];
      }
      if (same) return true;
    }
    return false;
  };
  const auto set = [this](std::string_view text, uint16_t trait, bool on) {
    const Token token = find(text);
    if (token == kNoToken) return;
    uint16_t& traits = traits_[static_cast<uint32_t>(token)];
    traits = static_cast<uint16_t>(on ? traits | trait : traits & ~trait);
  };
  const bool jina = contains("tokenizer.ggml.pre", "jina-v2-de") ||
                    contains("tokenizer.ggml.pre", "jina-v2-es") ||
                    contains("tokenizer.ggml.pre", "jina-v2-code") ||
                    contains("tokenizer.ggml.pre", "mmbert") ||
                    contains("general.architecture", "nomic-bert-moe") ||
                    contains("general.architecture", "jina-bert-v3");
  if (jina) {
    set("<mask>", kTokenStripLeft, true);
  } else if (contains("general.name", "phi-3") || contains("general.name", "phi3")) {
    for (uint16_t& traits : traits_) {
      if ((traits & (kTokenControl | kTokenUserDefined | kTokenUnknown)) != 0)
        traits |= kTokenStripRight;
    }
    set("</s>", kTokenStripRight, true);
    for (std::string_view text : {"<unk>", "<s>", "<|endoftext|>"})
      set(text, kTokenStripRight, false);
  } else if (contains("general.name", "modern-bert")) {
    set("[MASK]", kTokenStripLeft, true);
  }
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_VOCABULARY_INL_HPP_
