#include "line_editor.hpp"

#include <cstdint>
#include <cstdio>
#include <iterator>

#include "cli.hpp"

#ifndef _WIN32
#  include <poll.h>
#  include <sys/ioctl.h>
#  include <termios.h>
#  include <unistd.h>
#endif

namespace cli {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The character before, and behind: at the line's ends the same place.
size_t before(const std::string& line, size_t at) {
  if (at > 0) --at;
  while (at > 0 && is_continuation(line[at])) --at;
  return at;
}

size_t after(const std::string& line, size_t at) {
  if (at < line.size()) ++at;
  while (at < line.size() && is_continuation(line[at])) ++at;
  return at;
}

size_t word_begin(const std::string& line, size_t at) {
  while (at > 0 && line[at - 1] == ' ') --at;
  while (at > 0 && line[at - 1] != ' ') --at;
  return at;
}

size_t word_end(const std::string& line, size_t at) {
  while (at < line.size() && line[at] == ' ') ++at;
  while (at < line.size() && line[at] != ' ') ++at;
  return at;
}

// How many columns a terminal gives to the character: none to marks that combine, two to East Asian
// wide ones and emoji. (Their blocks; a few characters in them are narrow.)
size_t width_of(const std::string& character) {
  struct Block {
    uint32_t first, last;
    size_t width;
  };
  static constexpr Block kBlocks[] = {
      {0x300, 0x36F, 0},     {0x200B, 0x200F, 0},   {0x20D0, 0x20FF, 0},   {0xFE00, 0xFE0F, 0},
      {0x1100, 0x115F, 2},   {0x2E80, 0x303E, 2},   {0x3041, 0xA4CF, 2},   {0xAC00, 0xD7A3, 2},
      {0xF900, 0xFAFF, 2},   {0xFE30, 0xFE6F, 2},   {0xFF00, 0xFF60, 2},   {0xFFE0, 0xFFE6, 2},
      {0x1F300, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2}, {0x1F900, 0x1F9FF, 2}, {0x20000, 0x3FFFD, 2}};
  const auto lead = static_cast<unsigned char>(character[0]);
  uint32_t code = lead < 0x80   ? lead
                  : lead < 0xE0 ? lead & 0x1F
                  : lead < 0xF0 ? lead & 0xF
                                : lead & 7;
  for (size_t i = 1; i < character.size(); ++i)
    code = code << 6 | (static_cast<unsigned char>(character[i]) & 0x3F);
  for (const Block& block : kBlocks) {
    if (code >= block.first && code <= block.last) return block.width;
  }
  return 1;
}

size_t width_of(const std::string& line, size_t from, size_t to) {
  size_t columns = 0;
  for (size_t at = from; at < to; at = after(line, at))
    columns += width_of(line.substr(at, after(line, at) - at));
  return columns;
}

#ifndef _WIN32
// Keys come one by one, and Ctrl-C is one of them.
class RawTerminal {
 public:
  RawTerminal() {
    tcgetattr(STDIN_FILENO, &saved_);
    termios raw = saved_;
    raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL | IXON);
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  }
  ~RawTerminal() { tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios saved_{};
};

// The terminal marks what is pasted, so that the lines in it are not taken for Enter.
class MarkedPaste {
 public:
  MarkedPaste() { put("\033[?2004h"); }
  ~MarkedPaste() { put("\033[?2004l"); }
  MarkedPaste(const MarkedPaste&) = delete;
  MarkedPaste& operator=(const MarkedPaste&) = delete;

 private:
  static void put(const char* text) {
    std::fputs(text, stdout);
    std::fflush(stdout);
  }
};

// The rest of what is pasted, without its mark. Lines end with \n; no other control characters.
std::string read_paste() {
  static constexpr char kEnd[] = "\033[201~";
  constexpr size_t kEndSize = std::size(kEnd) - 1;
  std::string all;
  char c = 0;
  while (all.size() < kEndSize || all.compare(all.size() - kEndSize, kEndSize, kEnd) != 0) {
    if (::read(STDIN_FILENO, &c, 1) != 1) break;
    all.push_back(c);
  }
  all.resize(all.size() < kEndSize ? 0 : all.size() - kEndSize);
  std::string text;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool line_end =
        all[i] == '\n' || (all[i] == '\r' && (i + 1 == all.size() || all[i + 1] != '\n'));
    if (line_end) {
      text.push_back('\n');
    } else if (static_cast<unsigned char>(all[i]) >= ' ' || all[i] == '\t') {
      text.push_back(all[i]);
    }
  }
  return text;
}

// What a terminal sends behind ESC for one key: [ and parameters up to a letter or ~, or O and a
// letter, or a letter alone. Nothing if the key was Escape.
std::string read_escape() {
  constexpr int kWait = 50;  // milliseconds in which the rest of a key comes
  constexpr size_t kLongest = 16;
  std::string sequence;
  while (sequence.size() < kLongest) {
    pollfd waiting = {STDIN_FILENO, POLLIN, 0};
    char c = 0;
    if (::poll(&waiting, 1, kWait) != 1 || ::read(STDIN_FILENO, &c, 1) != 1) break;
    sequence.push_back(c);
    const bool introduces = sequence.size() == 1 && (c == '[' || c == 'O');
    if (!introduces && (sequence.size() == 1 || (c >= '@' && c <= '~'))) break;
  }
  return sequence;
}

size_t columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
#endif

}  // namespace

LineEditor::Result LineEditor::read(const std::string& prompt, std::string* line) {
  line->clear();
#ifndef _WIN32
  if (is_terminal(stdin) && takes_escape_codes(stdout)) {
    const Result result = edit(prompt, line);
    std::fputc('\n', stdout);
    if (result == Result::line && !line->empty() && (history_.empty() || history_.back() != *line))
      history_.push_back(*line);
    return result;
  }
#endif
  if (is_terminal(stdin)) std::fputs(prompt.c_str(), stdout);
  std::fflush(stdout);
  for (int c; (c = std::fgetc(stdin)) != EOF && c != '\n';) line->push_back(static_cast<char>(c));
  if (!line->empty() && line->back() == '\r') line->pop_back();
  return std::feof(stdin) != 0 && line->empty() ? Result::end : Result::line;
}

#ifndef _WIN32
// A line that is longer than the terminal is wide shows the part around the cursor.
void LineEditor::draw(const std::string& prompt, const std::string& line, size_t cursor) {
  const size_t width = columns(), used = width_of(prompt, 0, prompt.size());
  const size_t room = width > used + 1 ? width - used - 1 : 1;
  size_t first = 0, before_cursor = width_of(line, 0, cursor);
  for (; before_cursor >= room && first < cursor; first = after(line, first))
    before_cursor -= width_of(line, first, after(line, first));
  std::string shown;
  size_t left = room;
  for (size_t at = first; at < line.size();) {
    const size_t next = after(line, at), wide = width_of(line, at, next);
    if (wide > left) break;
    left -= wide;
    const bool control = line[at] == '\n' || line[at] == '\t';
    shown += control ? (line[at] == '\n' ? "\u23CE" : " ") : line.substr(at, next - at);
    at = next;
  }
  const size_t column = used + before_cursor;
  std::printf("\r%s%s\033[K\r", prompt.c_str(), shown.c_str());
  if (column > 0) std::printf("\033[%zuC", column);
  std::fflush(stdout);
}

LineEditor::Result LineEditor::edit(const std::string& prompt, std::string* line) {
  const RawTerminal raw;
  size_t cursor = 0, place = history_.size();
  std::string typed;  // what was in the line before the history was looked at
  const auto recall = [&](size_t to) {
    if (place == history_.size()) typed = *line;
    place = to;
    *line = place == history_.size() ? typed : history_[place];
    cursor = line->size();
  };
  const auto erase = [&](size_t from, size_t to) {
    line->erase(from, to - from);
    cursor = from;
  };
  draw(prompt, *line, cursor);
  const MarkedPaste marked;
  for (;; draw(prompt, *line, cursor)) {
    char c = 0;
    if (::read(STDIN_FILENO, &c, 1) != 1) return Result::end;
    if (c == '\033') {
      const std::string sequence = read_escape();
      if (sequence == "[200~") {
        const std::string pasted = read_paste();
        line->insert(cursor, pasted);
        cursor += pasted.size();
        continue;
      }
      const bool by_words = sequence.find(';') != std::string::npos;  // with Control or Alt
      // ESC [ number ~, or a letter at the end.
      const char end = sequence.empty() ? '\0' : sequence.back();
      switch (end == '~' ? sequence[1] : end) {
        case 'A':
          if (place > 0) recall(place - 1);
          break;
        case 'B':
          if (place < history_.size()) recall(place + 1);
          break;
        case 'C':
          cursor = by_words ? word_end(*line, cursor) : after(*line, cursor);
          break;
        case 'D':
          cursor = by_words ? word_begin(*line, cursor) : before(*line, cursor);
          break;
        case 'f':
          cursor = word_end(*line, cursor);
          break;
        case 'b':
          cursor = word_begin(*line, cursor);
          break;
        case 'H':
        case '1':
        case '7':
          cursor = 0;
          break;
        case 'F':
        case '4':
        case '8':
          cursor = line->size();
          break;
        case '3':
          erase(cursor, after(*line, cursor));
          break;
        default:
          break;
      }
      continue;
    }
    switch (c) {
      case '\r':
      case '\n':
        return Result::line;
      case 'C' - '@':
        return Result::interrupted;
      case 'D' - '@':
        if (line->empty()) return Result::end;
        erase(cursor, after(*line, cursor));
        break;
      case 'A' - '@':
        cursor = 0;
        break;
      case 'E' - '@':
        cursor = line->size();
        break;
      case 'K' - '@':
        line->erase(cursor);
        break;
      case 'U' - '@':
        erase(0, cursor);
        break;
      case 'W' - '@':
        erase(word_begin(*line, cursor), cursor);
        break;
      case '\b':
      case '\177':
        erase(before(*line, cursor), cursor);
        break;
      default:
        if (static_cast<unsigned char>(c) >= ' ') line->insert(cursor++, 1, c);
    }
  }
}
#endif

}  // namespace cli
