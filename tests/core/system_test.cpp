#include "inlay/core/system.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>
#ifndef _WIN32
#  include <signal.h>
#  include <sys/stat.h>
#  include <unistd.h>
#endif

#include "support/folder.hpp"

using namespace inlay::detail;
using inlay::Clock;
using inlay::ErrorCode;
using inlay::Log;
using inlay::LogLevel;
using inlay::Result;
using inlay::Status;
using inlay_test::Folder;

TEST_CASE("the clock never goes back, and the host's comes first") {
  uint64_t last = now_us(Clock());
  for (int i = 0; i < 10000; ++i) {
    const uint64_t now = now_us(Clock());
    REQUIRE(now >= last);
    last = now;
  }
  uint64_t fake = 41;
  Clock clock;
  clock.user = &fake;
  clock.now_us = [](void* user) { return ++*static_cast<uint64_t*>(user); };
  CHECK(now_us(clock) == 42);
  CHECK(now_us(clock) == 43);
}

TEST_CASE("the clock counts microseconds") {
  // Against the C++ library's, around the same stretch: equal but for the time between the calls,
  // which only adds to the outer one.
  const auto outer = std::chrono::steady_clock::now();
  const uint64_t begin = now_us(Clock());
  while (now_us(Clock()) - begin < 20000) yield();
  const uint64_t inner = now_us(Clock()) - begin;
  const auto outer_us = std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::steady_clock::now() - outer)
                            .count();
  CHECK(inner >= 20000);
  CHECK(static_cast<int64_t>(inner) <= outer_us + 2);
}

TEST_CASE("a log line reaches the host, or nobody") {
  std::vector<std::string> lines;
  Log sink;
  sink.user = &lines;
  sink.write = [](void* user, LogLevel level, const char* text) {
    static_cast<std::vector<std::string>*>(user)->push_back(
        (level == LogLevel::warning ? "W " : "I ") + std::string(text));
  };
  log(Log(), LogLevel::info, "nobody");
  log(sink, LogLevel::info, "one");
  log(sink, LogLevel::warning, (inlay::Error(ErrorCode::io, "two ") << 2).message());
  CHECK(lines == std::vector<std::string>{"I one", "W two 2"});
}

TEST_CASE("what may be called from anywhere") {
  cpu_relax();
  yield();
  CHECK(cpu_count() >= 1);
}

#if INLAY_HAS_THREADS

namespace {

// A counter that threads raise in turn: thread i waits until the count is i modulo the number of
// threads.
struct Turns {
  Mutex mutex;
  CondVar changed;
  uint32_t count = 0, threads = 0, rounds = 0, next_id = 0;

  static void run(void* context) {
    Turns& t = *static_cast<Turns*>(context);
    t.mutex.lock();
    const uint32_t id = t.next_id++;
    for (uint32_t round = 0; round < t.rounds; ++round) {
      while (t.count % t.threads != id) t.changed.wait(t.mutex);
      ++t.count;
      t.changed.notify_all();
    }
    t.mutex.unlock();
  }
};

struct Shared {
  Mutex mutex;
  uint64_t sum = 0;
  static void add(void* context) {
    for (int i = 0; i < 20000; ++i) {
      const Lock lock(static_cast<Shared*>(context)->mutex);
      ++static_cast<Shared*>(context)->sum;
    }
  }
};

struct Gate {
  Mutex mutex;
  CondVar opened;
  bool open = false, passed = false;
  static void wait(void* context) {
    Gate& g = *static_cast<Gate*>(context);
    const Lock lock(g.mutex);
    while (!g.open) g.opened.wait(g.mutex);
    g.passed = true;
  }
};

#  ifndef _WIN32
struct Mask {
  sigset_t set;
  static void read(void* context) {
    pthread_sigmask(SIG_SETMASK, nullptr, &static_cast<Mask*>(context)->set);
  }
};
#  endif

}  // namespace

TEST_CASE("threads wait for each other with a mutex and a condition variable") {
  Turns turns;
  turns.threads = 5;
  turns.rounds = 200;
  std::vector<Thread> threads(turns.threads);  // copied while growing: a handle
  for (Thread& thread : threads) REQUIRE(thread.start<&Turns::run>(&turns));
  for (Thread& thread : threads) thread.join();
  CHECK(turns.count == 1000);
  threads[0].join();  // a second time: nothing
  Thread().join();    // never started
}

TEST_CASE("a lock keeps threads apart") {
  Shared shared;
  Thread threads[4];
  for (Thread& thread : threads) REQUIRE(thread.start<&Shared::add>(&shared));
  for (Thread& thread : threads) thread.join();
  CHECK(shared.sum == 80000);
}

TEST_CASE("notify_one wakes a thread that waits") {
  Gate gate;
  Thread thread;
  REQUIRE(thread.start<&Gate::wait>(&gate));
  {
    const Lock lock(gate.mutex);
    gate.open = true;
  }
  gate.opened.notify_one();
  thread.join();
  CHECK(gate.passed);
}

#  ifndef _WIN32
TEST_CASE("the process's signals are not delivered to inlay's threads") {
  Mask mask;
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  Thread thread;
  REQUIRE(thread.start<&Mask::read>(&mask));
  thread.join();
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signal : {SIGINT, SIGTERM, SIGUSR1, SIGALRM}) {
    CHECK(sigismember(&mask.set, signal) == 1);
    CHECK(sigismember(&after, signal) == sigismember(&before, signal));
  }
}
#  endif

#endif  // INLAY_HAS_THREADS

#if INLAY_HAS_FILES

namespace {

std::string failure(const std::string& path) {
  const Result<FileMapping> mapping = FileMapping::open(path.c_str());
  if (mapping) return "";
  CHECK(mapping.error().code() == ErrorCode::io);
  return mapping.error().message();
}

}  // namespace

TEST_CASE("a file is mapped as it is") {
  const Folder folder;
  const std::string path = folder / "\xe2\x82\xac file";
  std::string bytes;
  for (int i = 0; i < 100001; ++i) bytes += static_cast<char>(i * 7);
  std::ofstream(path, std::ios::binary) << bytes;
  Result<FileMapping> mapping = FileMapping::open(path.c_str());
  REQUIRE_MESSAGE(mapping, std::string(mapping.error().message()));
  CHECK(std::string(reinterpret_cast<const char*>(mapping->data()), mapping->size()) == bytes);
  const uint8_t* data = mapping->data();
  FileMapping moved = std::move(*mapping);
  CHECK(moved.data() == data);
  CHECK(mapping->data() == nullptr);
  std::ofstream(folder / "b", std::ios::binary) << "b";
  Result<FileMapping> other = FileMapping::open((folder / "b").c_str());
  REQUIRE(other);
  moved = std::move(*other);
  CHECK(moved.size() == 1);
  CHECK(moved.data()[0] == 'b');
}

TEST_CASE("a mapping knows when its file was changed") {
  const Folder folder;
  const std::string path = folder / "file";
  const auto modified = [&] {
    const Result<FileMapping> mapping = FileMapping::open(path.c_str());
    REQUIRE(mapping);
    return mapping->modified();
  };
  std::ofstream(path) << "x";
  const uint64_t first = modified();
  CHECK(first != 0);
  CHECK(modified() == first);
  std::filesystem::last_write_time(path,
                                   std::filesystem::last_write_time(path) + std::chrono::hours(1));
  CHECK(modified() > first);
}

TEST_CASE("dropped pages come back as they were") {
  const Folder folder;
  const std::string path = folder / "file";
  std::string bytes;
  for (int i = 0; i < 300000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
  std::ofstream(path, std::ios::binary) << bytes;
  const Result<FileMapping> mapping = FileMapping::open(path.c_str());
  REQUIRE(mapping);
  const auto same = [&] {
    return std::string(reinterpret_cast<const char*>(mapping->data()), mapping->size()) == bytes;
  };
  REQUIRE(same());
  const size_t ranges[][2] = {{0, 300000}, {1, 299998}, {0, 0}, {5, 100}, {4095, 8194}};
  for (const auto& range : ranges) {
    drop_pages(mapping->data() + range[0], range[1]);
    CHECK(same());
  }
  std::vector<char> memory(size_t{5} << 20, 'x');
  prefer_huge_pages(memory.data(), memory.size());
  prefer_huge_pages(memory.data() + 1, 100);
  CHECK(std::count(memory.begin(), memory.end(), 'x') == 5 << 20);
}

TEST_CASE("a file is replaced whole or not at all") {
  const Folder folder;
  const std::string path = folder / "\xe2\x82\xac file";
  const auto content = [&] {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  {
    FileReplacement unused;
    FileReplacement first;
    REQUIRE(first.open(path.c_str()));
    REQUIRE(first.write("one", 3));
    REQUIRE(first.write("", 0));
    CHECK_FALSE(std::filesystem::exists(path));
    REQUIRE(first.commit());
    CHECK(content() == "one");
  }
  CHECK(content() == "one");
  const Result<FileMapping> old = FileMapping::open(path.c_str());
  REQUIRE(old);
  {
    FileReplacement left, second, third;  // at once; one is never finished
    REQUIRE(left.open(path.c_str()));
    REQUIRE(second.open(path.c_str()));
    REQUIRE(third.open(path.c_str()));
    REQUIRE(left.write("left", 4));
    REQUIRE(second.write("second", 6));
    REQUIRE(third.write("third", 5));
    REQUIRE(third.commit());
    CHECK(content() == "third");
    REQUIRE(second.commit());
    CHECK(content() == "second");
  }
  CHECK(content() == "second");
  CHECK(folder.files() == 1);
  CHECK(std::string(reinterpret_cast<const char*>(old->data()), old->size()) == "one");
}

#  ifndef _WIN32
TEST_CASE("why a file cannot be replaced is said") {
  const Folder folder;
  const std::string root = folder.path.string();
  const auto failure_of = [](const std::string& path) {
    FileReplacement file;
    Status status = file.open(path.c_str());
    if (status) status = file.write("x", 1);
    if (status) status = file.commit();
    if (status) return std::string();
    CHECK(status.error().code() == ErrorCode::io);
    return std::string(status.error().message());
  };
  std::ofstream(root + "/file") << "x";
  std::filesystem::create_directory(root + "/folder");
  CHECK(failure_of(root + "/none/x") == "cannot create a file there: no such file");
  CHECK(failure_of(root + "/file/x") ==
        "cannot create a file there: a part of the path is not a directory");
  CHECK(failure_of(std::string(5000, 'x')) == "the path is too long");
  CHECK(failure_of(root + "/folder") == "it is a directory");
  REQUIRE(mkfifo((root + "/pipe").c_str(), 0600) == 0);
  CHECK(failure_of(root + "/pipe") == "it is not a regular file");
  CHECK(folder.files() == 3);
}
#  endif

TEST_CASE("why a file cannot be mapped is said with its path") {
  const Folder folder;
  const std::string root = folder.path.string();
  CHECK(failure(root + "/none") == "cannot open " + root + "/none: no such file");
  CHECK(failure(root) == "cannot open " + root + ": it is a directory");
  std::ofstream(root + "/empty").close();
  CHECK(failure(root + "/empty") == "cannot open " + root + "/empty: it is empty");
  CHECK(failure("") == "cannot open : no such file");
#  ifndef _WIN32
  CHECK(failure(root + "/empty/x") ==
        "cannot open " + root + "/empty/x: a part of the path is not a directory");
  REQUIRE(mkfifo((root + "/pipe").c_str(), 0600) == 0);
  CHECK(failure(root + "/pipe") ==
        "cannot open " + root + "/pipe: it is not a regular file, which mapping needs");
  if (geteuid() != 0) {  // root may read anything
    std::ofstream(root + "/secret") << "x";
    chmod((root + "/secret").c_str(), 0);
    CHECK(failure(root + "/secret") == "cannot open " + root + "/secret: permission denied");
  }
  REQUIRE(symlink("loop", (root + "/loop").c_str()) == 0);
  CHECK(failure(root + "/loop") == "cannot open " + root + "/loop: too many symbolic links");
#  endif
}

#endif  // INLAY_HAS_FILES
