#ifndef INLAY_TEXT_BYTE_PAIR_ENCODER_INL_HPP_
#define INLAY_TEXT_BYTE_PAIR_ENCODER_INL_HPP_

#include "inlay/text/byte_pair_encoder.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

// Why number_of failed, or a table became too slow.
inline Error failure(bool crowded) noexcept {
  if (!crowded) return Error(ErrorCode::out_of_memory);
  return Error(ErrorCode::corrupt, kMergesKey) << ": expected texts that do not share their hashes";
}

// The number of the text `first` followed by `second`, which must stay where they are: a token, or
// a new number. On failure see failure(crowded_).
bool BytePairEncoder::number_of(std::string_view first, std::string_view second,
                                uint32_t* out) noexcept {
  const Token token = vocabulary_->find(first, second);
  *out = static_cast<uint32_t>(token);
  if (token != kNoToken) return true;

  const auto text_hash = [](const PartText& t) {
    return mix_hash(hash_bytes(hash_bytes(kHashStart, t.first), t.second));
  };
  const size_t size = first.size() + second.size();
  const auto byte = [](const PartText& t, size_t i) {
    return i < t.first.size() ? t.first[i] : t.second[i - t.first.size()];
  };
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
  }
  const PartText text{first, second};
  const uint32_t hash = text_hash(text);
  const size_t mask = string_slots_.size() - 1;
  size_t i = hash & mask, probes = 0;
  for (; string_slots_[i].number != UINT32_MAX; i = (i + 1) & mask) {
    crowded_ = ++probes > kMaxRun;
    if (crowded_) return false;
    if (string_slots_[i].hash != hash) continue;
    const PartText& other = strings_[string_slots_[i].number - vocabulary_->size()];
    bool same = other.first.size() + other.second.size() == size;
    for (size_t k = 0; same && k < size; ++k) same = byte(text, k) == byte(other, k);
    if (!same) continue;
    *out = string_slots_[i].number;
    return true;
  }
  *out = vocabulary_->size() + static_cast<uint32_t>(strings_.size());
  string_slots_[i] = {hash, *out};
  return strings_.push_back(text);
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

Status BytePairEncoder::create(const Gguf& file, const Vocabulary& vocabulary,
                               const Allocator& allocator) noexcept {
  vocabulary_ = &vocabulary;
  const PreTokenizer& pre_tokenizer = vocabulary.pre_tokenizer();
  Result<RegexSplitter> splitter =
      RegexSplitter::create({pre_tokenizer.patterns, pre_tokenizer.pattern_count()}, allocator);
  if (!splitter) return splitter.error();
  splitter_ = std::move(*splitter);

  const MetadataValue* merges = file.find(kMergesKey);
  if (merges == nullptr) return Error(ErrorCode::missing, "metadata key ") << kMergesKey;
  if (!merges->is_array() || merges->element_type() != MetadataType::string ||
      merges->size() > INT32_MAX) {
    return Error(ErrorCode::corrupt, kMergesKey) << ": expected at most 2147483647 strings";
  }
  if (!pairs_.resize(hash_slots(static_cast<size_t>(merges->size()))))
    return Error(ErrorCode::out_of_memory);
  for (uint32_t byte = 0; byte < 256; ++byte) {
    char encoded[4];
    const uint32_t size = encode_utf8(byte_to_character(static_cast<uint8_t>(byte)), encoded);
    character_sizes_[byte] = static_cast<uint8_t>(size);
    for (uint32_t i = 0; i < size; ++i) characters_[byte][i] = encoded[i];
    const char raw = static_cast<char>(byte);
    raw_bytes_[byte] = vocabulary.find({&raw, 1});
    if (!number_of({characters_[byte], size}, {}, &byte_symbols_[byte])) {
      return failure(crowded_);
    }
  }
  Status status;
  merges->for_each_string([&](uint64_t rank, std::string_view merge) {
    if (status) status = add_pair(merge, static_cast<uint32_t>(rank));
  });
  INLAY_TRY(status);
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

bool BytePairEncoder::encode_word(std::string_view word, Scratch* scratch,
                                  TokenSink* sink) const noexcept {
  if (vocabulary_->pre_tokenizer().ignore_merges && word.size() <= vocabulary_->longest()) {
    if (!spell(word, &scratch->spelled)) return false;
    const Token whole = vocabulary_->find(view(scratch->spelled));
    if (whole != kNoToken) {
      sink->push(whole);
      return true;
    }
  }
  Merger& merger = scratch->merger;
  merger.clear();
  for (uint32_t i = 0; i < word.size(); ++i) {
    if (!merger.push({i, 1, byte_symbols_[static_cast<uint8_t>(word[i])]})) return false;
  }
  const Pair* const pairs = pairs_.data();
  const size_t mask = pairs_.size() - 1;
  const auto find = [pairs, mask](const Symbol& left, const Symbol& right) {
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
      for (uint32_t i = 0; i < character_sizes_[byte]; ++i) {
        const Token token = raw_bytes_[static_cast<uint8_t>(characters_[byte][i])];
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
  if (!splitter_.split(normal, &scratch->marks)) return false;
  for (size_t begin = 0; begin < normal.size();) {
    size_t end = begin + 1;
    while (end < normal.size() && !RegexSplitter::is_boundary(scratch->marks[end])) ++end;
    if (!encode_word(slice(normal, begin, end - begin), scratch, sink)) return false;
    begin = end;
  }
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_BYTE_PAIR_ENCODER_INL_HPP_
