#include "cli.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#ifdef _WIN32
#  include <fcntl.h>
#  include <io.h>
#else
#  include <unistd.h>
#endif

namespace cli {
namespace {

std::atomic<inlay::Session*> session_to_cancel{nullptr};
std::atomic<bool> was_interrupted{false};

void on_interrupt(int signal) {
  std::signal(signal, SIG_DFL);
  was_interrupted = true;
  if (inlay::Session* session = session_to_cancel) session->cancel();
}

// The share done of Model::open, from the moment that a person would begin to wonder.
struct Progress {
  const char* path;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  bool visible = takes_escape_codes(stderr), drawn = false;

  static bool update(void* user, float fraction) {
    Progress& self = *static_cast<Progress*>(user);
    const auto elapsed = std::chrono::steady_clock::now() - self.start;
    if (self.visible && elapsed > std::chrono::milliseconds(300)) {
      std::fprintf(stderr, "\rinlay: opening %s %3.0f %%", self.path,
                   static_cast<double>(fraction) * 100);
      self.drawn = true;
    }
    return !was_interrupted;
  }
  ~Progress() {
    if (drawn) std::fputs("\r\033[K", stderr);
  }
};

}  // namespace

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const unsigned char byte = static_cast<unsigned char>(c);
    char escape[8] = {c, '\0'};
    const size_t more = byte >= 0xf0 && byte < 0xf5 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc2 ? 1 : 0;
    size_t follow = 0;  // bytes of the same character, if they are all there
    while (byte < 0xf5 && follow < more && i + follow + 1 < text.size() &&
           (text[i + follow + 1] & 0xc0) == 0x80) {
      ++follow;
    }
    if (c == '"' || c == '\\') {
      std::snprintf(escape, sizeof escape, "\\%c", c);
    } else if (byte < 0x20) {
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(byte));
    } else if (byte >= 0x80 && (more == 0 || follow < more)) {
      std::snprintf(escape, sizeof escape, "\\ufffd");
      follow = 0;
    }
    result += escape;
    result += text.substr(i + 1, follow);
    i += follow;
  }
  return result + "\"";
}

int fail(const inlay::Error& error) {
  if (error.code() == inlay::ErrorCode::cancelled) return kInterrupted;
  std::fprintf(stderr, "inlay: %s\n", error.message());
  return kFailed;
}

inlay::Status read_file(const char* path, std::string* out) {
  const bool standard = std::strcmp(path, "-") == 0;
  if (standard) set_binary(stdin);
  std::FILE* file = standard ? stdin : std::fopen(path, "rb");
  bool ok = file != nullptr;
  out->clear();
  if (ok) {
    char buffer[1 << 16];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) out->append(buffer, n);
    ok = std::ferror(file) == 0;
  }
  const int reason = errno;
  if (file != nullptr && !standard) std::fclose(file);
  if (ok) return {};
  return inlay::Error(inlay::ErrorCode::io, "cannot read ")
         << (standard ? "standard input" : path) << ": " << std::strerror(reason);
}

bool parse_ids(const Command& command, std::vector<inlay::Token>* ids, int* status) {
  const auto& operands = command.operands();
  std::string from_stdin;
  std::vector<std::string_view> words(operands.begin() + 1, operands.end());
  if (words.size() == 1 && words[0] == "-") {
    words.clear();
    if (const inlay::Status read = read_file("-", &from_stdin); !read) {
      *status = fail(read.error());
      return false;
    }
    const std::string_view space = " \t\r\n";
    const std::string_view text = from_stdin;
    for (size_t at = 0; (at = text.find_first_not_of(space, at)) != text.npos;) {
      const size_t end = std::min(text.find_first_of(space, at), text.size());
      words.push_back(text.substr(at, end - at));
      at = end;
    }
  }
  ids->clear();
  for (const std::string_view word : words) {
    uint64_t id = 0;
    if (!parse_number(word, 0, INT32_MAX, &id)) {
      *status =
          command.wrong_use("a token id is a whole number from 0, not '" + std::string(word) + "'");
      return false;
    }
    ids->push_back(static_cast<inlay::Token>(id));
  }
  return true;
}

void add_model_options(Command* command, ModelChoice* choice) {
  command->option(
      "--weights", "MODE", "mapped: as the file has them; packed: faster, for memory (mapped)",
      [choice](const char* mode) {
        const bool packed = std::strcmp(mode, "packed") == 0;
        choice->weights = packed ? inlay::WeightMode::packed : inlay::WeightMode::mapped;
        return packed || std::strcmp(mode, "mapped") == 0 ? std::string()
                                                          : std::string("mapped or packed");
      });
  command->option("--cache", "FILE", "keep packed weights there; auto: in MODEL.packed (nowhere)",
                  [choice](const char* file) {
                    choice->cache = file;
                    return std::string();
                  });
  command->option("--target", "NAME", "SIMD target by Highway's name, e.g. AVX2 (the best)",
                  [choice](const char* name) {
                    std::string names;
                    for (const Target& target : targets()) {
                      if (std::strcmp(target.name, name) == 0) {
                        choice->targets = target.bit;
                        return std::string();
                      }
                      names += (names.empty() ? "" : ", ") + std::string(target.name);
                    }
                    return "one of " + names + " on this machine";
                  });
}

uint32_t default_threads() {
  const unsigned cores = std::thread::hardware_concurrency();
  return std::clamp(cores, 1u, kMaxThreads);
}

void add_threads_option(Command* command, uint32_t* threads) {
  *threads = default_threads();
  command->number("--threads", "N", "threads to compute with", threads, 1, kMaxThreads);
}

inlay::Result<inlay::Model> open_model(const char* path, const ModelChoice& choice) {
  // A parent that had it ignored (nohup, a background job) wants it to stay so.
  if (std::signal(SIGINT, on_interrupt) == SIG_IGN) std::signal(SIGINT, SIG_IGN);
  Progress progress{path};
  inlay::ModelOptions options;
  options.targets = choice.targets;
  options.weights = choice.weights;
  options.threads = choice.threads;
  const std::string cache = choice.cache == "auto" ? path + std::string(".packed") : choice.cache;
  if (!cache.empty()) options.cache = cache.c_str();
  options.host.log.write = [](void*, inlay::LogLevel level, const char* text) {
    if (level == inlay::LogLevel::warning) std::fprintf(stderr, "inlay: %s\n", text);
  };
  options.progress = &Progress::update;
  options.progress_user = &progress;
  return inlay::Model::open(path, options);
}

bool is_terminal(std::FILE* file) {
#ifdef _WIN32
  return _isatty(_fileno(file)) != 0;
#else
  return isatty(fileno(file)) != 0;
#endif
}

bool takes_escape_codes(std::FILE* file) {
  const char* kind = std::getenv("TERM");
  return is_terminal(file) && (kind == nullptr || std::strcmp(kind, "dumb") != 0);
}

void set_binary(std::FILE* file) {
#ifdef _WIN32
  _setmode(_fileno(file), _O_BINARY);
#else
  static_cast<void>(file);
#endif
}

CancelScope::CancelScope(inlay::Session* session) {
  session_to_cancel = session;
  if (was_interrupted) session->cancel();
}

CancelScope::~CancelScope() { session_to_cancel = nullptr; }

bool interrupted() { return was_interrupted; }

void rearm_interrupt() {
  was_interrupted = false;
  if (std::signal(SIGINT, on_interrupt) == SIG_IGN) std::signal(SIGINT, SIG_IGN);
}

int finish_output(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fputs("inlay: cannot write to standard output\n", stderr);
  return status == kDone ? kFailed : status;
}

}  // namespace cli
