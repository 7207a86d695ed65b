// inlay tokenize, inlay detokenize. Both read a file's header only, so a vocabulary without weights
// will do.
#include <algorithm>
#include <cstdio>

#include "cli.hpp"

namespace cli {
namespace {

// True where the file's tokenizer puts a space before a text: detokenizing takes it away again. As
// llama.cpp has it: SentencePiece vocabularies do, unless their metadata says otherwise.
bool has_space_prefix(const inlay::Gguf& file) {
  std::string_view model;
  if (const auto* value = file.find("tokenizer.ggml.model")) value->as_string(&model);
  bool prefix = model == "llama";
  if (const auto* value = file.find("tokenizer.ggml.add_space_prefix")) value->as_bool(&prefix);
  return prefix;
}

inlay::Result<inlay::Gguf> open_header(const char* path) {
  inlay::GgufOptions options;
  options.header_only = true;
  return inlay::Gguf::open(path, options);
}

}  // namespace

int tokenize(int argc, char** argv) {
  bool no_special = false, no_parse = false;
  Command command("tokenize", "MODEL [--no-special] [--no-parse] < text",
                  "Print the token ids of standard input on one line.");
  command.flag("--no-special", "do not add BOS and EOS", &no_special);
  command.flag("--no-parse", "names of control tokens are text like any other", &no_parse);
  if (!command.parse(argc, argv)) return command.status();

  const auto file = open_header(command.operands()[0]);
  if (!file) return fail(file.error());
  const auto tokenizer = inlay::Tokenizer::create(*file);
  if (!tokenizer) return fail(tokenizer.error());
  std::string text;
  if (const inlay::Status read = read_file("-", &text); !read) return fail(read.error());

  inlay::TokenizeOptions options;
  options.add_special = !no_special;
  options.parse_special = !no_parse;
  std::vector<inlay::Token> ids(inlay::Tokenizer::max_tokens(text.size()));
  const auto count = tokenizer->encode(text, ids, options);
  if (!count) return fail(count.error());
  for (size_t i = 0; i < *count; ++i) std::printf("%d%c", ids[i], i + 1 < *count ? ' ' : '\n');
  return kDone;
}

int detokenize(int argc, char** argv) {
  bool special = false;
  Command command("detokenize", "MODEL ID…", "Print the text of token ids.");
  command.flag("--special", "show control tokens by name", &special);
  command.note(
      "A single - instead of the ids reads them from standard input:\n"
      "  inlay tokenize MODEL < text | inlay detokenize MODEL -");
  if (!command.parse(argc, argv)) return command.status();
  int status = kDone;
  std::vector<inlay::Token> ids;
  if (!parse_ids(command, &ids, &status)) return status;

  const auto file = open_header(command.operands()[0]);
  if (!file) return fail(file.error());
  const auto tokenizer = inlay::Tokenizer::create(*file);
  if (!tokenizer) return fail(tokenizer.error());

  std::string text;
  std::vector<char> piece(tokenizer->max_piece_bytes());
  bool drop_space = has_space_prefix(*file);
  for (const inlay::Token id : ids) {
    if (static_cast<uint32_t>(id) >= tokenizer->size()) {
      return fail(inlay::Error(inlay::ErrorCode::bad_argument, "token id ")
                  << id << " is not in the vocabulary of " << tokenizer->size() << " tokens");
    }
    const std::string_view bytes(piece.data(), tokenizer->piece(id, piece, special));
    const bool dropped = drop_space && !bytes.empty() && bytes[0] == ' ';
    text += bytes.substr(dropped ? 1 : 0);
    drop_space = drop_space && bytes.empty();
  }
  set_binary(stdout);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kDone;
}

}  // namespace cli
