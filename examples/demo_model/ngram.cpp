// The yardstick: an order-5 byte model with interpolated, modified Kneser-Ney smoothing.
//
//   ngram TRAIN HELDOUT
//
// Each byte is predicted from the five before it. Files hold documents separated by NUL bytes. Two
// numbers are printed: bits per byte of HELDOUT with the counts of TRAIN alone, and with counts
// that also learn from each byte of HELDOUT once it has been predicted.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

constexpr int kOrder = 5;

// An open-addressing hash map from a non-zero key to a Value.
template <typename Value>
class FlatMap {
 public:
  const Value* Find(uint64_t key) const {
    const Slot& slot = slots_[Locate(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

  Value& operator[](uint64_t key) {
    if (2 * size_ >= slots_.size()) Grow();
    Slot& slot = slots_[Locate(key)];
    if (slot.key == 0) {
      slot.key = key;
      ++size_;
    }
    return slot.value;
  }

  template <typename Function>
  void ForEach(Function function) const {
    for (const Slot& slot : slots_) {
      if (slot.key != 0) function(slot.value);
    }
  }

 private:
  struct Slot {
    uint64_t key = 0;
    Value value{};
  };

  size_t Locate(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t i = (key * 0x9E3779B97F4A7C15u) >> 20 & mask;
    while (slots_[i].key != 0 && slots_[i].key != key) i = (i + 1) & mask;
    return i;
  }

  void Grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != 0) slots_[Locate(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1 << 16);
  size_t size_ = 0;
};

// What followed a context: how many bytes, and how many different ones seen once, twice and more.
struct Followers {
  uint32_t total = 0;
  std::array<uint32_t, 3> kinds{};
};

class KneserNey {
 public:
  void Add(uint64_t history, uint8_t byte) {
    // A lower order counts the different contexts in which a byte occurred, not how often it did.
    for (int order = kOrder; order >= 0; --order) {
      uint32_t& count = counts_[order][GramKey(history, order, byte)];
      Followers& followers = followers_[order][ContextKey(history, order)];
      ++followers.total;
      if (count > 0) --followers.kinds[std::min<uint32_t>(count, 3) - 1];
      ++count;
      ++followers.kinds[std::min<uint32_t>(count, 3) - 1];
      if (count > 1) break;
    }
  }

  // Sets the discounts from how many grams occurred once, twice, three and four times.
  void Estimate() {
    for (int order = 0; order <= kOrder; ++order) {
      double n[5] = {};
      counts_[order].ForEach([&](uint32_t count) {
        if (count <= 4) ++n[count];
      });
      for (int i = 1; i <= 4; ++i) n[i] += 1;  // small models lack some of them
      const double y = n[1] / (n[1] + 2 * n[2]);
      for (int i = 1; i <= 3; ++i) {
        const double discount = i - (i + 1) * y * n[i + 1] / n[i];
        discounts_[order][i - 1] = std::min(std::max(discount, 0.1), i - 0.05);
      }
    }
  }

  double Probability(uint64_t history, uint8_t byte) const {
    double probability = 1.0 / 256;
    for (int order = 0; order <= kOrder; ++order) {
      const Followers* followers = followers_[order].Find(ContextKey(history, order));
      if (followers == nullptr) break;
      const auto& discounts = discounts_[order];
      double share = 0;
      for (int i = 0; i < 3; ++i) share += discounts[i] * followers->kinds[i];
      if (const uint32_t* count = counts_[order].Find(GramKey(history, order, byte))) {
        share = share * probability + *count - discounts[std::min<uint32_t>(*count, 3) - 1];
      } else {
        share *= probability;
      }
      probability = share / followers->total;
    }
    return probability;
  }

 private:
  // The last `order` bytes of the history under a leading one bit.
  static uint64_t ContextKey(uint64_t history, int order) {
    const uint64_t top = uint64_t{1} << (8 * order);
    return top | (history & (top - 1));
  }
  static uint64_t GramKey(uint64_t history, int order, uint8_t byte) {
    return ContextKey(history, order) << 8 | byte;
  }

  std::array<FlatMap<uint32_t>, kOrder + 1> counts_;
  std::array<FlatMap<Followers>, kOrder + 1> followers_;
  std::array<std::array<double, 3>, kOrder + 1> discounts_{};
};

std::string ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Calls function(history, byte) for each byte of each document.
template <typename Function>
void ForEachByte(const std::string& text, Function function) {
  uint64_t history = 0;
  for (char c : text) {
    const uint8_t byte = static_cast<uint8_t>(c);
    if (byte != 0) function(history, byte);
    history = byte == 0 ? 0 : history << 8 | byte;
  }
}

double BitsPerByte(KneserNey& model, const std::string& text, bool learn) {
  double bits = 0;
  size_t bytes = 0;
  ForEachByte(text, [&](uint64_t history, uint8_t byte) {
    bits -= std::log2(model.Probability(history, byte));
    ++bytes;
    if (learn) model.Add(history, byte);
  });
  return bits / static_cast<double>(bytes);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: ngram TRAIN HELDOUT\n"), 2;
  KneserNey model;
  ForEachByte(ReadFile(argv[1]), [&](uint64_t history, uint8_t byte) { model.Add(history, byte); });
  model.Estimate();
  const std::string held_out = ReadFile(argv[2]);
  std::printf("%.4f trained on the training files\n", BitsPerByte(model, held_out, false));
  std::printf("%.4f and learning from the held-out files as it goes\n",
              BitsPerByte(model, held_out, true));
}
