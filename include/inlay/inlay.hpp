// inlay: a language model inside your program. One header, no library to link, no thread that you
// did not ask for.
//
//   In any file:            #include <inlay.hpp>
//   In exactly one .cpp:    #define INLAY_IMPLEMENTATION
//                           #include <inlay.hpp>
//
// Compile that one file with -O2, also in debug builds. C++17; the implementation needs Highway's
// headers (1.3 or newer) in the include path. Every failure is a value: see core/result.hpp.
//
// SPDX-License-Identifier: Apache-2.0

// A macro of Xlib, which may be included before. (A program that says inlay::Status after it has to
// take it away itself.)
#pragma push_macro("Status")
#undef Status

#ifndef INLAY_HPP_
#  define INLAY_HPP_

#  include "inlay/arch/registry.hpp"
#  include "inlay/chat/chat_template.hpp"
#  include "inlay/chat/jinja.hpp"
#  include "inlay/chat/output_parser.hpp"
#  include "inlay/chat/tool_grammar.hpp"
#  include "inlay/completion/choose.hpp"
#  include "inlay/completion/completion.hpp"
#  include "inlay/completion/drafts.hpp"
#  include "inlay/completion/fim.hpp"
#  include "inlay/completion/trim.hpp"
#  include "inlay/config.hpp"
#  include "inlay/core/host.hpp"
#  include "inlay/core/result.hpp"
#  include "inlay/core/span.hpp"
#  include "inlay/gguf/gguf.hpp"
#  include "inlay/gguf/metadata.hpp"
#  include "inlay/gguf/tensor_type.hpp"
#  include "inlay/grammar/grammar.hpp"
#  include "inlay/grammar/matcher.hpp"
#  include "inlay/model/loader.hpp"
#  include "inlay/model/model.hpp"
#  include "inlay/model/sampling.hpp"
#  include "inlay/session/constraint.hpp"
#  include "inlay/session/embedder.hpp"
#  include "inlay/session/fill.hpp"
#  include "inlay/session/grammar_constraint.hpp"
#  include "inlay/session/logprobs.hpp"
#  include "inlay/session/session.hpp"
#  include "inlay/session/state.hpp"
#  include "inlay/text/json.hpp"
#  include "inlay/text/tokenizer.hpp"

#endif  // INLAY_HPP_

// Outside the guard on purpose: a file may include the header for the declarations first and
// compile the implementation later, and the implementation includes this file again for each SIMD
// target.
#ifdef INLAY_IMPLEMENTATION
#  include "inlay/implementation.hpp"
#endif

#pragma pop_macro("Status")
