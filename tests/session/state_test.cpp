#include "inlay/session/state.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <inlay.hpp>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "inlay/session/recurrent_state.hpp"
#include "support/counting_allocator.hpp"
#include "support/sessions.hpp"

namespace {

using inlay::ErrorCode;
using inlay::KvCacheType;
using inlay::Model;
using inlay::Session;
using inlay::SessionOptions;
using inlay::StateWriter;
using inlay::Status;
using inlay::Step;
using inlay::Token;
using inlay_test::Bytes;
using inlay_test::create;
using inlay_test::Opened;
using inlay_test::prompt;
using inlay_test::saved;
using inlay_test::some_tokens;
using inlay_test::TicketClock;
using inlay_test::Tokens;
using random_model::Type;

// Tokens by chance: whoever restores less than everything does not write the same ones.
SessionOptions by_chance(uint32_t context = 96, uint32_t max_tokens = 12) {
  SessionOptions options;
  options.context = context;
  options.max_tokens = max_tokens;
  options.sampling.temperature = 1.5f;
  options.sampling.top_k = 0u;
  options.sampling.seed = 7;
  return options;
}

std::string continued(Session& session) {
  std::string text;
  while (const inlay::Piece* piece = session.next()) text += piece->text;
  REQUIRE(session.status());
  return text;
}

void restore(Session& session, const Bytes& state) {
  const Status status = session.restore(state);
  CAPTURE(std::string(status.error().message()));
  REQUIRE(bool(status));
}

// What is left of both sessions is the same: what they write, and everything in them.
void check_same(Session& one, Session& other) {
  CHECK(saved(one) == saved(other));
  CHECK(continued(one) == continued(other));
  CHECK(one.stop_reason() == other.stop_reason());
  CHECK(saved(one) == saved(other));
}

constexpr const char* kModels[] = {
    "qwen3-tied", "gemma2-caps", "gemma4-shared", "deepseek2-lite", "deepseek2-lite-old", "bloom",
    "mamba-1",    "mamba2-1",    "lfm2-1",        "qwen35-1",       "granitehybrid-1"};
constexpr KvCacheType kCaches[] = {KvCacheType::f32, KvCacheType::f16, KvCacheType::q8_0};

uint64_t word(const Bytes& state, size_t i) {
  uint64_t value;
  std::memcpy(&value, state.data() + i * 8, 8);
  return value;
}
void set_word(Bytes* state, size_t i, uint64_t value) {
  std::memcpy(state->data() + i * 8, &value, 8);
}
// So that only what comes after the checksum can refuse it.
void make_check_right(Bytes* state) {
  set_word(state, 2, state->size());
  uint64_t check = 0x9fb21c651e98df25;
  for (size_t i = 0; i + 1 < state->size() / 8; ++i) {
    const uint64_t sum = check + word(*state, i) * 0xd6e8feb86659fd93;
    check = (sum << 31 | sum >> 33) * 0x9e3779b97f4a7c15;
  }
  set_word(state, state->size() / 8 - 1, check);
}

}  // namespace

TEST_CASE("a restored session goes on as one that was never saved, wherever it was") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const Opened model(name);
    for (const KvCacheType cache : kCaches) {
      SessionOptions options = by_chance();
      options.kv_cache = cache;
      Session one = create(*model, options);
      prompt(one, some_tokens(37));
      for (const int pieces : {0, 1, 4}) {
        for (int i = 0; i < pieces; ++i) one.next();
        Session other = create(*model, options);
        const Bytes state = saved(one);
        restore(other, state);
        CHECK(saved(other) == state);
        Session again = create(*model, options);
        restore(again, state);
        check_same(other, again);
      }
      Session other = create(*model, options);
      restore(other, saved(one));
      check_same(one, other);
      restore(other, saved(one));  // after its end
      check_same(one, other);
    }
  }
}

TEST_CASE("what memory held before has no part in what is written or saved") {
  for (const char* name : kModels) {
    CAPTURE(name);
    for (const KvCacheType cache : kCaches) {
      std::string text;
      Bytes state;
      for (int fill : {0x00, 0x5b, 0xff}) {
        CAPTURE(fill);
        inlay::ModelOptions options;
        options.host.allocator = {[](void* user, size_t bytes, size_t alignment) {
                                    void* memory = ::operator new (
                                        bytes, std::align_val_t{alignment}, std::nothrow);
                                    if (memory != nullptr)
                                      std::memset(memory, *static_cast<int*>(user), bytes);
                                    return memory;
                                  },
                                  [](void*, void* memory, size_t, size_t alignment) {
                                    ::operator delete (memory, std::align_val_t{alignment});
                                  },
                                  &fill};
        const Opened model(name, options);
        SessionOptions session_options = by_chance();
        session_options.kv_cache = cache;
        Session one = create(*model, session_options);
        prompt(one, some_tokens(37));
        one.next();
        Session other = create(*model, session_options);
        restore(other, saved(one));
        const std::string now = continued(other);
        if (fill == 0) {
          text = now;
          state = saved(other);
        }
        CHECK(now == text);
        CHECK(saved(other) == state);
        CHECK(continued(one) == text);
        CHECK(saved(one) == state);
      }
    }
  }
}

TEST_CASE("a state may be taken between any two tickets") {
  for (const char* name : {"qwen3-tied", "mamba-1", "qwen35-1"}) {
    CAPTURE(name);
    TicketClock clock;
    const Opened model(name, clock.options());
    SessionOptions options = by_chance(96, 3);
    options.batch = 16;
    options.batch_invariant = true;  // a recurrent state may have to be read again by other batches
    options.kv_cache = KvCacheType::f32;
    Session one = create(*model, options);
    prompt(one, some_tokens(37));
    const std::string text = continued(one);
    const Bytes end = saved(one);
    Session stepped = create(*model, options);
    prompt(stepped, some_tokens(37));
    std::string before;
    size_t states = 0;
    for (Step step = Step::more; step != Step::done;) {
      step = stepped.step(3);
      if (step == Step::piece) before += stepped.piece().text;
      Session other = create(*model, options);
      restore(other, saved(stepped));
      CHECK(before + continued(other) == text);
      if (std::string_view(name) == "qwen3-tied") CHECK(saved(other) == end);
      ++states;
    }
    CHECK(states > 20);
  }
}

TEST_CASE("another context, batch, number of threads, target, and packed weights") {
  for (const char* name : {"qwen3-tied", "qwen35-1"}) {
    CAPTURE(name);
    const Opened model(name);
    inlay::ModelOptions packed_options;
    packed_options.weights = inlay::WeightMode::packed;
    inlay::ModelOptions baseline_options;
    baseline_options.targets = 0;
    const Opened packed(name, packed_options), baseline(name, baseline_options);
    Session one = create(*model, by_chance());
    prompt(one, some_tokens(37));
    one.next();
    const Bytes state = saved(one);
    const std::string text = continued(one);
    for (const Opened* other_model : {&model, &packed, &baseline}) {
      SessionOptions options = by_chance(70);
      options.batch = 5;
      options.threads = 2;
      options.snapshots = 1;
      Session other = create(**other_model, options);
      prompt(other, some_tokens(20, 9));
      other.next();
      restore(other, state);
      CHECK(other.tokens().size() == 38);
      CHECK(other.cached() == 37);
      const std::string rest = continued(other);
      if (other_model == &model) CHECK(rest == text);
      CHECK(other.tokens().size() > 38);
    }
  }
}

TEST_CASE("a restored state goes back to the same snapshots") {
  const Opened model("mamba-1");
  SessionOptions options = by_chance(600, 4);
  options.snapshots = 4;
  options.batch = 64;
  Session one = create(*model, options);
  prompt(one, some_tokens(500));
  continued(one);
  const Bytes state = saved(one);
  for (const uint32_t snapshots : {4u, 1u, 0u}) {
    options.snapshots = snapshots;
    Session other = create(*model, options);
    restore(other, state);
    CHECK(other.cached() == one.cached());
    CHECK(saved(other).size() <= state.size());
    Tokens shorter = some_tokens(500);
    shorter.resize(450);
    prompt(other, shorter);
    CHECK(other.cached() == (snapshots == 4 ? 256 : 0));
    Session fresh = create(*model, options);
    prompt(fresh, shorter);
    CHECK(continued(other) == continued(fresh));
  }
}

TEST_CASE("output that is held back is held back again") {
  // A stop text that begins in every piece: what may belong to it waits.
  const Opened model("qwen3-tied");
  SessionOptions options = by_chance(96, 30);
  Session plain = create(*model, options);
  prompt(plain, some_tokens(20));
  const std::string text = continued(plain);
  REQUIRE(text.size() > 20);
  const std::string stop = text.substr(text.size() / 2, 6) + "\x01";
  const std::string_view stops[] = {stop};
  options.stop = stops;
  Session one = create(*model, options);
  prompt(one, some_tokens(20));
  std::string before;
  while (const inlay::Piece* piece = one.next()) {
    before += piece->text;
    Session other = create(*model, options);
    restore(other, saved(one));
    CHECK(before + continued(other) == text);
  }
  CHECK(before == text);
}

TEST_CASE("only what differs from a common beginning") {
  for (const char* name : {"qwen3-tied", "qwen35-1", "mamba-1"}) {
    CAPTURE(name);
    const Opened model(name);
    const Tokens common = some_tokens(40);
    Tokens own = common;
    for (const Token token : some_tokens(10, 5)) own.push_back(token);
    Session base = create(*model, by_chance());
    REQUIRE(base.evaluate(common, true, nullptr, nullptr));
    Session one = create(*model, by_chance());
    REQUIRE(one.evaluate(common, true, nullptr, nullptr));
    prompt(one, own);
    one.next();
    const Bytes all = saved(one), rest = saved(one, 40);
    const uint64_t position = (all.size() - rest.size()) / 40;
    CHECK(all.size() == rest.size() + position * 40);
    if (std::string_view(name) == "qwen3-tied") CHECK(rest.size() < all.size() / 3);
    Session other = create(*model, by_chance());
    Status status = other.restore(rest);
    if (position > 0) {
      CHECK(status.error().code() == ErrorCode::bad_argument);
    }
    restore(base, rest);
    check_same(base, one);
    CHECK(saved(one, 1000) == saved(one, one.cached()));
  }
}

TEST_CASE("states without K and V: nothing was read, or all of it is skipped") {
  const Opened model("mpt-positions");
  SessionOptions options = by_chance();
  options.kv_cache = inlay::KvCacheType::f32;  // of a position more bytes than such a state has
  const Tokens text = some_tokens(4);
  for (const int pieces : {-1, 0, 1}) {  // -1: without a prompt
    CAPTURE(pieces);
    Session session = create(*model, options), other = create(*model, options);
    if (pieces >= 0) prompt(session, text);
    if (pieces > 0) {
      REQUIRE(session.next());
      REQUIRE(other.evaluate(text, true, nullptr, nullptr));
    }
    const Bytes state = saved(session, 100);
    CHECK(state.size() < 800);
    restore(other, state);
    check_same(other, session);
  }
}

TEST_CASE("what is written piece by piece is the same") {
  const Opened model("gemma4-shared");
  Session session = create(*model, by_chance());
  prompt(session, some_tokens(37));
  session.next();
  const Bytes whole = saved(session);
  for (const size_t extra : std::initializer_list<size_t>{0, 8, 1000}) {
    StateWriter writer(session);
    CHECK(writer.bytes() == whole.size());
    Bytes state, room(writer.least_room() + extra);
    for (;;) {
      const auto n = writer.write(room);
      REQUIRE(n);
      if (*n == 0) break;
      state.insert(state.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*n));
    }
    CHECK(state == whole);
  }
  StateWriter writer(session);
  Bytes room(writer.least_room());
  CHECK(writer.write({room.data(), room.size() - 1}).error().code() == ErrorCode::bad_argument);
  REQUIRE(writer.write(room));
  session.next();
  CHECK(writer.write(room).error().code() == ErrorCode::bad_argument);
  Bytes wrong(whole.size() - 8);
  CHECK(session.save(wrong).error().code() == ErrorCode::bad_argument);
}

TEST_CASE("what cannot be restored is refused, with a reason, and changes nothing") {
  const Opened model("qwen3-tied");
  Session session = create(*model, by_chance());
  prompt(session, some_tokens(12));
  session.next();
  const Bytes state = saved(session);
  Session target = create(*model, by_chance());
  prompt(target, some_tokens(5));
  target.next();
  const Bytes before = saved(target);
  const auto code = [&](Session& s, const Bytes& bytes) {
    const Status status = s.restore(bytes);
    REQUIRE(!status);
    CHECK(std::strlen(status.error().message()) > 20);
    return status.error().code();
  };

  SUBCASE("truncated anywhere, or longer") {
    for (size_t n = 0; n < state.size(); ++n) {
      const Bytes cut(state.begin(), state.begin() + static_cast<std::ptrdiff_t>(n));
      const ErrorCode error = code(target, cut);
      CHECK((error == ErrorCode::truncated || (n < 24 && error == ErrorCode::corrupt)));
    }
    Bytes longer = state;
    longer.resize(longer.size() + 8);
    CHECK(code(target, longer) == ErrorCode::corrupt);
  }
  SUBCASE("any flipped bit") {
    Bytes damaged = state;
    for (size_t i = 0; i < state.size(); ++i) {
      damaged[i] = static_cast<uint8_t>(damaged[i] ^ 1u << (i * 5 + i / 8) % 8);
      code(target, damaged);
      damaged[i] = state[i];
    }
  }
  SUBCASE("another version") {
    Bytes newer = state;
    set_word(&newer, 1, 2);
    make_check_right(&newer);
    CHECK(code(target, newer) == ErrorCode::unsupported);
  }
  SUBCASE("another model: of other weights, of another architecture") {
    random_model::ArchitectureModel reseeded = *random_model::find_model("qwen3-tied");
    reseeded.seed = 99;
    const Opened weights(random_model::written(reseeded, Type::f32).file()),
        architecture("gemma2-caps");
    for (const Opened* other : {&weights, &architecture}) {
      Session s = create(**other, by_chance());
      CHECK(code(s, state) == ErrorCode::bad_argument);
    }
  }
  SUBCASE("another cache, a context that is too small") {
    SessionOptions options = by_chance();
    options.kv_cache = KvCacheType::q8_0;
    Session other = create(*model, options);
    CHECK(code(other, state) == ErrorCode::bad_argument);
    Session small = create(*model, by_chance(13));
    CHECK(code(small, state) == ErrorCode::context_full);  // none could be written
    Session enough = create(*model, by_chance(14));
    restore(enough, state);
    continued(enough);
    CHECK(enough.stop_reason() == inlay::StopReason::context_full);
  }
  SUBCASE("angles for long contexts") {
    const Opened stretched("phi3-longrope");
    Session below = create(*stretched, by_chance(16)), above = create(*stretched, by_chance(4000));
    prompt(below, some_tokens(5));
    below.next();
    CHECK(code(above, saved(below)) == ErrorCode::bad_argument);
  }
  CHECK(saved(target) == before);
}

TEST_CASE("whatever a state says, nothing is done out of bounds") {
  for (const char* name : {"qwen3-tied", "qwen35-1"}) {
    const Opened model(name);
    SessionOptions options = by_chance(64, 4);
    Session session = create(*model, options);
    prompt(session, some_tokens(20));
    session.next();
    const Bytes state = saved(session);
    uint64_t random = 1;
    const auto next = [&random] { return (random = random * 6364136223846793005u + 1) >> 33; };
    int accepted = 0;
    for (int round = 0; round < 2000; ++round) {
      Bytes bytes = state;
      for (uint64_t changes = 1 + next() % 3; changes-- > 0;) {
        constexpr size_t kFirst = 6, kHead = 24;  // what comes before says which model
        const size_t at = next() % 4 != 0 ? kFirst + next() % (kHead - kFirst)
                                          : kFirst + next() % (bytes.size() / 8 - kFirst);
        const uint64_t old = word(bytes, at);
        const uint64_t values[] = {0, 1, old + 1, old - 1, next() % 70, ~uint64_t{0}, next() << 31};
        set_word(&bytes, at, values[next() % 7]);
      }
      if (next() % 8 == 0) bytes.resize(bytes.size() / 8 * 8 - next() % 64 * 8);
      make_check_right(&bytes);
      if (!session.restore(bytes)) continue;
      ++accepted;
      for (int i = 0; i < 3; ++i) session.next();
      CHECK(session.tokens().size() <= 64);
      session.truncate(10);
      prompt(session, some_tokens(20));
      session.next();
    }
    CHECK(accepted > 50);
  }
}

TEST_CASE("saving and restoring take no memory") {
  inlay_test::CountingAllocator allocator;
  inlay::ModelOptions options;
  options.host.allocator = allocator.get();
  const Opened model("qwen35-1", options);
  Session session = create(*model, by_chance());
  prompt(session, some_tokens(20));
  session.next();
  const size_t calls = allocator.calls();
  const Bytes state = saved(session);
  restore(session, state);
  CHECK(allocator.calls() == calls);
}
