// A server with llama-server's /infill: llama.vim and llama.vscode work with it unchanged.
//
//   infill_server -m MODEL [--host 127.0.0.1] [--port 8012] [-c CONTEXT] [-b BATCH] [-t THREADS]
//                 [--cache-reuse N]
#include <arpa/inet.h>
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>
#include <memory>

#include "generator.hpp"
#include "open_ai.hpp"
#include "request.hpp"

namespace {

struct Settings {
  std::string model, host = "127.0.0.1";
  uint32_t port = 8012, context = 4096, batch = 1024, threads = 1, reuse = 0;
};

Json error_json(const Refused& e) {
  return {{"error", {{"code", e.status}, {"message", e.message}, {"type", e.type}}}};
}

// Whether the client has closed the connection that a request came by. httplib does not say, so
// the socket is looked up by the client's address.
class Connection {
 public:
  explicit Connection(const httplib::Request& request) {
    for (int fd = 3; fd < 1024 && socket_ < 0; ++fd) {
      sockaddr_storage peer = {};
      socklen_t size = sizeof peer;
      if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
      const in_port_t port = peer.ss_family == AF_INET6
                                 ? reinterpret_cast<sockaddr_in6*>(&peer)->sin6_port
                                 : reinterpret_cast<sockaddr_in*>(&peer)->sin_port;
      if (ntohs(port) == request.remote_port) socket_ = fd;
    }
  }
  bool closed() const {
    char byte;
    const ssize_t n = socket_ < 0 ? 1 : recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }

 private:
  int socket_ = -1;
};

// ---- what answers are made of ------------------------------------------------------------------

double per(double a, double b) { return b > 0 ? a / b : 0.0; }

Json timings(size_t n_prompt, const Outcome& o) {
  const auto read = static_cast<uint32_t>(n_prompt - o.cached);
  return {{"cache_n", o.cached},
          {"prompt_n", read},
          {"prompt_ms", o.prompt_ms},
          {"prompt_per_token_ms", per(o.prompt_ms, read)},
          {"prompt_per_second", per(1000.0 * read, o.prompt_ms)},
          {"predicted_n", o.predicted},
          {"predicted_ms", o.predicted_ms},
          {"predicted_per_token_ms", per(o.predicted_ms, o.predicted)},
          {"predicted_per_second", per(1000.0 * o.predicted, o.predicted_ms)}};
}

// The fields that were asked for, by paths such as "timings/prompt_n", or all.
Json select(const Json& all, const Json& fields) {
  if (fields.empty()) return all;
  Json out = Json::object();
  for (const Json& path : fields) {
    if (!path.is_string()) continue;
    const std::string field = path;
    const Json* at = &all;
    for (size_t begin = 0; at != nullptr && begin <= field.size();) {
      const size_t end = std::min(field.find('/', begin), field.size());
      const auto found = at->find(field.substr(begin, end - begin));
      at = at->is_object() && found != at->end() ? &*found : nullptr;
      begin = end + 1;
    }
    if (at != nullptr) out[field] = *at;
  }
  return out;
}

bool is_utf8(const std::string& text) {
  try {
    return !Json(text).dump().empty();
  } catch (const Json::exception&) {
    return false;
  }
}

// general.file_type's names, as llama.cpp prints them.
const char* file_type_name(const inlay::Gguf& file) {
  constexpr std::pair<uint64_t, const char*> kNames[] = {{0, "all F32"},
                                                         {1, "F16"},
                                                         {2, "Q4_0"},
                                                         {3, "Q4_1"},
                                                         {7, "Q8_0"},
                                                         {8, "Q5_0"},
                                                         {9, "Q5_1"},
                                                         {10, "Q2_K - Medium"},
                                                         {11, "Q3_K - Small"},
                                                         {12, "Q3_K - Medium"},
                                                         {13, "Q3_K - Large"},
                                                         {14, "Q4_K - Small"},
                                                         {15, "Q4_K - Medium"},
                                                         {16, "Q5_K - Small"},
                                                         {17, "Q5_K - Medium"},
                                                         {18, "Q6_K"},
                                                         {25, "IQ4_NL - 4.5 bpw"},
                                                         {30, "IQ4_XS - 4.25 bpw"},
                                                         {32, "BF16"},
                                                         {38, "MXFP4 MoE"}};
  uint64_t type = 0;
  const inlay::MetadataValue* const found = file.find("general.file_type");
  if (found == nullptr || !found->as_u64(&type)) return "";
  for (const auto& [number, name] : kNames) {
    if (number == type) return name;
  }
  return "";
}

// llama.cpp's number of the kind of vocabulary.
int vocabulary_type(const inlay::Gguf& file) {
  constexpr std::pair<std::string_view, int> kTypes[] = {{"llama", 1}, {"gpt2", 2}, {"bert", 3},
                                                         {"t5", 4},    {"rwkv", 5}, {"plamo2", 6}};
  std::string_view name;
  const inlay::MetadataValue* const found = file.find("tokenizer.ggml.model");
  if (found == nullptr || !found->as_string(&name)) return 0;
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  return 0;
}

// ---- the server --------------------------------------------------------------------------------

class Server {
 public:
  Server(const Settings& settings, Generator* generator)
      : settings_(settings),
        generator_(*generator),
        layout_(inlay::fim_layout(generator->model())) {
    using httplib::Request;
    using httplib::Response;
    const auto post = [this](const char* path,
                             void (Server::*handle)(const Request&, Response&, const Json&)) {
      http_.Post(path, [this, handle](const Request& request, Response& response) {
        try {
          (this->*handle)(request, response, Json::parse(request.body));
        } catch (const Refused& refused) {
          send(response, error_json(refused), refused.status);
        } catch (const Json::exception& e) {
          send(response, error_json({400, "invalid_request_error", e.what()}), 400);
        }
      });
    };
    // What llama-server does only if it was started so, and this one never does.
    const auto refusal = [](const char* what) {
      const Json error = error_json(
          {501, "not_supported_error", std::string("This server does not support ") + what});
      return [error](const Request&, Response& response) { send(response, error, 501); };
    };
    const auto refuse = [this, refusal](const char* path, const char* what) {
      http_.Post(path, refusal(what));
    };
    post("/infill", &Server::infill);
    post("/completion", &Server::completion);
    post("/completions", &Server::completion);
    post("/v1/completions", &Server::open_ai_completion);
    post("/v1/chat/completions", &Server::chat_completion);
    post("/chat/completions", &Server::chat_completion);
    post("/tokenize", &Server::tokenize);
    post("/detokenize", &Server::detokenize);
    post("/apply-template", &Server::apply_template);
    http_.Get("/metrics", refusal("metrics endpoint"));
    refuse("/props", "changing global properties");
    refuse(R"(/slots/\d+)", "slots action");
    refuse("/lora-adapters", "adapters");
    for (const char* path : {"/embedding", "/embeddings", "/v1/embeddings"}) {
      refuse(path, "embeddings");
    }
    for (const char* path : {"/rerank", "/reranking", "/v1/rerank", "/v1/reranking"}) {
      refuse(path, "reranking");
    }
    const auto get = [this](const char* path, Json (Server::*make)() const) {
      http_.Get(path, [this, make](const Request&, Response& response) {
        send(response, (this->*make)());
      });
    };
    get("/health", &Server::health);
    get("/v1/health", &Server::health);
    get("/props", &Server::props);
    get("/slots", &Server::slots);
    get("/lora-adapters", &Server::adapters);
    get("/models", &Server::models);
    get("/v1/models", &Server::models);
    // What a page in a browser asks before it posts.
    http_.Options(".*", [](const Request&, Response& response) {
      response.set_header("Access-Control-Allow-Methods", "GET, POST");
      response.set_header("Access-Control-Allow-Headers", "*");
      response.set_content("", "text/html");
    });
    http_.set_post_routing_handler([](const Request& request, Response& response) {
      response.set_header("Access-Control-Allow-Origin", request.get_header_value("Origin"));
    });
    http_.set_error_handler([](const Request&, Response& response) {
      if (!response.body.empty()) return;
      send(response,
           {{"error",
             {{"message", "File Not Found"},
              {"type", "not_found_error"},
              {"code", response.status}}}},
           response.status);
    });
  }

  // Serves until the process ends. False if the port cannot be had.
  bool listen() {
    int port = static_cast<int>(settings_.port);
    if (port == 0) port = http_.bind_to_any_port(settings_.host.c_str());
    if (settings_.port != 0 && !http_.bind_to_port(settings_.host.c_str(), port)) return false;
    std::fprintf(stderr, "infill_server: %s (%s) at http://%s:%d\n", settings_.model.c_str(),
                 std::string(layout_.family).c_str(), settings_.host.c_str(), port);
    return port > 0 && http_.listen_after_bind();
  }

 private:
  static void send(httplib::Response& response, const Json& json, int status = 200) {
    response.status = status;
    response.set_content(dump(json), "application/json; charset=utf-8");
  }
  // Text that is no UTF-8 must not make an answer fail.
  static std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  std::string decode(const std::vector<inlay::Token>& tokens) const {
    const inlay::Tokenizer& tokenizer = generator_.model().tokenizer();
    std::string text;
    std::vector<char> piece(tokenizer.max_piece_bytes());
    for (const inlay::Token token : tokens) {
      text.append(piece.data(), tokenizer.piece(token, piece, true));
    }
    return text;
  }

  const inlay::Tokenizer& tokenizer() const { return generator_.model().tokenizer(); }

  // A text, or tokens and texts mixed, as tokens.
  std::vector<inlay::Token> tokens_of(const Json& prompt, bool special, bool parse) const {
    if (!prompt.is_array()) return encode(tokenizer(), prompt, special, parse);
    std::vector<inlay::Token> tokens;
    for (const Json& part : prompt) {
      const bool first = tokens.empty();
      const auto more = part.is_string() ? encode(tokenizer(), part, special && first, parse)
                                         : std::vector{part.get<inlay::Token>()};
      tokens.insert(tokens.end(), more.begin(), more.end());
    }
    return tokens;
  }

  void infill(const httplib::Request& request, httplib::Response& response, const Json& body) {
    // What llama.vim calls the prompt is the cursor's line up to the cursor.
    const std::string suffix = body.at("input_suffix");
    std::string prefix = body.at("input_prefix");
    if (body.contains("prompt") && body["prompt"].is_string()) prefix += body["prompt"];
    inlay::FimText text;
    text.path = "filename";
    text.repository = "myproject";
    text.prefix = prefix;
    text.suffix = suffix;
    text.header = !layout_.emulated;
    const inlay::FimBudget budget =
        inlay::FimBudget::of_batch(generator_.context(), settings_.batch, 0);
    // Clients add to the end of their list: what has no room is dropped from its front.
    std::vector<std::pair<std::string, std::string>> chunks;
    const auto refused = [](const char* why) { return Refused{400, "invalid_request_error", why}; };
    const Json extra = value(body, "input_extra", Json::array());
    if (!extra.is_array()) {
      throw refused("\"input_extra\" must be an array of {\"filename\": string, \"text\": string}");
    }
    for (const Json& chunk : extra) {
      if (!chunk.contains("text") || !chunk["text"].is_string()) {
        throw refused("extra_context chunk must contain a \"text\" field with a string value");
      }
      const Json name = value<Json>(chunk, "filename", "tmp");
      if (!name.is_string()) {
        throw refused("extra_context chunk's \"filename\" field must be a string");
      }
      chunks.emplace_back(name, chunk["text"]);
    }
    size_t first = chunks.size();
    for (size_t used = 0; first > 0; --first) {
      const auto& chunk = chunks[first - 1];
      used += encode(tokenizer(), chunk.second, false, false).size() + 16 + chunk.first.size() / 2;
      if (used > budget.files) break;
    }
    std::vector<inlay::FimFile> files;
    for (size_t i = first; i < chunks.size(); ++i) {
      files.push_back({chunks[i].first, chunks[i].second});
    }
    text.files = files;
    std::vector<inlay::Token> tokens(size_t{budget.prefix} + budget.suffix + budget.files +
                                     inlay::kFimMarkTokens);
    const auto prompt = inlay::fim_prompt(generator_.model(), layout_, text, budget, tokens);
    if (!prompt) throw Refused{500, "server_error", prompt.error().message()};
    tokens.resize(prompt->tokens);
    generate(request, response, body, {tokens}, layout_.chat ? &text : nullptr);
  }

  // Keeps what a model that was told to fill in writes to that, unless the client gave a form.
  void limit(const inlay::FimText& text, Job* job) const {
    job->stop.emplace_back(layout_.stop);
    const inlay::FimEnd end(text.suffix);
    if (!end.text().empty()) job->stop.emplace_back(end.text());
    if (job->matcher != nullptr) return;
    const auto grammar = inlay::fim_grammar(text, 0);
    if (!grammar) throw Refused{500, "server_error", grammar.error().message()};
    auto matcher = inlay::GrammarMatcher::create(*grammar, generator_.vocabulary());
    if (!matcher) throw Refused{500, "server_error", matcher.error().message()};
    job->matcher = std::make_shared<inlay::GrammarMatcher>(std::move(*matcher));
  }

  void completion(const httplib::Request& request, httplib::Response& response, const Json& body) {
    generate(request, response, body, prompts_of(body));
  }
  void open_ai_completion(const httplib::Request& request, httplib::Response& response,
                          const Json& body) {
    const auto kind = std::make_shared<OpenAi>(body, settings_.model);
    generate(request, response, kind->settings(), prompts_of(body), nullptr, kind);
  }
  void chat_completion(const httplib::Request& request, httplib::Response& response,
                       const Json& body) {
    std::vector<inlay::Token> prompt;
    const auto kind = std::make_shared<OpenAi>(body, settings_.model, generator_.model(), &prompt);
    generate(request, response, kind->settings(), {prompt}, nullptr, kind);
  }

  // One prompt: a text, an array of tokens, or of tokens and texts; or an array of prompts.
  std::vector<std::vector<inlay::Token>> prompts_of(const Json& body) const {
    const Json& prompt = body.at("prompt");
    const auto one = [this](const Json& given) {
      const bool object = given.is_object() && given.contains("prompt_string");
      if (!given.is_string() && !given.is_array() && !object) {
        throw Refused{400, "invalid_request_error",
                      "\"prompt\" elements must be a string, a list of tokens, a JSON object "
                      "containing a prompt string, or a list of mixed strings & tokens."};
      }
      std::vector<inlay::Token> tokens =
          tokens_of(object ? given["prompt_string"] : given, true, true);
      for (const inlay::Token token : tokens) {
        if (token < 0 || static_cast<uint32_t>(token) >= tokenizer().size()) {
          throw Refused{400, "invalid_request_error", "Prompt contains invalid tokens"};
        }
      }
      return tokens;
    };
    std::vector<std::vector<inlay::Token>> prompts;
    const bool single =
        !prompt.is_array() ||
        std::any_of(prompt.begin(), prompt.end(), [](auto& p) { return p.is_number_integer(); });
    if (single) {
      prompts.push_back(one(prompt));
    } else {
      for (const Json& element : prompt) prompts.push_back(one(element));
    }
    if (prompts.empty()) {
      throw Refused{400, "invalid_request_error", "\"prompt\" must not be empty"};
    }
    return prompts;
  }

  Json token_json(const inlay::TokenLogprob& one, bool post) const {
    const std::string bytes = tokenizer().is_end(one.token) ? "" : decode({one.token});
    Json list = Json::array();
    for (const char c : bytes) list.push_back(static_cast<uint8_t>(c));
    // Of a character that it cuts, the text has nothing.
    std::string text = bytes;
    while (!is_utf8(text)) text.pop_back();
    Json out = {{"id", one.token}, {"token", text}, {"bytes", list}};
    if (post) {
      out["prob"] = std::exp(one.logprob);
    } else {
      out["logprob"] = std::max(one.logprob, std::numeric_limits<float>::lowest());
    }
    return out;
  }
  Json probs_json(const TokenProbs& probs, bool post) const {
    Json out = token_json(probs.token, post);
    Json& top = out[post ? "top_probs" : "top_logprobs"] = Json::array();
    for (const inlay::TokenLogprob& one : probs.top) top.push_back(token_json(one, post));
    return out;
  }
  // Without those of a stop text.
  Json all_probs(const ::Request& asked, const Outcome& o) const {
    size_t n = o.probs.size();
    if (!o.stopping_word.empty()) {
      n -= std::min(n, encode(tokenizer(), o.stopping_word, false, false).size());
    }
    Json out = Json::array();
    for (size_t i = 0; i < n; ++i) {
      out.push_back(probs_json(o.probs[i], asked.job.post_sampling_probs));
    }
    return out;
  }

  // `index`: of several answers, which one.
  Json answer(const ::Request& asked, size_t index, const std::vector<inlay::Token>& prompt,
              const Outcome& o) const {
    Json tokens = Json::array();
    if (asked.return_tokens && !asked.stream) tokens = o.tokens;
    Json out = {{"index", index},
                {"content", asked.stream ? "" : o.text},
                {"tokens", tokens},
                {"id_slot", 0},
                {"stop", true},
                {"model", settings_.model},
                {"tokens_predicted", o.predicted},
                {"tokens_evaluated", prompt.size()},
                {"generation_settings", asked.settings},
                {"prompt", decode(prompt)},
                {"has_new_line", o.has_new_line},
                {"truncated", o.truncated},
                {"stop_type", o.stop_type},
                {"stopping_word", o.stopping_word},
                {"tokens_cached", o.in_cache},
                {"timings", timings(prompt.size(), o)}};
    if (asked.job.n_probs > 0 && !asked.stream)
      out["completion_probabilities"] = all_probs(asked, o);
    return select(out, asked.response_fields);
  }
  // Of a stream: text that was just written.
  Json part(const ::Request& asked, size_t index, size_t n_prompt, std::string_view text,
            inlay::Token token, const Outcome& o) const {
    Json tokens = Json::array();
    if (token != inlay::kNoToken) tokens.push_back(token);
    Json out = {{"index", index},
                {"content", std::string(text)},
                {"tokens", tokens},
                {"stop", false},
                {"id_slot", -1},
                {"tokens_predicted", o.predicted},
                {"tokens_evaluated", n_prompt}};
    if (asked.timings_per_token || !o.stopping_word.empty()) out["timings"] = timings(n_prompt, o);
    if (!o.probs.empty() && token != inlay::kNoToken) {
      out["completion_probabilities"] =
          Json::array({probs_json(o.probs.back(), asked.job.post_sampling_probs)});
    }
    return out;
  }
  Json progress_part(size_t index, size_t n_prompt, uint32_t processed, double ms,
                     const Outcome& o) const {
    return {{"index", index},
            {"content", ""},
            {"tokens", Json::array({0})},
            {"stop", false},
            {"id_slot", -1},
            {"tokens_predicted", 0},
            {"tokens_evaluated", n_prompt},
            {"prompt_progress",
             {{"total", n_prompt},
              {"cache", o.cached},
              {"processed", processed},
              {"time_ms", static_cast<int64_t>(ms)}}}};
  }

  // `told`: what the model was told to fill in, or null. `open_ai`: whose form the answer has, or
  // null for llama-server's own.
  void generate(const httplib::Request& request, httplib::Response& response, const Json& body,
                std::vector<std::vector<inlay::Token>> prompts,
                const inlay::FimText* told = nullptr,
                const std::shared_ptr<OpenAi>& open_ai = nullptr) {
    // Shared with the function that writes a stream's events as they come.
    const auto asked = std::make_shared<::Request>(parse_request(body, generator_));
    if (told != nullptr) limit(*told, &asked->job);
    std::vector<std::vector<inlay::Token>> all;
    for (const std::vector<inlay::Token>& prompt : prompts) {
      if (prompt.size() >= generator_.context()) {
        Json error =
            error_json({400, "exceed_context_size_error",
                        "request (" + std::to_string(prompt.size()) +
                            " tokens) exceeds the available context size (" +
                            std::to_string(generator_.context()) + " tokens), try increasing it"});
        error["error"]["n_prompt_tokens"] = prompt.size();
        error["error"]["n_ctx"] = generator_.context();
        return send(response, error, 400);
      }
      all.insert(all.end(), asked->n_completions, prompt);
    }
    const Connection connection(request);
    Listener listener;
    listener.gone = [connection] { return connection.closed(); };
    if (!asked->stream) {
      Json answers = Json::array();
      for (const std::vector<inlay::Token>& prompt : all) {
        Outcome outcome;
        if (const auto done = work_on(*asked, prompt, answers.size(), listener, &outcome); !done) {
          throw Refused{500, "server_error", done.error().message()};
        }
        if (open_ai == nullptr) {
          answers.push_back(answer(*asked, answers.size(), prompt, outcome));
          continue;
        }
        const Json probs = asked->job.n_probs > 0 ? all_probs(*asked, outcome) : Json();
        answers.push_back(open_ai->choice(answers.size(), outcome, probs));
        if (answers.size() < all.size()) continue;
        const size_t n_prompt = prompt.size();
        return send(response,
                    open_ai->answer(answers, n_prompt, outcome, timings(n_prompt, outcome)));
      }
      return send(response, answers.size() == 1 ? answers[0] : answers);
    }
    response.set_chunked_content_provider("text/event-stream", [this, asked, all, listener,
                                                                open_ai](size_t,
                                                                         httplib::DataSink& sink) {
      const auto write = [&sink](const std::string& text) { sink.write(text.data(), text.size()); };
      const auto event = [&write](const char* kind, const Json& json) {
        write(kind + (": " + dump(json)) + "\n\n");
      };
      const auto events = [&event](const std::vector<Json>& list) {
        for (const Json& one : list) event("data", one);
      };
      bool failed = false;
      for (size_t index = 0; index < all.size() && !failed; ++index) {
        const size_t n_prompt = all[index].size();
        Listener own = listener;
        bool begun = false;
        own.on_piece = [&](std::string_view text, inlay::Token token, const Outcome& o) {
          if (open_ai == nullptr) {
            return event("data", part(*asked, index, n_prompt, text, token, o));
          }
          if (!begun) events(open_ai->begin(index));
          begun = true;
          const bool has_probs = !o.probs.empty() && token != inlay::kNoToken;
          events(open_ai->piece(
              index, text, has_probs ? Json::array({probs_json(o.probs.back(), false)}) : Json()));
        };
        if (asked->return_progress && open_ai == nullptr) {
          own.on_progress = [&](uint32_t processed, double ms, const Outcome& o) {
            event("data", progress_part(index, n_prompt, processed, ms, o));
          };
        }
        Outcome outcome;
        const auto done = work_on(*asked, all[index], index, own, &outcome);
        if (!done) {
          event("error", error_json({500, "server_error", done.error().message()})["error"]);
          failed = true;
        } else if (open_ai == nullptr) {
          event("data", answer(*asked, index, all[index], outcome));
        } else {
          if (!begun) events(open_ai->begin(index));
          events(open_ai->end(index, n_prompt, outcome, timings(n_prompt, outcome)));
        }
      }
      if (open_ai != nullptr && !failed) write("data: [DONE]\n\n");
      sink.done();
      return true;
    });
  }
  inlay::Status work_on(const ::Request& asked, const std::vector<inlay::Token>& prompt,
                        size_t index, const Listener& listener, Outcome* outcome) {
    Job job = asked.job;
    job.tokens = prompt;
    job.sampling.seed += index;  // or all would be the same
    const inlay::Status done = generator_.run(job, listener, outcome);
    const std::lock_guard<std::mutex> lock(mutex_);
    last_settings_ = asked.settings;
    return done;
  }

  void tokenize(const httplib::Request&, httplib::Response& response, const Json& body) {
    const auto tokens =
        tokens_of(value<Json>(body, "content", ""), value(body, "add_special", false),
                  value(body, "parse_special", true));
    if (!value(body, "with_pieces", false)) return send(response, {{"tokens", tokens}});
    Json out = Json::array();
    for (const inlay::Token token : tokens) {
      const std::string bytes = decode({token});
      Json piece = bytes;
      if (!is_utf8(bytes)) {
        piece = Json::array();
        for (const char c : bytes) piece.push_back(static_cast<uint8_t>(c));
      }
      out.push_back({{"id", token}, {"piece", piece}});
    }
    send(response, {{"tokens", out}});
  }
  void detokenize(const httplib::Request&, httplib::Response& response, const Json& body) {
    const auto tokens = value(body, "tokens", std::vector<inlay::Token>{});
    for (const inlay::Token token : tokens) {
      if (token >= 0 && static_cast<uint32_t>(token) < tokenizer().size()) continue;
      throw Refused{500, "server_error",
                    "token " + std::to_string(token) + " is not in the vocabulary of " +
                        std::to_string(tokenizer().size())};
    }
    send(response, {{"content", decode(tokens)}});
  }
  void apply_template(const httplib::Request&, httplib::Response& response, const Json& body) {
    if (!body.contains("messages") || !body["messages"].is_array()) {
      throw Refused{400, "invalid_request_error", "'messages' is required"};
    }
    Json asked = body;
    if (!asked.contains("add_generation_prompt")) asked["add_generation_prompt"] = true;
    const auto chat = inlay::ChatTemplate::create(generator_.model().file(), tokenizer());
    if (!chat) throw Refused{500, "server_error", chat.error().message()};
    const std::string text = dump(asked);
    const auto variables = inlay::JsonDocument::parse(text);
    if (!variables) throw Refused{400, "invalid_request_error", variables.error().message()};
    const auto prompt = chat->render(variables->root());
    if (!prompt) throw Refused{400, "invalid_request_error", prompt.error().message()};
    send(response, {{"prompt", std::string(prompt->view())}});
  }

  Json health() const { return {{"status", "ok"}}; }
  Json adapters() const { return Json::array(); }
  // Settings without lists and texts, as /props and /slots show them.
  static Json numbers_of(Json settings) {
    for (const char* key : {"dry_sequence_breakers", "stop", "logit_bias", "grammar",
                            "grammar_lazy", "grammar_triggers", "preserved_tokens"}) {
      settings.erase(key);
    }
    return settings;
  }
  Json slots() const {
    const Generator::Progress progress = generator_.progress();
    Json slot = {{"id", 0},
                 {"n_ctx", generator_.context()},
                 {"speculative", false},
                 {"is_processing", progress.busy}};
    if (progress.task > 0) {
      slot["id_task"] = progress.task;
      slot["n_prompt_tokens"] = progress.prompt;
      slot["n_prompt_tokens_processed"] = progress.read;
      slot["n_prompt_tokens_cache"] = progress.cached;
      const std::lock_guard<std::mutex> lock(mutex_);
      slot["params"] = numbers_of(last_settings_);
      const int64_t left = progress.n_predict < 0 ? -1 : progress.n_predict - progress.written;
      slot["next_token"] = Json::array({{{"has_next_token", progress.busy},
                                         {"has_new_line", progress.has_new_line},
                                         {"n_remain", left},
                                         {"n_decoded", progress.written}}});
    }
    return Json::array({slot});
  }
  Json props() const {
    Json params = numbers_of(parse_request(Json::object(), generator_).settings);
    params["reasoning_format"] = "none";
    const inlay::Gguf& file = generator_.model().file();
    const auto chat = inlay::ChatTemplate::create(file, tokenizer());
    const auto name = [this](inlay::Token token) {
      return token == inlay::kNoToken ? std::string() : decode({token});
    };
    Json caps;
    for (const char* key : {"supports_object_arguments", "supports_parallel_tool_calls",
                            "supports_preserve_reasoning", "supports_reasoning_effort"}) {
      caps[key] = false;
    }
    caps["supports_string_content"] = caps["supports_system_role"] = true;
    for (const char* key : {"supports_tool_calls", "supports_tools", "supports_typed_content"}) {
      caps[key] = false;
    }
    const inlay::SpecialTokens& special = tokenizer().special();
    return {{"default_generation_settings", {{"params", params}, {"n_ctx", generator_.context()}}},
            {"total_slots", 1},
            {"model_alias", settings_.model},
            {"model_ftype", file_type_name(file)},
            {"model_path", settings_.model},
            {"modalities", {{"vision", false}, {"video", false}, {"audio", false}}},
            {"media_marker", ""},
            {"endpoint_slots", true},
            {"endpoint_props", false},
            {"endpoint_metrics", false},
            {"ui", false},
            {"ui_settings", Json::object()},
            {"chat_template", chat ? std::string(chat->source()) : std::string()},
            {"chat_template_caps", caps},
            {"bos_token", name(special.bos)},
            {"eos_token", name(special.eos)},
            {"build_info", "inlay " INLAY_VERSION},
            {"is_sleeping", false},
            {"cors_proxy_enabled", false}};
  }
  Json models() const {
    const inlay::Model& model = generator_.model();
    const inlay::ModelShape& shape = model.shape();
    uint64_t parameters = 0, bytes = 0;
    for (const inlay::TensorView& tensor : model.file().tensors()) {
      bytes += tensor.bytes;
      parameters += tensor.dims[0] * tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
    }
    const Json meta = {{"vocab_type", vocabulary_type(model.file())},
                       {"n_vocab", shape.n_vocab},
                       {"n_ctx", generator_.context()},
                       {"n_ctx_train", shape.context},
                       {"n_embd", shape.n_embd},
                       {"n_params", parameters},
                       {"size", bytes},
                       {"ftype", file_type_name(model.file())}};
    const Json text = Json::array({"text"});
    const Json one = {{"id", settings_.model},
                      {"aliases", Json::array({settings_.model})},
                      {"tags", Json::array()},
                      {"object", "model"},
                      {"architecture", {{"input_modalities", text}, {"output_modalities", text}}},
                      {"created", std::time(nullptr)},
                      {"owned_by", "inlay"},
                      {"meta", meta}};
    // The same again as Ollama has it.
    const Json details = {{"parent_model", ""},   {"format", "gguf"},
                          {"family", ""},         {"families", Json::array({""})},
                          {"parameter_size", ""}, {"quantization_level", ""}};
    const Json other = {{"name", settings_.model},
                        {"model", settings_.model},
                        {"modified_at", ""},
                        {"size", ""},
                        {"digest", ""},
                        {"type", "model"},
                        {"description", ""},
                        {"tags", Json::array({""})},
                        {"capabilities", Json::array({"completion"})},
                        {"parameters", ""},
                        {"details", details}};
    return {{"models", Json::array({other})}, {"object", "list"}, {"data", Json::array({one})}};
  }

  Settings settings_;
  Generator& generator_;
  inlay::FimLayout layout_;
  mutable std::mutex mutex_;
  Json last_settings_;  // of the last request
  httplib::Server http_;
};

int fail(const std::string& text) {
  std::fprintf(stderr, "infill_server: %s\n", text.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  inlay::request_amx();
  Settings settings;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i], given = i + 1 < argc ? argv[i + 1] : "";
    const std::pair<const char*, uint32_t*> numbers[] = {{"--port", &settings.port},
                                                         {"-c", &settings.context},
                                                         {"-b", &settings.batch},
                                                         {"-t", &settings.threads},
                                                         {"--cache-reuse", &settings.reuse}};
    bool known = option == "-m" || option == "--host";
    if (option == "-m") settings.model = given;
    if (option == "--host") settings.host = given;
    for (const auto& [name, number] : numbers) {
      if (option != name) continue;
      char* end = nullptr;
      *number = static_cast<uint32_t>(std::strtoul(given.c_str(), &end, 10));
      known = end != given.c_str() && *end == '\0';
    }
    if (!known || given.empty()) {
      std::fprintf(stderr,
                   "usage: infill_server -m MODEL [--host ADDRESS] [--port N] [-c CONTEXT] "
                   "[-b BATCH] [-t THREADS] [--cache-reuse TOKENS]\n");
      return 2;
    }
  }
  auto model = inlay::Model::open(settings.model.c_str());
  if (!model) return fail(model.error().message());
  inlay::SessionOptions options;
  const uint32_t trained = model->shape().context;
  settings.context =
      settings.context == 0 || settings.context > trained ? trained : settings.context;
  settings.batch = std::min(settings.batch, settings.context);
  options.context = settings.context;
  options.threads = settings.threads;
  options.reuse = settings.reuse;
  auto session = inlay::Session::create(*model, options);
  if (!session) return fail(session.error().message());
  auto vocabulary = inlay::GrammarVocabulary::create(model->tokenizer());
  if (!vocabulary) return fail(vocabulary.error().message());
  Generator generator(*model, *vocabulary, std::move(*session), options);
  Server server(settings, &generator);
  return server.listen()
             ? 0
             : fail("cannot listen at " + settings.host + ":" + std::to_string(settings.port));
}
