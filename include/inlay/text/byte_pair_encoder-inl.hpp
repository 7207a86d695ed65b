#ifndef INLAY_TEXT_BYTE_PAIR_ENCODER_INL_HPP_
#define INLAY_TEXT_BYTE_PAIR_ENCODER_INL_HPP_

#include "inlay/text/byte_pair_encoder.hpp"
#include "inlay/text/regex-inl.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

// Why number_of failed, or a table became too slow.
inline Error failure(bool crowded) noexcept {
  if (!crowded) return Error(ErrorCode::out_of_memory);
  return Error(ErrorCode::corrupt, kMergesKey) << ": expected texts that do not share their hashes";
}

BytePairEncoder::Found BytePairEncoder::find_number(std::string_view first,
                                                    std::string_view second) const noexcept {
  const Token token = vocabulary_->find(first, second);
  if (token != kNoToken) return {static_cast<uint32_t>(token), 0, 0};
  const size_t size = first.size() + second.size();
  const auto byte = [](std::string_view a, std::string_view b, size_t i) {
    return i < a.size() ? a[i] : b[i - a.size()];
  };
  const uint32_t hash = mix_hash(hash_bytes(hash_bytes(kHashStart, first), second));
  if (string_slots_.empty()) return {UINT32_MAX, hash, 0};
  const size_t mask = string_slots_.size() - 1;
  size_t i = hash & mask;
  for (; string_slots_[i].number != UINT32_MAX; i = (i + 1) & mask) {
    if (string_slots_[i].hash != hash) continue;
    const PartText& other = strings_[string_slots_[i].number - vocabulary_->size()];
    bool same = other.first.size() + other.second.size() == size;
    for (size_t k = 0; same && k < size; ++k) {
      same = byte(first, second, k) == byte(other.first, other.second, k);
    }
    if (same) return {string_slots_[i].number, hash, i};
  }
  return {UINT32_MAX, hash, i};
}

// The number of the text `first` followed by `second`, which must stay where they are: a token, or
// a new number. On failure see failure(crowded_).
bool BytePairEncoder::number_of(std::string_view first, std::string_view second,
                                uint32_t* out) noexcept {
  Found found = find_number(first, second);
  *out = found.number;
  if (found.number != UINT32_MAX) return true;
  if (strings_.size() + strings_.size() / 2 + 16 > string_slots_.size()) {
    Array<StringSlot> larger(string_slots_.allocator());
    if (!larger.resize(hash_slots(strings_.size() * 2 + 16))) return false;
    for (const StringSlot& slot : string_slots_) {
      if (slot.number == UINT32_MAX) continue;
      size_t i = slot.hash & (larger.size() - 1);
      while (larger[i].number != UINT32_MAX) i = (i + 1) & (larger.size() - 1);
      larger[i] = slot;
    }
    string_slots_ = std::move(larger);
    found = find_number(first, second);
  }
  const size_t mask = string_slots_.size() - 1;
  crowded_ = ((found.slot - found.hash) & mask) > kMaxRun;
  if (crowded_) return false;
  *out = vocabulary_->size() + static_cast<uint32_t>(strings_.size());
  string_slots_[found.slot] = {found.hash, *out};
  return strings_.push_back({first, second});
}

Status BytePairEncoder::add_pair(std::string_view merge, uint32_t rank) noexcept {
  // The first of the two may itself begin with a space.
  const size_t space = merge.find(' ', 1);
  if (space == std::string_view::npos) {
    return Error(ErrorCode::corrupt, kMergesKey)
           << "[" << rank << "]: expected two texts with a space between them";
  }
  const std::string_view first = slice(merge, 0, space), second = slice(merge, space + 1);
  Pair pair;
  pair.rank = rank;
  if (!number_of(first, {}, &pair.left) || !number_of(second, {}, &pair.right)) {
    return failure(crowded_);
  }
  // Vocabularies list what merges make in the order of the merges: this one's is likely the next.
  const std::string_view guess =
      guess_ < vocabulary_->size() ? vocabulary_->text(guess_) : std::string_view();
  if (guess.size() == first.size() + second.size() && slice(guess, 0, first.size()) == first &&
      slice(guess, first.size()) == second) {
    pair.merged = guess_;
  } else if (!number_of(first, second, &pair.merged)) {
    return failure(crowded_);
  }
  guess_ = pair.merged + 1;
  const size_t mask = pairs_.size() - 1;
  size_t i = pair_hash(pair.left, pair.right) & mask, probes = 0;
  for (; pairs_[i].rank != kNoMerge; i = (i + 1) & mask) {
    // The first of equals counts.
    if (pairs_[i].left == pair.left && pairs_[i].right == pair.right) return Status();
    if (++probes > kMaxRun) return failure(true);
  }
  pairs_[i] = pair;
  return Status();
}

INLAY_COLD Status BytePairEncoder::create(const Gguf& file, const Vocabulary& vocabulary,
                                          Span<const char* const> patterns,
                                          const Allocator& allocator) noexcept {
  INLAY_TRY(begin(file, vocabulary, patterns, allocator));
  while (!complete()) INLAY_TRY(load_more());
  return {};
}

INLAY_COLD Status BytePairEncoder::begin(const Gguf& file, const Vocabulary& vocabulary,
                                         Span<const char* const> patterns,
                                         const Allocator& allocator) noexcept {
  vocabulary_ = &vocabulary;
  const PreTokenizer& pre_tokenizer = vocabulary.pre_tokenizer();
  digit_groups_ = patterns.empty() ? pre_tokenizer.digit_groups : DigitGroups::none;
  if (patterns.empty()) patterns = {pre_tokenizer.patterns, pre_tokenizer.pattern_count()};
  compiler_ = detail::create<RegexCompiler>(allocator, allocator);
  if (compiler_ == nullptr) return Error(ErrorCode::out_of_memory);
  INLAY_TRY(compiler_->begin(patterns, &splitter_));

  const MetadataValue* merges = file.find(kMergesKey);
  if (merges == nullptr) return Error(ErrorCode::missing, "metadata key ") << kMergesKey;
  if (!merges->is_array() || merges->element_type() != MetadataType::string ||
      merges->size() > INT32_MAX) {
    return Error(ErrorCode::corrupt, kMergesKey) << ": expected at most 2147483647 strings";
  }
  merges_ = merges->strings();
  n_merges_ = static_cast<uint32_t>(merges->size());
  if (!pairs_.reserve(hash_slots(n_merges_))) return Error(ErrorCode::out_of_memory);
  for (uint32_t byte = 0; byte < 256; ++byte) {
    char encoded[4];
    const uint32_t size = encode_utf8(byte_to_character(static_cast<uint8_t>(byte)), encoded);
    character_sizes_[byte] = static_cast<uint8_t>(size);
    for (uint32_t i = 0; i < size; ++i) characters_[byte][i] = encoded[i];
    const char raw = static_cast<char>(byte);
    byte_tokens_[byte] =
        vocabulary.find(has_flag(kRawUtf8) ? ByteName(byte).view() : std::string_view(&raw, 1));
    if (!number_of({characters_[byte], size}, {}, &byte_symbols_[byte])) return failure(crowded_);
  }
  return {};
}

BytePairEncoder::~BytePairEncoder() { destroy(pairs_.allocator(), compiler_); }

Status BytePairEncoder::load_more() noexcept {
  if (compiler_ != nullptr) {
    if (!compiler_->complete(splitter_)) return compiler_->compile_more(&splitter_);
    destroy(pairs_.allocator(), compiler_);
    compiler_ = nullptr;
  }
  constexpr size_t kSlotsAtOnce = 8192;
  constexpr uint32_t kMergesAtOnce = 512;
  if (pairs_.size() < pairs_.capacity()) {
    pairs_.fill(kSlotsAtOnce);
    return {};
  }
  for (uint32_t i = 0; i < kMergesAtOnce && next_rank_ < n_merges_; ++i, ++next_rank_) {
    INLAY_TRY(add_pair(merges_.next(), next_rank_));
  }
  if (next_rank_ < n_merges_) return {};
  ++next_rank_;
  const auto occupied = [this](size_t slot) { return pairs_[slot].rank != kNoMerge; };
  if (!runs_are_short(pairs_.size(), occupied)) return failure(true);
  return Status();
}

// The word in the vocabulary's spelling.
bool BytePairEncoder::spell(std::string_view word, String* out) const noexcept {
  out->clear();
  for (char c : word) {
    const auto byte = static_cast<uint8_t>(c);
    if (!out->append(characters_[byte], character_sizes_[byte])) return false;
  }
  return true;
}

// The text with U+2581 for each space. With kWordMarks each line that does not begin with one gets
// one.
bool BytePairEncoder::put_space_marks(std::string_view text, String* out) const noexcept {
  out->clear();
  bool line_begins = has_flag(kWordMarks);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (line_begins && c != '\n' && c != ' ' && slice(text, i, kSpaceMark.size()) != kSpaceMark &&
        !out->append(kSpaceMark.data(), kSpaceMark.size())) {
      return false;
    }
    line_begins = c == '\n' && has_flag(kWordMarks);
    if (!(c == ' ' ? out->append(kSpaceMark.data(), kSpaceMark.size()) : out->push_back(c)))
      return false;
  }
  return true;
}

// The text with a space for each whitespace character, in lower case if the vocabulary asks for it.
bool BytePairEncoder::put_spaces(std::string_view text, String* out) const noexcept {
  out->clear();
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const DecodedCharacter c = decode_utf8(at, end);
    at += c.bytes;
    char encoded[4] = {' '};
    uint32_t size = 1;
    if (!is_whitespace(c.code)) {
      size =
          encode_utf8(vocabulary_->normalizer().lowercase ? lower_case(c.code) : c.code, encoded);
    }
    if (!out->append(encoded, size)) return false;
  }
  return true;
}

bool BytePairEncoder::encode_word(std::string_view word, Scratch* scratch,
                                  TokenSink* sink) const noexcept {
  const bool raw = has_flag(kRawUtf8);
  sink->steps += word.size();
  const bool whole = has_flag(kIgnoreMerges) ||
                     (has_flag(kWholeNewlines) && word.find_first_not_of('\n') == word.npos);
  if (whole && word.size() <= vocabulary_->longest()) {
    if (!raw && !spell(word, &scratch->spelled)) return false;
    const Token token = vocabulary_->find(raw ? word : view(scratch->spelled));
    if (token != kNoToken) {
      sink->push(token);
      return true;
    }
  }
  Merger& merger = scratch->merger;
  merger.clear();
  for (uint32_t i = 0; i < word.size();) {
    const auto byte = static_cast<uint8_t>(word[i]);
    const uint32_t size = raw ? utf8_length(byte) : 1;
    const uint32_t id = raw ? find_number(slice(word, i, size), {}).number : byte_symbols_[byte];
    if (!merger.push({i, size, id})) return false;
    i += size;
  }
  const Pair* const pairs = pairs_.data();
  const size_t mask = pairs_.size() - 1;
  const auto find = [pairs, mask, sink](const Symbol& left, const Symbol& right) {
    ++sink->steps;
    for (size_t i = pair_hash(left.id, right.id) & mask;; i = (i + 1) & mask) {
      const Pair& pair = pairs[i];
      if (pair.rank == kNoMerge || (pair.left == left.id && pair.right == right.id))
        return Merge{pair.rank, pair.merged};
    }
  };
  if (!merger.run(find)) return false;
  for (const Symbol& symbol : merger.symbols()) {
    if (symbol.id < vocabulary_->size()) {
      sink->push(static_cast<Token>(symbol.id));
      continue;
    }
    // A text that is no token falls apart into the bytes of its spelling; those that are no tokens
    // vanish.
    for (char c : slice(word, symbol.begin, symbol.size)) {
      const auto byte = static_cast<uint8_t>(c);
      const uint32_t size = raw ? 1 : character_sizes_[byte];
      for (uint32_t i = 0; i < size; ++i) {
        const Token token = byte_tokens_[raw ? byte : static_cast<uint8_t>(characters_[byte][i])];
        if (token != kNoToken) sink->push(token);
      }
    }
  }
  return true;
}

bool BytePairEncoder::encode(std::string_view text, Scratch* scratch,
                             TokenSink* sink) const noexcept {
  std::string_view normal;
  if (!normalize_utf8(text, &scratch->normalized, &normal)) return false;
  const bool drop_spaces = vocabulary_->drop_spaces();
  if (drop_spaces || has_flag(kSpaceMarks)) {
    if (!(drop_spaces ? put_spaces(normal, &scratch->spaced)
                      : put_space_marks(normal, &scratch->spaced))) {
      return false;
    }
    normal = view(scratch->spaced);
  }
  Array<uint8_t>& marks = scratch->marks;
  marks.clear();
  if (!marks.resize(normal.size())) return false;
  for (size_t i = 1; drop_spaces && i < normal.size(); ++i) {
    if ((normal[i] == ' ') != (normal[i - 1] == ' ')) marks[i] = RegexSplitter::kBoundary;
  }
  mark_digit_groups(digit_groups_, normal, marks.span());
  if (!splitter_.split(normal, marks.allocator(), marks.span(), &sink->steps)) return false;
  for (size_t begin = 0; begin < normal.size();) {
    size_t end = begin + 1;
    while (end < normal.size() && !RegexSplitter::is_boundary(marks[end])) ++end;
    const bool dropped = drop_spaces && normal[begin] == ' ';
    if (!dropped && !encode_word(slice(normal, begin, end - begin), scratch, sink)) return false;
    begin = end;
  }
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_BYTE_PAIR_ENCODER_INL_HPP_
