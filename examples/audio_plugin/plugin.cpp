// The model writes on a thread of its own, and puts a note for each character into a queue; the
// real-time thread takes notes out. Neither ever waits for the other.
#include "plugin.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <inlay.hpp>
#include <new>
#include <string_view>
#include <thread>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// One thread pushes, one pops. No lock: each writes an index that the other only reads.
template <class T, size_t capacity>
class Queue {
 public:
  bool push(T value) {
    const size_t end = end_.load(std::memory_order_relaxed);
    if (end - begin_.load(std::memory_order_acquire) == capacity) return false;
    items_[end % capacity] = value;
    end_.store(end + 1, std::memory_order_release);
    return true;
  }
  bool pop(T* value) {
    const size_t begin = begin_.load(std::memory_order_relaxed);
    if (begin == end_.load(std::memory_order_acquire)) return false;
    *value = items_[begin % capacity];
    begin_.store(begin + 1, std::memory_order_release);
    return true;
  }

 private:
  std::array<T, capacity> items_;
  alignas(64) std::atomic<size_t> begin_{0};
  alignas(64) std::atomic<size_t> end_{0};
};

// Letters are notes of a pentatonic scale; anything else is a rest.
float frequency(char letter) {
  constexpr int kScale[] = {0, 2, 4, 7, 9};
  const int index = letter >= 'a' && letter <= 'z'   ? letter - 'a'
                    : letter >= 'A' && letter <= 'Z' ? letter - 'A'
                                                     : -1;
  if (index < 0) return 0;
  const int semitones = 12 * (index / 5) + kScale[index % 5];
  return 110.0f * std::exp2(static_cast<float>(semitones) / 12.0f);
}

}  // namespace

struct Instrument {
  Instrument(inlay::Session&& s, double rate)
      : session(std::move(s)), sample_rate(static_cast<float>(rate)) {}

  bool write();  // the model's thread; false if the model fails

  inlay::Session session;
  std::thread writer;
  std::atomic<bool> quit{false}, failed{false};
  std::atomic<float> temperature{0.8f};
  std::atomic<uint64_t> notes{0}, played{0}, longest_us{0};
  Queue<float, 32> queue;  // frequencies in Hz; 0: a rest. Three seconds ahead

  // Of the real-time thread.
  const float sample_rate;
  float hertz = 0, phase = 0;
  uint32_t left = 0, length = 0;  // samples of the note that sounds
};

bool Instrument::write() {
  using Clock = std::chrono::steady_clock;
  inlay::Sampling sampling;
  while (!quit) {
    sampling.temperature = temperature.load();
    ++sampling.seed;
    session.set_sampling(sampling);
    if (!session.prompt("void Song::play() {\n")) return false;
    for (;;) {
      const auto start = Clock::now();
      const inlay::Piece* piece = session.next();  // takes as long as it takes
      const auto us = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
      if (static_cast<uint64_t>(us.count()) > longest_us) {
        longest_us = static_cast<uint64_t>(us.count());
      }
      if (piece == nullptr) break;
      for (const char letter : piece->text) {
        while (!quit && !queue.push(frequency(letter))) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        ++notes;
      }
    }
    if (!session.status()) return false;
  }
  return true;
}

EXPORT Instrument* plugin_create(const char* path, double sample_rate) {
  const auto fail = [](const inlay::Error& error) {
    std::fprintf(stderr, "plug-in: %s\n", error.message());
    return nullptr;
  };
  auto model = inlay::Model::open(path);
  if (!model) return fail(model.error());
  inlay::SessionOptions options;
  options.context = 512;
  options.max_tokens = 200;
  auto session = inlay::Session::create(*model, options);
  if (!session) return fail(session.error());
  auto* instrument = new (std::nothrow) Instrument(std::move(*session), sample_rate);
  if (instrument != nullptr)
    instrument->writer = std::thread([=] { instrument->failed = !instrument->write(); });
  return instrument;
}

EXPORT void plugin_destroy(Instrument* instrument) {
  if (instrument == nullptr) return;
  instrument->quit = true;
  instrument->session.cancel();  // it may be in the middle of a long prompt
  instrument->writer.join();
  delete instrument;
}

EXPORT InstrumentStatistics plugin_statistics(const Instrument* instrument) {
  return {instrument->notes, instrument->played, instrument->longest_us, instrument->failed};
}

EXPORT void plugin_set_temperature(Instrument* instrument, float temperature) {
  instrument->temperature = temperature;
}

EXPORT void plugin_process(Instrument* instrument, float* out, uint32_t frames) {
  Instrument& i = *instrument;
  for (uint32_t n = 0; n < frames; ++n) {
    if (i.left == 0 && i.queue.pop(&i.hertz)) {
      i.left = i.length = static_cast<uint32_t>(0.09f * i.sample_rate);
      i.phase = 0;
      i.played.fetch_add(1, std::memory_order_relaxed);
    }
    if (i.left == 0) {
      out[n] = 0;  // the model is late: a rest
      continue;
    }
    const float envelope = static_cast<float>(i.left--) / static_cast<float>(i.length);
    out[n] = i.hertz == 0 ? 0 : 0.2f * envelope * std::sin(6.2831853f * i.phase);
    i.phase += i.hertz / i.sample_rate;
    if (i.phase >= 1) i.phase -= 1;
  }
}
