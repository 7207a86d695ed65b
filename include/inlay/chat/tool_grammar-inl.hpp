#ifndef INLAY_CHAT_TOOL_GRAMMAR_INL_HPP_
#define INLAY_CHAT_TOOL_GRAMMAR_INL_HPP_

#include "inlay/chat/output_parser-inl.hpp"
#include "inlay/chat/tool_grammar.hpp"
#include "inlay/text/json.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Values of Gemma 4's notation; `quote` is defined where the tokenizer is known.
inline constexpr std::string_view kGemmaValues =
    R"(string ::= quote [^\x00-\x1F<]* quote
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?
boolean ::= "true" | "false"
array ::= "[" (value ("," value)*)? "]"
object ::= "{" (pair ("," pair)*)? "}"
pair ::= key ":" value
key ::= [a-zA-Z_$] [a-zA-Z0-9_$-]*
value ::= string | number | boolean | "null" | array | object
)";

// Writes the grammar of one format. What fails is noted, and said at the end.
class ToolGrammarWriter {
 public:
  ToolGrammarWriter(const JsonValue& tools, const Tokenizer* tokenizer, ToolGrammar* out,
                    const Allocator& allocator) noexcept
      : tools_(tools), tokenizer_(tokenizer), out_(*out), allocator_(allocator) {}

  Status write(ToolSyntax syntax) noexcept {
    for (const JsonValue& tool : tools_.items()) {
      const JsonValue* name = function_of_tool(tool).find("name");
      if (name == nullptr || !name->is_string() || name->text().empty())
        return Error(ErrorCode::bad_argument, "tools: expected a name for each");
    }
    if (tools_.items().empty())
      return Error(ErrorCode::bad_argument, "tools: expected a JSON array with tools in it");
    switch (syntax) {
      case ToolSyntax::hermes:
        write_hermes();
        break;
      case ToolSyntax::qwen3_coder:
        write_qwen3_coder();
        break;
      case ToolSyntax::llama3:
        write_llama3();
        break;
      case ToolSyntax::mistral:
        write_mistral();
        break;
      case ToolSyntax::deepseek:
        write_deepseek();
        break;
      case ToolSyntax::harmony:
        write_harmony();
        break;
      case ToolSyntax::gemma4:
        write_gemma4();
        break;
      case ToolSyntax::glm4:
        write_glm4();
        break;
      case ToolSyntax::kimi_k2:
        write_kimi_k2();
        break;
      case ToolSyntax::none:
        return Error(ErrorCode::unsupported, "the chat template has no known form of tool calls");
    }
    return ok_ ? Status() : Error(ErrorCode::out_of_memory);
  }

 private:
  static std::string_view name_of(const JsonValue& tool) noexcept {
    return function_of_tool(tool).find("name")->text();
  }
  static const JsonValue* properties_of(const JsonValue& tool) noexcept {
    const JsonValue* parameters = function_of_tool(tool).find("parameters");
    const JsonValue* properties = parameters == nullptr ? nullptr : parameters->find("properties");
    return properties != nullptr && !properties->members().empty() ? properties : nullptr;
  }
  static bool is_required(const JsonValue& tool, std::string_view key) noexcept {
    const JsonValue* required = function_of_tool(tool).find("parameters")->find("required");
    if (required == nullptr) return false;
    for (const JsonValue& name : required->items()) {
      if (name.is_string() && name.text() == key) return true;
    }
    return false;
  }

  // ---- parts of a grammar ----

  void put(std::string_view text) noexcept {
    ok_ = ok_ && out_.gbnf_.append(text.data(), text.size());
  }
  void put(size_t number) noexcept {
    char text[kMaxIntText];
    put({text, format_int(static_cast<int64_t>(number), text)});
  }
  // Texts in quotes, one behind the other. (The escapes of GBNF's literals include those of JSON.)
  void literal(std::string_view a, std::string_view b = {}, std::string_view c = {}) noexcept {
    String all(allocator_);
    for (const std::string_view part : {a, b, c}) ok_ = ok_ && all.append(part.data(), part.size());
    put(" ");
    ok_ = ok_ && append_json_string(&out_.gbnf_, view(all));
    put(" ");
  }
  // A text that may be a control token; kNoToken if it is none.
  Token control(std::string_view text) noexcept {
    if (tokenizer_ == nullptr) return kNoToken;
    Array<Token> room(allocator_);
    TokenizeOptions options;
    options.add_special = false;
    if (!room.resize(Tokenizer::max_tokens(text.size()))) {
      ok_ = false;
      return kNoToken;
    }
    const auto count = tokenizer_->encode(text, room.span(), options);
    return count && *count == 1 && tokenizer_->is_control(room[0]) ? room[0] : kNoToken;
  }
  // A token that ends the whole text is not written: it may come there anyhow.
  void tag(std::string_view text) noexcept {
    const Token token = control(text);
    if (token == kNoToken) {
      literal(text);
    } else if (!tokenizer_->is_end(token)) {
      put(" <[");
      put(static_cast<size_t>(token));
      put("]> ");
    }
  }
  void trigger(std::string_view text) noexcept {
    const Token token = control(text);
    ok_ = ok_ && (token == kNoToken ? out_.words_.push_back(text) : out_.tokens_.push_back(token));
  }

  // Calls `alternative` for each tool and its number.
  template <class Alternative>
  void for_tools(std::string_view rule, Alternative&& alternative) noexcept {
    put(rule);
    put(" ::= ");
    size_t number = 0;
    for (const JsonValue& tool : tools_.items()) {
      if (number > 0) put(" | ");
      alternative(tool, number++);
    }
    put("\n");
  }
  void quoted_name(std::string_view before, const JsonValue& tool,
                   std::string_view after) noexcept {
    String json(allocator_);
    ok_ = ok_ && append_json_string(&json, name_of(tool));
    literal(before, view(json), after);
  }

  // ---- what JSON schemas describe ----

  // A schema as text. Objects that may be anything say so, for others may not have more members
  // than theirs.
  void put_schema(const JsonValue& schema, String* to) noexcept {
    const auto append = [&](std::string_view text) {
      ok_ = ok_ && to->append(text.data(), text.size());
    };
    if (!schema.is_object() && !schema.is_array()) {
      ok_ = ok_ && append_json(to, schema);
      return;
    }
    bool first = true;
    append(schema.is_object() ? "{" : "[");
    for (const JsonValue& item : schema.items()) {
      append(first ? "" : ",");
      put_schema(item, to);
      first = false;
    }
    for (const JsonMember& member : schema.members()) {
      const bool is_value = member.key == "enum" || member.key == "const" ||
                            member.key == "default" || member.key == "examples";
      append(first ? "" : ",");
      ok_ = ok_ && append_json_string(to, member.key);
      append(":");
      if (is_value) {
        ok_ = ok_ && append_json(to, member.value);
      } else {
        put_schema(member.value, to);
      }
      first = false;
    }
    const JsonValue* type = schema.find("type");
    const bool any_object = type != nullptr && type->text() == "object" &&
                            schema.find("properties") == nullptr &&
                            schema.find("patternProperties") == nullptr &&
                            schema.find("additionalProperties") == nullptr;
    if (any_object) append(",\"additionalProperties\":true");
    append(schema.is_object() ? "}" : "]");
  }
  void add_rule(std::string_view name, const String& schema) noexcept {
    GrammarRule rule{{}, GrammarRule::Form::json_schema, {}};
    ok_ = ok_ && out_.arena_.copy(name, &rule.name) && out_.arena_.copy(view(schema), &rule.text) &&
          out_.rules_.push_back(rule);
  }
  // Refers to the rule of a tool's arguments.
  void arguments(const JsonValue& tool, size_t number) noexcept {
    const size_t begin = out_.gbnf_.size() + 1;
    put(" arguments-");
    put(number);
    if (!ok_) return;
    const std::string_view name = slice(view(out_.gbnf_), begin);
    for (const GrammarRule& rule : out_.rules_) {
      if (rule.name == name) return;
    }
    String schema(allocator_);
    const JsonValue* parameters = function_of_tool(tool).find("parameters");
    if (parameters != nullptr && parameters->is_object()) {
      put_schema(*parameters, &schema);
    } else {
      constexpr std::string_view kAny = R"({"type":"object","additionalProperties":true})";
      ok_ = ok_ && schema.append(kAny.data(), kAny.size());
    }
    add_rule(name, schema);
  }

  // ---- the formats ----

  void write_hermes() noexcept {
    trigger("<tool_call>");
    put("root ::= call (\"\\n\" call)*\ncall ::= ");
    tag("<tool_call>");
    put("\"\\n\" body \"}\\n\"");
    tag("</tool_call>");
    put("\n");
    for_tools("body", [&](const JsonValue& tool, size_t number) {
      quoted_name("{\"name\": ", tool, ", \"arguments\": ");
      arguments(tool, number);
    });
  }

  void write_llama3() noexcept {
    trigger("{\"name\":");
    put("root ::= call \"}\" (\"; \" call \"}\")*\n");
    for_tools("call", [&](const JsonValue& tool, size_t number) {
      quoted_name("{\"name\": ", tool, ", \"parameters\": ");
      arguments(tool, number);
    });
  }

  // A list of calls as JSON, or the name and the arguments of each behind its tag.
  void write_mistral() noexcept {
    trigger("[TOOL_CALLS]");
    put("root ::= begin \"[\" item (\", \" item)* \"]\" | (begin named)+\nbegin ::= ");
    tag("[TOOL_CALLS]");
    put("\nitem ::= call (\", \\\"id\\\": \\\"\" [a-zA-Z0-9]{9} \"\\\"\")? \"}\"\nsplit ::= (");
    tag("[CALL_ID]");
    put("[a-zA-Z0-9]{9})?");
    tag("[ARGS]");
    put("\n");
    for_tools("call", [&](const JsonValue& tool, size_t number) {
      quoted_name("{\"name\": ", tool, ", \"arguments\": ");
      arguments(tool, number);
    });
    for_tools("named", [&](const JsonValue& tool, size_t number) {
      literal(name_of(tool));
      put("split");
      arguments(tool, number);
    });
  }

  // R1 and V3 fence the arguments, V3.1 does not.
  void write_deepseek() noexcept {
    trigger(kDeepSeekCalls);
    trigger(kDeepSeekCall);
    put("root ::= ");
    tag(kDeepSeekCalls);
    put("calls");
    tag(kDeepSeekCallsEnd);
    put("| calls\ncalls ::= call (\"\\n\"? call)*\ncall ::= ");
    tag(kDeepSeekCall);
    put("(\"function\" split fenced \"\\n```\" | plain)");
    tag(kDeepSeekCallEnd);
    put("\nsplit ::= ");
    tag(kDeepSeekName);
    put("\n");
    for_tools("fenced", [&](const JsonValue& tool, size_t number) {
      literal(name_of(tool), "\n```json\n");
      arguments(tool, number);
    });
    for_tools("plain", [&](const JsonValue& tool, size_t number) {
      literal(name_of(tool));
      put("split");
      arguments(tool, number);
    });
  }

  // From the recipient in a message's header on; the channel comes before it or behind it.
  void write_harmony() noexcept {
    constexpr std::string_view kTo = " to=functions.";
    trigger(kTo);
    put("root ::= ");
    literal(kTo);
    put("call");
    tag("<|call|>");
    put("\nheader ::= (");
    tag("<|channel|>");
    put("(\"commentary\" | \"analysis\"))? (\" \"?");
    tag("<|constrain|>");
    put("\"json\" | \" json\" | \" code\")?");
    tag("<|message|>");
    put("\n");
    for_tools("call", [&](const JsonValue& tool, size_t number) {
      literal(name_of(tool));
      put("header");
      arguments(tool, number);
    });
  }

  // The strings that an enumeration has, as alternatives. False: it is none of strings.
  bool string_choices(const JsonValue& schema, std::string_view before, std::string_view after,
                      std::string_view quote = {}) noexcept {
    const JsonValue* values = schema.find("enum");
    if (values == nullptr || values->items().empty()) return false;
    for (const JsonValue& value : values->items()) {
      if (!value.is_string()) return false;
    }
    put("(");
    bool first = true;
    for (const JsonValue& value : values->items()) {
      if (!first) put("|");
      put(quote);
      literal(before, value.text(), after);
      put(quote);
      first = false;
    }
    put(")");
    return true;
  }
  // The rule "text": whatever does not have the tag that ends it. `end` is the tag without its '<':
  // as it has no other, a search for it begins again there.
  void text_rule(std::string_view end) noexcept {
    put("text ::= ([^<] | \"<\" (part \"<\")* out)* (\"<\" (part \"<\")* part)?\npart ::= ");
    const size_t last = end.size() - 1;
    for (size_t i = 0; i < last; ++i) {
      put("(");
      literal(slice(end, i, 1));
    }
    for (size_t i = 0; i < last; ++i) put(")?");
    put("\nout ::= ");
    for (size_t i = 0; i <= last; ++i) {
      put(i == 0 ? "[^<" : "([^<");
      put(slice(end, i, 1));
      put("]");
      if (i == last) break;
      put(" | ");
      literal(slice(end, i, 1));
    }
    for (size_t i = 0; i < last; ++i) put(")");
    put("\n");
  }
  // A value without quotes, by its schema.
  void parameter(const JsonValue& tool, const JsonMember& property, size_t number,
                 size_t index) noexcept {
    if (string_choices(property.value, {}, {})) {
    } else if (takes_text(property.value, *function_of_tool(tool).find("parameters"))) {
      put("text");
    } else {
      const size_t begin = out_.gbnf_.size();
      put("value-");
      put(number);
      put("-");
      put(index);
      String schema(allocator_);
      const JsonValue& parameters = *function_of_tool(tool).find("parameters");
      // The property's schema may refer to definitions of the whole.
      put_schema(property.value, &schema);
      for (const std::string_view definitions : {"$defs", "definitions"}) {
        const JsonValue* value = parameters.find(definitions);
        if (value == nullptr || !ok_ || schema.size() <= 2) continue;
        schema.pop_back();
        ok_ = schema.push_back(',') && append_json_string(&schema, definitions) &&
              schema.push_back(':');
        put_schema(*value, &schema);
        ok_ = ok_ && schema.push_back('}');
      }
      if (ok_) add_rule(slice(view(out_.gbnf_), begin), schema);
    }
  }
  // All parameters of a tool, in its order, each between what `begin` writes of its name and what
  // `end` writes; the rule "any" is for tools without a schema.
  template <class Begin, class End>
  void parameters(const JsonValue& tool, size_t number, const Begin& begin,
                  const End& end) noexcept {
    const JsonValue* properties = properties_of(tool);
    if (properties == nullptr) {
      put(function_of_tool(tool).find("parameters") == nullptr ? "any*" : "");
      return;
    }
    size_t index = 0;
    for (const JsonMember& property : properties->members()) {
      put("(");
      begin(property.key);
      parameter(tool, property, number, index++);
      end();
      put(is_required(tool, property.key) ? ")" : ")?");
    }
  }
  void write_qwen3_coder() noexcept {
    trigger("<tool_call>");
    trigger("<function=");
    put("root ::= call (\"\\n\" call)* | function (\"\\n\" ");
    tag("</tool_call>");
    put(")?\ncall ::= ");
    tag("<tool_call>");
    put("\"\\n\" function \"\\n\"");
    tag("</tool_call>");
    put("\n");
    text_rule("/parameter>");
    put("any ::= \"<parameter=\" [a-zA-Z0-9_-]+ \">\\n\" text \"\\n</parameter>\\n\"\n");
    for_tools("function", [&](const JsonValue& tool, size_t number) {
      literal("<function=", name_of(tool), ">\n");
      parameters(
          tool, number,
          [this](std::string_view key) noexcept { literal("<parameter=", key, ">\n"); },
          [this]() noexcept { literal("\n</parameter>\n"); });
      literal("</function>");
    });
  }

  // GLM 4.5 and 4.6 write line ends between the tags, GLM 5 does not.
  void write_glm4() noexcept {
    trigger("<tool_call>");
    put("root ::= call (\"\\n\"? call)*\ncall ::= ");
    tag("<tool_call>");
    put("function");
    tag("</tool_call>");
    put("\n");
    text_rule("/arg_value>");
    put("any ::= begin [a-zA-Z0-9_-]+ middle text end\nbegin ::= ");
    tag("<arg_key>");
    put("\nmiddle ::= ");
    tag("</arg_key>");
    put("\"\\n\"?");
    tag("<arg_value>");
    put("\nend ::= ");
    tag("</arg_value>");
    put("\"\\n\"?\n");
    for_tools("function", [&](const JsonValue& tool, size_t number) {
      literal(name_of(tool));
      put("\"\\n\"? ");
      parameters(
          tool, number,
          [this](std::string_view key) noexcept {
            put("begin");
            literal(key);
            put("middle ");
          },
          [this]() noexcept { put(" end"); });
    });
  }

  void write_kimi_k2() noexcept {
    trigger(kKimiCalls);
    put("root ::= ");
    tag(kKimiCalls);
    put("call+");
    tag(kKimiCallsEnd);
    put("\ncall ::= ");
    tag(kKimiCall);
    put("body");
    tag(kKimiCallEnd);
    put("\nbegin ::= \":\" [0-9]{1,4}");
    tag(kKimiArguments);
    put("\n");
    for_tools("body", [&](const JsonValue& tool, size_t number) {
      literal(kFunctions, name_of(tool));
      put("begin");
      arguments(tool, number);
    });
  }

  void gemma_value(const JsonValue& schema) noexcept {
    if (string_choices(schema, {}, {}, " quote ")) return;
    const JsonValue* type = schema.find("type");
    constexpr std::string_view kTypes[] = {"string",  "integer", "number",
                                           "boolean", "array",   "object"};
    for (const std::string_view known : kTypes) {
      if (type != nullptr && type->text() == known) return put(known);
    }
    put("value");
  }
  void write_gemma4() noexcept {
    trigger("<|tool_call>");
    put("root ::= call+\ncall ::= ");
    tag("<|tool_call>");
    put("\"call:\" body \"}\"");
    tag("<tool_call|>");
    put("\nquote ::= ");
    tag(kGemmaQuote);
    put("\n");
    put(kGemmaValues);
    for_tools("body", [&](const JsonValue& tool, size_t number) {
      literal(name_of(tool), "{");
      put("(pair-");
      put(number);
      put(" (\",\" pair-");
      put(number);
      put(")*)?");
    });
    size_t number = 0;
    for (const JsonValue& tool : tools_.items()) {
      put("pair-");
      put(number++);
      put(" ::= ");
      const JsonValue* properties = properties_of(tool);
      if (properties == nullptr) put("pair");
      bool first = true;
      for (const JsonMember& property :
           properties == nullptr ? Span<const JsonMember>() : properties->members()) {
        if (!first) put(" | ");
        literal(property.key, ":");
        gemma_value(property.value);
        first = false;
      }
      put("\n");
    }
  }

  const JsonValue& tools_;
  const Tokenizer* tokenizer_;
  ToolGrammar& out_;
  Allocator allocator_;
  bool ok_ = true;
};

}  // namespace detail

Result<ToolGrammar> ToolGrammar::create(const ChatFormat& format, std::string_view tools,
                                        const Tokenizer* tokenizer,
                                        const Allocator& allocator) noexcept {
  JsonOptions options;
  options.allocator = allocator;
  options.depth = 100;  // schemas are written by a function that calls itself
  const auto document = JsonDocument::parse(tools, options);
  if (!document) return Error(document.error().code(), "tools: ") << document.error().message();
  ToolGrammar result(allocator);
  const Status written = detail::ToolGrammarWriter(document->root(), tokenizer, &result, allocator)
                             .write(format.tools);
  if (!written) return written.error();
  return result;
}

INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_TOOL_GRAMMAR_INL_HPP_
