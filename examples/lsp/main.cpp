// A language server that completes code with a model: inline completion (ghost text) where the
// editor has it, and plain completion everywhere.
//
//   lsp MODEL [THREADS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <inlay.hpp>
#include <map>

#include "connection.hpp"
#include "text_document.hpp"

namespace {

using Clock = std::chrono::steady_clock;

// Of the protocol and of JSON-RPC.
constexpr int kParseError = -32700, kInvalidRequest = -32600, kMethodNotFound = -32601,
              kInvalidParams = -32602, kNotInitialized = -32002, kRequestCancelled = -32800,
              kContentModified = -32801;
constexpr uint32_t kSliceUs = 2000;  // of work between two looks for messages

class Server {
 public:
  explicit Server(inlay::Completion completion) : completion_(std::move(completion)) {}

  // Serves until the editor says exit or goes away. Returns the exit status.
  int run() {
    while (!exited_) {
      // While there is something to do, it is done in slices; else the next message wakes it.
      std::optional<Json> message = connection_.receive(!busy_);
      if (message) {
        handle(*message);
        continue;
      }
      if (connection_.ended()) return 1;
      work();
    }
    return shut_down_ ? 0 : 1;
  }

 private:
  // A request that waits for the model.
  struct Pending {
    Json id;
    std::string uri;
    bool is_inline = false;
    Clock::time_point deadline;
    // The item that is selected in the editor's list: what is suggested begins with its text, in
    // the place of its range.
    std::string selected;
    Json range;
  };

  void reply(const Json& id, const Json& result) {
    Connection::send({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
  }
  void refuse(const Json& id, int code, const std::string& message) {
    Connection::send(
        {{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", message}}}});
  }

  void handle(const Json& message) {
    if (message.is_discarded()) return refuse(nullptr, kParseError, "expected JSON");
    if (!message.is_object()) return refuse(nullptr, kInvalidRequest, "expected a JSON object");
    const Json id = message.value("id", Json());
    const auto method = message.find("method");
    if (method == message.end() || !method->is_string()) {
      // Answers to requests that were never sent are no concern.
      if (!message.contains("result") && !message.contains("error")) {
        refuse(id, kInvalidRequest, "expected a method");
      }
      return;
    }
    const Json params = message.value("params", Json::object());
    try {
      if (!request(*method, id, params) && !id.is_null()) {
        refuse(id, kMethodNotFound, "no method " + method->get<std::string>());
      }
    } catch (const Json::exception& e) {
      if (!id.is_null()) refuse(id, kInvalidParams, e.what());
    }
  }

  // False if there is no such method.
  bool request(const std::string& method, const Json& id, const Json& params) {
    if (method == "exit") return exited_ = true;
    const bool first = method == "initialize";
    if (shut_down_ || first == initialized_) {
      if (id.is_null()) return true;
      if (shut_down_) return refuse(id, kInvalidRequest, "after shutdown"), true;
      if (first) return refuse(id, kInvalidRequest, "initialized before"), true;
      return refuse(id, kNotInitialized, "expected initialize first"), true;
    }
    if (first) return initialize(id, params), true;
    if (method == "shutdown") {
      shut_down_ = true;
      reply(id, nullptr);
    } else if (method == "textDocument/didOpen") {
      const Json& opened = params.at("textDocument");
      TextDocument& document = documents_[opened.at("uri").get<std::string>()];
      document.encoding = encoding_;
      document.path = relative(path_of_uri(opened.at("uri").get<std::string>()));
      document.text = opened.at("text").get<std::string>();
      document.cursor = 0;
      document.stamp = ++stamp_;
    } else if (method == "textDocument/didChange") {
      change(params);
    } else if (method == "textDocument/didClose") {
      const std::string uri = params.at("textDocument").at("uri");
      const auto closed = documents_.find(uri);
      if (closed != documents_.end()) {
        // What was open is still worth knowing: it stays in the prompt until its room is needed.
        drop_pending(uri);
        documents_.erase(closed);
      }
    } else if (method == "textDocument/inlineCompletion" || method == "textDocument/completion") {
      complete(id, params, method == "textDocument/inlineCompletion");
    } else if (method == "$/cancelRequest") {
      if (pending_ && pending_->id == params.at("id")) {
        refuse(pending_->id, kRequestCancelled, "cancelled");
        pending_.reset();
      }
    } else if (method == "workspace/didChangeConfiguration") {
      deadline_ms_ = params.value("/settings/inlay/deadline_ms"_json_pointer, deadline_ms_);
    } else {
      // Notifications that mean nothing here are to be ignored, requests are not.
      return id.is_null();
    }
    return true;
  }

  void initialize(const Json& id, const Json& params) {
    initialized_ = true;
    const Json options = params.value("initializationOptions", Json());
    if (options.is_object()) deadline_ms_ = options.value("deadline_ms", deadline_ms_);
    // The client's best of those that are known here; UTF-16 is everybody's.
    std::string encoding = "utf-16";
    for (const Json& one :
         params.value("/capabilities/general/positionEncodings"_json_pointer, Json::array())) {
      constexpr std::pair<const char*, PositionEncoding> kKnown[] = {
          {"utf-8", PositionEncoding::utf8},
          {"utf-16", PositionEncoding::utf16},
          {"utf-32", PositionEncoding::utf32}};
      const auto known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                      [&one](const auto& k) { return one == k.first; });
      if (known == std::end(kKnown)) continue;
      encoding = known->first;
      encoding_ = known->second;
      break;
    }
    const Json root = params.value("rootUri", Json());
    if (root.is_string()) root_ = path_of_uri(root.get<std::string>()) + "/";
    const Json sync = {{"openClose", true}, {"change", 2}};  // 2: incremental
    const Json triggers = {".", ">", ":", "(", ",", "=", " ", "\n"};
    reply(id, {{"capabilities",
                {{"positionEncoding", encoding},
                 {"textDocumentSync", sync},
                 {"completionProvider", {{"triggerCharacters", triggers}}},
                 {"inlineCompletionProvider", true}}},
               {"serverInfo", {{"name", "inlay"}, {"version", INLAY_VERSION}}}});
  }

  std::string relative(const std::string& path) const {
    return !root_.empty() && path.compare(0, root_.size(), root_) == 0 ? path.substr(root_.size())
                                                                       : path;
  }

  static Position position_of(const Json& json) {
    Position position;
    position.line = json.at("line").get<size_t>();
    position.character = json.at("character").get<size_t>();
    return position;
  }

  void change(const Json& params) {
    const std::string uri = params.at("textDocument").at("uri");
    const auto found = documents_.find(uri);
    if (found == documents_.end()) return;
    TextDocument& document = found->second;
    for (const Json& one : params.at("contentChanges")) {
      const std::string text = one.at("text");
      if (one.contains("range")) {
        document.change(position_of(one.at("range").at("start")),
                        position_of(one.at("range").at("end")), text);
      } else {
        document.text = text;
        document.cursor = std::min(document.cursor, text.size());
      }
    }
    document.stamp = ++stamp_;
    drop_pending(uri);
    // Most edits leave the cursor behind what they put in: read up to there before being asked.
    update(uri, document, false);
  }

  void drop_pending(const std::string& uri) {
    if (!pending_ || pending_->uri != uri) return;
    refuse(pending_->id, kContentModified, "the document has changed");
    pending_.reset();
  }

  void complete(const Json& id, const Json& params, bool is_inline) {
    const std::string uri = params.at("textDocument").at("uri");
    const auto found = documents_.find(uri);
    if (found == documents_.end()) return refuse(id, kInvalidParams, "no open document " + uri);
    found->second.cursor = found->second.offset(position_of(params.at("position")));
    Pending asked;
    asked.id = id;
    asked.uri = uri;
    asked.is_inline = is_inline;
    asked.deadline = Clock::now() + std::chrono::milliseconds(deadline_ms_);
    TextDocument shown = found->second;
    const Json selected = params.value("/context/selectedCompletionInfo"_json_pointer, Json());
    if (is_inline && selected.is_object()) {
      asked.selected = selected.at("text");
      asked.range = selected.at("range");
      shown.change(position_of(asked.range.at("start")), position_of(asked.range.at("end")),
                   asked.selected);
    }
    if (pending_) refuse(pending_->id, kRequestCancelled, "another request came");
    pending_ = std::move(asked);
    update(uri, shown, true);
    if (completion_.suggestion().complete) answer();
  }

  // Tells the completion where the editor is.
  void update(const std::string& uri, const TextDocument& document, bool wanted) {
    if (uri != active_) {
      // The text around the place where each of the others was changed last; the latest counts
      // most.
      for (const auto& [other_uri, other] : documents_) {
        uint64_t& given = given_[other_uri];
        if (other_uri == uri || given == other.stamp) continue;
        constexpr size_t kAround = 2000;
        size_t begin = other.cursor < kAround ? 0 : other.cursor - kAround;
        begin = begin == 0 ? 0 : other.text.find('\n', begin);
        const std::string_view text =
            std::string_view(other.text).substr(std::min(begin, other.text.size()), 2 * kAround);
        if (completion_.set_file(other.path, text, static_cast<int32_t>(other.stamp))) {
          given = other.stamp;
        }
      }
      active_ = uri;
    }
    inlay::Document now;
    now.path = document.path;
    now.text = document.text;
    now.cursor = document.cursor;
    const inlay::Status status = completion_.update(now, wanted);
    if (!status) std::fprintf(stderr, "lsp: %s\n", status.error().message());
    busy_ = true;
  }

  void work() {
    const inlay::Step step = completion_.step(kSliceUs);
    if (step == inlay::Step::failed) {
      std::fprintf(stderr, "lsp: %s\n", completion_.status().error().message());
    }
    busy_ = step == inlay::Step::more || step == inlay::Step::piece;
    if (pending_ && (!busy_ || completion_.suggestion().complete ||
                     completion_.suggestion().preliminary || Clock::now() > pending_->deadline)) {
      answer();
    }
  }

  // What there is to show is the answer to the request that waits.
  void answer() {
    const TextDocument& document = documents_.at(pending_->uri);
    const std::string text(completion_.suggestion().text);
    const auto json = [&document](size_t offset) -> Json {
      const Position p = document.position(offset);
      return {{"line", p.line}, {"character", p.character}};
    };
    Json items = Json::array();
    if (!text.empty() && pending_->range.is_object()) {
      items.push_back({{"insertText", pending_->selected + text}, {"range", pending_->range}});
    } else if (!text.empty() && pending_->is_inline) {
      const Json at = json(document.cursor);
      items.push_back({{"insertText", text}, {"range", {{"start", at}, {"end", at}}}});
    } else if (!text.empty()) {
      // Editors filter by the word before the cursor: it is a part of the item.
      size_t word = document.cursor;
      const auto is_word = [](char c) { return c == '_' || std::isalnum(static_cast<uint8_t>(c)); };
      while (word > 0 && is_word(document.text[word - 1])) --word;
      const std::string whole = document.text.substr(word, document.cursor - word) + text;
      const std::string line = whole.substr(0, whole.find('\n'));
      items.push_back({{"label", line.empty() ? whole : line},
                       {"kind", 1},  // text
                       {"detail", "inlay"},
                       {"filterText", whole},
                       {"sortText", "0"},
                       {"textEdit",
                        {{"range", {{"start", json(word)}, {"end", json(document.cursor)}}},
                         {"newText", whole}}}});
    }
    if (pending_->is_inline) {
      reply(pending_->id, {{"items", items}});
    } else {
      reply(pending_->id, {{"isIncomplete", true}, {"items", items}});
    }
    pending_.reset();
  }

  Connection connection_;
  inlay::Completion completion_;
  std::map<std::string, TextDocument> documents_;  // by URI
  std::map<std::string, uint64_t> given_;          // stamps that the completion knows
  std::string active_, root_;
  uint64_t stamp_ = 0;
  std::optional<Pending> pending_;
  uint32_t deadline_ms_ = 2000;
  PositionEncoding encoding_ = PositionEncoding::utf16;
  bool initialized_ = false, shut_down_ = false, exited_ = false, busy_ = false;
};

int fail(const char* text) {
  std::fprintf(stderr, "lsp: %s\n", text);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  inlay::request_amx();
  if (argc < 2 || argc > 3) return fail("usage: lsp MODEL [THREADS]");
  auto model = inlay::Model::open(argv[1]);
  if (!model) return fail(model.error().message());
  inlay::CompletionOptions options;
  if (argc > 2) options.session.threads = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
  auto completion = inlay::Completion::create(*model, options);
  if (!completion) return fail(completion.error().message());
  // Not by return: the thread that waits for input ends with the process.
  Server server(std::move(*completion));
  std::_Exit(server.run());
}
