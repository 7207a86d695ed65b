// Where vocabularies of real models may be found; they are not in the repository.
#ifndef INLAY_TESTS_SUPPORT_VOCABULARY_FOLDER_HPP_
#define INLAY_TESTS_SUPPORT_VOCABULARY_FOLDER_HPP_

#include <cstdlib>
#include <string>

namespace inlay_test {

// A folder with llama.cpp's models/ggml-vocab-*.gguf, and its test vectors (.inp, .out) beside
// them: $INLAY_VOCABULARIES, or one beside the repository. Without it tests say what they skip.
inline std::string vocabulary_folder() {
  const char* given = std::getenv("INLAY_VOCABULARIES");
  return given != nullptr ? given : INLAY_SOURCE_DIR "/../shared/data/vocab";
}

}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_VOCABULARY_FOLDER_HPP_
