// A new folder among the system's temporary ones, removed with all in it at the end. Each has a
// name of its own, also between test programs that run at the same time: they do, in ctest.
#ifndef INLAY_TESTS_SUPPORT_FOLDER_HPP_
#define INLAY_TESTS_SUPPORT_FOLDER_HPP_

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace inlay_test {

struct Folder {
  Folder() {
    for (int i = 0; path.empty(); ++i) {
      const auto p = std::filesystem::temp_directory_path() / ("inlay_test_" + std::to_string(i));
      if (std::filesystem::create_directory(p)) path = p;  // the system's: one caller succeeds
    }
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;

  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::string write(const std::string& name, const void* data, size_t size) const {
    const std::string file = *this / name;
    std::ofstream(file, std::ios::binary)
        .write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
    return file;
  }
  template <class T>
  std::string write(const std::string& name, const T& bytes) const {
    static_assert(sizeof(*bytes.data()) == 1);
    return write(name, bytes.data(), bytes.size());
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path),
                                             std::filesystem::directory_iterator()));
  }

  std::filesystem::path path;
};

}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_FOLDER_HPP_
