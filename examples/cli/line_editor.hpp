// Lines typed on a terminal, with history and the usual keys.
#ifndef INLAY_CLI_LINE_EDITOR_HPP_
#define INLAY_CLI_LINE_EDITOR_HPP_

#include <string>
#include <vector>

namespace cli {

// Arrows, Home, End, Delete, Ctrl-A, E, K, U, W; up and down go through what was entered before.
// Text that is pasted may have several lines, which make one. On what is no terminal or a dumb
// one, and on Windows, whose console has all that by itself, it just reads lines.
class LineEditor {
 public:
  enum class Result { line, interrupted, end };  // Enter; Ctrl-C; Ctrl-D on an empty line

  Result read(const std::string& prompt, std::string* line);

 private:
  Result edit(const std::string& prompt, std::string* line);
  static void draw(const std::string& prompt, const std::string& line, size_t cursor);

  std::vector<std::string> history_;
};

}  // namespace cli

#endif  // INLAY_CLI_LINE_EDITOR_HPP_
