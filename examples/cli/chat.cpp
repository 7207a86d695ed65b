// inlay chat: a conversation in the terminal.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "cli.hpp"
#include "line_editor.hpp"

#ifdef _WIN32
#  define popen _popen
#  define pclose _pclose
#endif

namespace cli {
namespace {

struct Call {
  std::string id, name, arguments;
};
struct Message {
  std::string role, content, reasoning;
  std::vector<Call> calls;
  std::string call_id, name;  // of a tool's answer
};

struct Settings {
  uint32_t n = 0, threads = 1, context = 0;
  SamplingChoice sampling;
  ModelChoice model;
  const char* system = nullptr;
  const char* tools = nullptr;
  const char* tool_command = nullptr;
  const char* name = nullptr;
};

// Prints what the model writes, and keeps it.
struct Answer {
  Message message;
  bool dimmed = false;

  void dim(bool on) {
    if (dimmed == on) return;
    dimmed = on;
    if (takes_escape_codes(stdout)) std::fputs(on ? "\033[2m" : "\033[0m", stdout);
    if (!on) std::fputc('\n', stdout);
  }
  static void take(void* user, const inlay::ChatDelta& delta) {
    Answer& self = *static_cast<Answer*>(user);
    const std::string text(delta.text);
    self.dim(delta.part != inlay::ChatPart::content);
    switch (delta.part) {
      case inlay::ChatPart::content:
        self.message.content += text;
        break;
      case inlay::ChatPart::reasoning:
        self.message.reasoning += text;
        break;
      case inlay::ChatPart::tool_call:
        self.message.calls.push_back({std::string(delta.id), text, ""});
        std::fputc('\n', stdout);
        break;
      case inlay::ChatPart::arguments:
        self.message.calls.back().arguments += text;
        break;
      case inlay::ChatPart::tool_end:
        break;
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
};

class Conversation {
 public:
  // `calls`: keeps calls of the tools well-formed; null if nothing does.
  Conversation(inlay::Session* session, const inlay::Tokenizer& tokenizer,
               const inlay::ChatTemplate& chat, std::string tools, inlay::GrammarMatcher* calls,
               const Settings& settings)
      : session_(*session),
        tokenizer_(tokenizer),
        chat_(chat),
        tools_(std::move(tools)),
        settings_(settings) {
    if (calls != nullptr) {
      const inlay::Constraint constraint = inlay::constraint(*calls);
      session_.constrain(&constraint);  // each prompt takes it back to its beginning
    }
    clear();
  }

  int run() {
    if (is_terminal(stdin)) {
      std::fputs("/help lists commands; Ctrl-C ends an answer, Ctrl-D the program\n", stderr);
    }
    LineEditor editor;
    std::string line;
    for (;;) {
      const LineEditor::Result result = editor.read("> ", &line);
      if (result == LineEditor::Result::end) return kDone;
      if (result == LineEditor::Result::interrupted || line.empty()) continue;
      if (line[0] == '/') {
        if (!command(line)) return kDone;
        continue;
      }
      messages_.push_back({"user", line, {}, {}, {}, {}});
      if (!answer_with_tools()) return kFailed;
    }
  }

 private:
  void clear() {
    messages_.clear();
    if (settings_.system != nullptr)
      messages_.push_back({"system", settings_.system, {}, {}, {}, {}});
  }

  // Calls `use` with the conversation as a request.
  template <class Use>
  auto with_request(Use&& use) const {
    std::vector<std::vector<inlay::ToolCall>> calls(messages_.size());
    std::vector<inlay::ChatMessage> messages;
    for (size_t i = 0; i < messages_.size(); ++i) {
      const Message& m = messages_[i];
      for (const Call& call : m.calls) calls[i].push_back({call.id, call.name, call.arguments});
      inlay::ChatMessage message;
      message.role = m.role;
      message.content = m.content;
      message.reasoning = m.reasoning;
      message.tool_calls = calls[i];
      message.tool_call_id = m.call_id;
      message.name = m.name;
      messages.push_back(message);
    }
    inlay::ChatRequest request;
    request.messages = messages;
    request.tools = tools_;
    request.now = local_now();
    return use(static_cast<const inlay::ChatRequest&>(request));
  }

  // False: the conversation ends.
  bool command(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string verb = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (verb == "/exit" || verb == "/quit") return false;
    if (verb == "/clear") {
      clear();
    } else if (verb == "/system") {
      system_ = rest;
      settings_.system = rest.empty() ? nullptr : system_.c_str();
      clear();
    } else if (verb == "/undo") {
      while (!messages_.empty() && messages_.back().role != "user" &&
             messages_.back().role != "system") {
        messages_.pop_back();
      }
      if (!messages_.empty() && messages_.back().role == "user") messages_.pop_back();
    } else if (verb == "/again") {
      while (!messages_.empty() && messages_.back().role != "user" &&
             messages_.back().role != "system") {
        messages_.pop_back();
      }
      return messages_.empty() || messages_.back().role != "user" || answer_with_tools();
    } else if (verb == "/stats") {
      print_statistics();
    } else if (verb == "/prompt") {
      const auto text =
          with_request([this](const inlay::ChatRequest& request) { return chat_.render(request); });
      if (text) std::printf("%.*s\n", static_cast<int>(text->size()), text->view().data());
      if (!text) fail(text.error());
    } else {
      if (verb != "/help") std::printf("there is no command %s\n", verb.c_str());
      std::puts(
          "/again   another answer to the last message\n"
          "/undo    forget the last message and its answer\n"
          "/clear   begin again\n"
          "/system TEXT   begin again with this system message\n"
          "/prompt  the conversation as the model reads it\n"
          "/stats   tokens and times of the last answer\n"
          "/exit    or Ctrl-D");
    }
    return true;
  }

  void print_statistics() const {
    std::printf("prompt: %zu tokens, %u of them kept, %.0f ms\nanswer: %zu tokens, %.1f a second\n",
                prompt_tokens_, reused_, prompt_seconds_ * 1000, answer_tokens_,
                answer_seconds_ > 0 ? static_cast<double>(answer_tokens_) / answer_seconds_ : 0.0);
  }

  // An answer; if it calls tools and there is a command to run, what that prints is the tools'
  // answer, and the model goes on. False: the program must end.
  bool answer_with_tools() {
    constexpr int kMostRounds = 8;
    rearm_interrupt();
    for (int round = 0; round < kMostRounds; ++round) {
      const size_t before = messages_.size();
      if (const inlay::Status done = answer(); !done) {
        fail(done.error());
        return done.error().code() == inlay::ErrorCode::context_full ||
               done.error().code() == inlay::ErrorCode::bad_argument;
      }
      if (settings_.tool_command == nullptr || messages_.size() == before ||
          messages_.back().calls.empty() || stopped_) {
        return true;
      }
      const std::vector<Call> calls = messages_.back().calls;
      for (const Call& call : calls) {
        const std::string output = run_tool(call);
        std::printf("%s\n", output.c_str());
        messages_.push_back({"tool", output, {}, {}, call.id, call.name});
      }
    }
    return true;
  }

  // The command gets the tool's name in INLAY_TOOL and the arguments in INLAY_ARGUMENTS.
  std::string run_tool(const Call& call) const {
#ifdef _WIN32
    _putenv_s("INLAY_TOOL", call.name.c_str());
    _putenv_s("INLAY_ARGUMENTS", call.arguments.c_str());
#else
    setenv("INLAY_TOOL", call.name.c_str(), 1);
    setenv("INLAY_ARGUMENTS", call.arguments.c_str(), 1);
#endif
    std::string output;
    std::FILE* pipe = popen(settings_.tool_command, "r");
    if (pipe == nullptr) return "the tool could not be run";
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
    const int status = pclose(pipe);
    if (status != 0) output += "\n(the tool failed)";
    return output;
  }

  inlay::Status answer() {
    using Clock = std::chrono::steady_clock;
    const auto seconds = [](Clock::time_point from, Clock::time_point to) {
      return std::chrono::duration<double>(to - from).count();
    };
    const auto prompt =
        with_request([this](const inlay::ChatRequest& request) { return chat_.render(request); });
    if (!prompt) return prompt.error();
    std::vector<inlay::Token> tokens(inlay::Tokenizer::max_tokens(2 * prompt->size()) + 64);
    const auto count = with_request([&](const inlay::ChatRequest& request) {
      return chat_.encode(request, tokenizer_, tokens);
    });
    if (!count) return count.error();
    tokens.resize(*count);
    const inlay::Status set = session_.prompt(inlay::Span<const inlay::Token>(tokens));
    if (!set) return set.error();
    prompt_tokens_ = tokens.size();
    reused_ = session_.reused();

    inlay::ChatParserOptions options;
    options.format = inlay::ChatFormat::of(chat_.source());
    options.prompt = prompt->view();
    options.tools = tools_;
    inlay::ChatParser parser(options);
    Answer answer;
    answer.message.role = "assistant";
    const inlay::ChatSink sink = {&Answer::take, &answer};
    std::string piece(tokenizer_.max_piece_bytes(), '\0');
    size_t seen = tokens.size();
    const Clock::time_point start = Clock::now();
    Clock::time_point first = start;
    const CancelScope scope(&session_);
    for (bool more = true; more;) {
      more = session_.next() != nullptr;
      if (first == start) first = Clock::now();
      // By their names, special ones too: they are what the answer is taken apart by.
      for (; seen < session_.tokens().size(); ++seen) {
        const size_t size =
            tokenizer_.piece(session_.tokens()[seen], {piece.data(), piece.size()}, true);
        const inlay::Status pushed = parser.push({piece.data(), size}, sink);
        if (!pushed) return pushed.error();
      }
    }
    const inlay::Status finished = parser.finish(sink);
    if (answer.dimmed) answer.dim(false);
    stopped_ = interrupted();
    std::puts(stopped_ ? " (stopped)" : "");
    prompt_seconds_ = seconds(start, first);
    answer_seconds_ = seconds(first, Clock::now());
    answer_tokens_ = seen - prompt_tokens_;
    messages_.push_back(answer.message);
    if (session_.stop_reason() == inlay::StopReason::context_full)
      std::fputs("inlay: the context is full (--ctx); /clear begins again\n", stderr);
    if (!session_.status()) return session_.status().error();
    return finished;
  }

  inlay::Session& session_;
  const inlay::Tokenizer& tokenizer_;
  const inlay::ChatTemplate& chat_;
  const std::string tools_;
  Settings settings_;
  std::string system_;
  std::vector<Message> messages_;
  size_t prompt_tokens_ = 0, answer_tokens_ = 0;
  uint32_t reused_ = 0;
  double prompt_seconds_ = 0, answer_seconds_ = 0;
  bool stopped_ = false;
};

// What keeps calls of the tools well-formed.
inlay::Result<inlay::GrammarMatcher> create_calls(const inlay::ChatFormat& format,
                                                  const std::string& tools,
                                                  const inlay::Tokenizer& tokenizer) {
  const auto calls = inlay::ToolGrammar::create(format, tools, &tokenizer);
  if (!calls) return calls.error();
  inlay::GrammarOptions options;
  options.tokenizer = &tokenizer;
  calls->set(&options);
  const auto grammar = inlay::Grammar::from_gbnf(calls->gbnf(), options);
  if (!grammar) return grammar.error();
  const auto vocabulary = inlay::GrammarVocabulary::create(tokenizer);
  if (!vocabulary) return vocabulary.error();
  return inlay::GrammarMatcher::create(*grammar, *vocabulary);
}

}  // namespace

int chat(int argc, char** argv) {
  Settings s;
  Command command("chat", "MODEL [options]", "Talk with a model, by its chat template.");
  command.text("--system", "TEXT", "the system message", &s.system);
  command.text("--tools", "FILE",
               "tools that the model may call, as for servers; calls keep to their schemas",
               &s.tools);
  command.text("--tool-command", "COMMAND",
               "answers calls: sees INLAY_TOOL and INLAY_ARGUMENTS, prints the result",
               &s.tool_command);
  command.text("--template", "NAME", "the model's template tokenizer.chat_template.NAME", &s.name);
  command.number("-n", "N", "most tokens of an answer; 0: until it ends", &s.n, 0, UINT32_MAX);
  add_sampling_options(&command, &s.sampling);
  add_threads_option(&command, &s.threads);
  command.number("--ctx", "N", "context in tokens; 0: what the model knows, at most 4096",
                 &s.context, 0, kMaxContext);
  add_model_options(&command, &s.model);
  command.note(
      "Lines are edited with the usual keys. /help lists what else can be done. Reasoning and tool "
      "calls\nare dimmed. Without a terminal each line of standard input is a message.");
  if (!command.parse(argc, argv)) return command.status();
  std::string tools;
  if (s.tools != nullptr) {
    if (const inlay::Status read = read_file(s.tools, &tools); !read) return fail(read.error());
    const auto document = inlay::JsonDocument::parse(tools);
    if (!document) {
      return fail(inlay::Error(document.error().code(), s.tools)
                  << ": " << document.error().message());
    }
  }
  s.model.threads = s.threads;
  const auto model = open_model(command.operands()[0], s.model);
  if (!model) return fail(model.error());
  inlay::ChatTemplateOptions template_options;
  if (s.name != nullptr) template_options.name = s.name;
  const auto made =
      inlay::ChatTemplate::create(model->file(), model->tokenizer(), template_options);
  if (!made) return fail(made.error());
  if (made->is_fallback())
    std::fputs("inlay: the file has no chat template; ChatML is used\n", stderr);
  inlay::SessionOptions options;
  options.context = s.context;
  options.threads = s.threads;
  options.max_tokens = s.n;
  options.sampling = s.sampling.use();
  auto session = inlay::Session::create(*model, options);
  if (!session) return fail(session.error());
  std::optional<inlay::GrammarMatcher> calls;
  const inlay::ChatFormat format = inlay::ChatFormat::of(made->source());
  if (!tools.empty() && format.tools == inlay::ToolSyntax::none) {
    std::fputs("inlay: the chat template has no form of tool calls that is known\n", stderr);
  } else if (!tools.empty()) {
    auto created = create_calls(format, tools, model->tokenizer());
    if (!created)
      return fail(inlay::Error(created.error().code(), s.tools)
                  << ": " << created.error().message());
    calls.emplace(std::move(*created));
  }
  return Conversation(&*session, model->tokenizer(), *made, tools, calls ? &*calls : nullptr, s)
      .run();
}

}  // namespace cli
