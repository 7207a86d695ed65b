/* inlay from C, and from every language that can call C.
 *
 *   In exactly one C++ file:  #define INLAY_IMPLEMENTATION
 *                             #define INLAY_WITH_C
 *                             #include <inlay.hpp>
 *   In any C or C++ file:     #include <inlay.h>
 *
 * Plain C89 with <stddef.h> and <stdint.h>. To build a shared library out of that one file, define INLAY_C_EXPORT there:
 * the functions below, and nothing else, are then exported (without it they are hidden). On Windows, those who use such a
 * library define INLAY_C_IMPORT. examples/c_library does it, for C, Python, Lua and C#.
 *
 * Rules
 * - Functions that can fail return an inlay_status, INLAY_OK or what went wrong, and write a sentence that names what,
 *   where and what was expected to `error`, which may be null. There is no other place where an error is kept. A handle
 *   that is null is INLAY_BAD_ARGUMENT; functions without a status then return null or 0.
 * - A struct that may grow begins with struct_size. Options: its init function fills in the defaults; then set what you
 *   want; null means the defaults. Results: set struct_size to the size of the struct. New fields go to the end, so a
 *   program works with a newer library, and with an older one as long as it does not set what that one does not know
 *   (INLAY_BAD_ARGUMENT then).
 * - A text is a pointer and its bytes, UTF-8 unless said otherwise; INLAY_NUL_TERMINATED as the size counts them. Texts
 *   that are returned are not NUL-terminated unless said otherwise.
 * - Nothing is printed, no signal is handled, nothing is global. Callbacks may not throw or longjmp.
 * - A model may be used by any number of threads at once. A session, an embedder, a loader: by one thread at a time, but
 *   for their cancel functions. What a session needs of its model stays until the last of both is closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef INLAY_H_
#define INLAY_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(INLAY_C_EXPORT)
#  define INLAY_C_API __declspec(dllexport)
#elif defined(_WIN32) && defined(INLAY_C_IMPORT)
#  define INLAY_C_API __declspec(dllimport)
#elif defined(__GNUC__) && defined(INLAY_C_EXPORT)
#  define INLAY_C_API __attribute__((visibility("default")))
#else
#  define INLAY_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- versions -------------------------------------------------------------------------------------------------- */

/* Of this header: grows when a function or a field is added. Nothing is ever taken away or changes its meaning. */
#define INLAY_C_VERSION 1
/* Of the library that is linked: if it is smaller than INLAY_C_VERSION, some functions may be missing. */
INLAY_C_API uint32_t inlay_c_version(void);
/* inlay's own version: "0.1.0". NUL-terminated. */
INLAY_C_API const char* inlay_version(void);

/* ---- errors ---------------------------------------------------------------------------------------------------- */

typedef int32_t inlay_status;
#define INLAY_OK 0
#define INLAY_IO 1             /* a file could not be opened, read or mapped */
#define INLAY_NOT_GGUF 2       /* the data does not start with a GGUF header that can be read */
#define INLAY_TRUNCATED 3      /* the data ends before what its header promises */
#define INLAY_CORRUPT 4        /* a count, length, offset or value in the file contradicts the rest */
#define INLAY_UNSUPPORTED 5    /* the file is well-formed but needs something this build has not */
#define INLAY_MISSING 6        /* a metadata key or a tensor that the model needs is not in the file */
#define INLAY_OUT_OF_MEMORY 7  /* the host's allocator returned null */
#define INLAY_BAD_ARGUMENT 8   /* an argument is outside its documented range */
#define INLAY_CONTEXT_FULL 9   /* the tokens do not fit into the session's context */
#define INLAY_CANCELLED 10     /* the caller cancelled the operation */
#define INLAY_BUSY 11          /* another session has begun a batch in the same workspace */

/* Never changes its size. */
typedef struct inlay_error {
  inlay_status code;
  char message[508]; /* NUL-terminated */
} inlay_error;

/* What a status means, as one line of English. NUL-terminated; never null. */
INLAY_C_API const char* inlay_status_text(inlay_status status);

/* ---- what the program lends to inlay ----------------------------------------------------------------------------- */

#define INLAY_LOG_INFO 0
#define INLAY_LOG_WARNING 1

/* Every member may be null: then it is the default. What the user pointers point to must outlive the model. */
typedef struct inlay_host {
  uint32_t struct_size;
  /* Memory. Returns null when there is none left. Called by any thread that calls inlay. */
  void* (*allocate)(void* user, size_t bytes, size_t alignment);
  void (*release)(void* user, void* memory, size_t bytes, size_t alignment);
  void* allocator_user;
  /* Remarks for a developer: one line, NUL-terminated, without a newline. */
  void (*log)(void* user, int32_t level, const char* text);
  void* log_user;
  /* Calls task(context, 0) to task(context, count - 1) on any threads, and returns when all have returned. What it does
   * not call is done by the caller. */
  void (*parallel_for)(void* user, uint32_t count, void (*task)(void* context, uint32_t index), void* context);
  void* jobs_user;
  /* A monotonic clock in microseconds. */
  uint64_t (*now_us)(void* user);
  void* clock_user;
} inlay_host;

INLAY_C_API void inlay_host_init(inlay_host* host, uint32_t struct_size);

/* ---- models ------------------------------------------------------------------------------------------------------ */

typedef struct inlay_model inlay_model;

#define INLAY_NUL_TERMINATED ((size_t)-1)

#define INLAY_WEIGHTS_MAPPED 0 /* as the file has them, mapped: opens in milliseconds */
#define INLAY_WEIGHTS_PACKED 1 /* copied into the kernels' own order: faster */

typedef struct inlay_model_options {
  uint32_t struct_size;
  uint32_t threads;       /* that pack, the caller's own included: 1 to 64 */
  const inlay_host* host; /* copied; null: the defaults */
  int64_t targets;        /* mask of SIMD targets, Highway's HWY_*; -1: all that were compiled in */
  int32_t weights;        /* INLAY_WEIGHTS_ */
  /* Regular expressions that cut text into words instead of the file's. NUL-terminated each. */
  uint32_t n_patterns;
  const char* const* patterns;
  const char* pre_tokenizer; /* a name for tokenizer.ggml.pre; NUL-terminated; null: the file's */
  const char* cache;         /* path of a file that keeps packed weights; NUL-terminated; null: none */
  /* Called between chunks of work while opening; fraction from 0 to 1. Return 0 to stop: INLAY_CANCELLED. */
  int32_t (*progress)(void* user, float fraction);
  void* progress_user;
  uint64_t max_bytes; /* of memory, with all that is made of the model: more is INLAY_OUT_OF_MEMORY; 0: no limit */
  int32_t plan_only;  /* 1: reads the header only, to say what the model is and what it would take */
} inlay_model_options;

/* Asks Linux to let this process use AMX, for models opened after it: 1 if they may. For a program's start, not for a
 * plug-in: see request_amx() in model/model.hpp. */
INLAY_C_API int32_t inlay_request_amx(void);

INLAY_C_API void inlay_model_options_init(inlay_model_options* options, uint32_t struct_size);

/* A file that the program reads itself: an archive, an encrypted asset, a descriptor. */
typedef struct inlay_read_function {
  uint32_t struct_size;
  /* Fills exactly `bytes` bytes from `offset` and returns 1, or returns 0. */
  int32_t (*read)(void* user, uint64_t offset, void* destination, size_t bytes);
  void* user;
  uint64_t size; /* bytes in the file */
} inlay_read_function;

/* Open a GGUF file; *model is null after an error. */
INLAY_C_API inlay_status inlay_model_open(const char* path, const inlay_model_options* options, inlay_model** model,
                                          inlay_error* error);
/* From bytes that stay where they are until all that uses them is closed; aligned to 8 bytes. */
INLAY_C_API inlay_status inlay_model_open_memory(const void* bytes, size_t size, const inlay_model_options* options,
                                                 inlay_model** model, inlay_error* error);
INLAY_C_API inlay_status inlay_model_open_function(const inlay_read_function* file, const inlay_model_options* options,
                                                   inlay_model** model, inlay_error* error);
/* Null is fine, as in all functions that close something. */
INLAY_C_API void inlay_model_close(inlay_model* model);

/* Where a GGUF file is: one of descriptor, path, memory and function (two are an error; descriptor 0 is one only by
 * itself), and which part of it is meant if it holds more than that. */
typedef struct inlay_source {
  uint32_t struct_size;
  int32_t descriptor; /* of an open file, mapped; may be closed afterwards; -1: none; not on Windows */
  const char* path;   /* NUL-terminated; mapped */
  const void* memory; /* as in inlay_model_open_memory */
  size_t memory_size;
  const inlay_read_function* function;
  uint64_t offset; /* where the GGUF file begins; a multiple of 8, but with a function */
  uint64_t size;   /* its bytes; 0: all that follow */
} inlay_source;

INLAY_C_API void inlay_source_init(inlay_source* source, uint32_t struct_size);
INLAY_C_API inlay_status inlay_model_open_source(const inlay_source* source, const inlay_model_options* options,
                                                 inlay_model** model, inlay_error* error);

/* Opens a model in slices of a frame. What source and options point to must stay until it is closed. */
typedef struct inlay_loader inlay_loader;

INLAY_C_API inlay_status inlay_loader_create(const inlay_source* source, const inlay_model_options* options,
                                             inlay_loader** loader, inlay_error* error);
/* Goes on for about `budget_us` microseconds; *model is the model when it is open, and else null. After an error the loader
 * can only be closed. */
INLAY_C_API inlay_status inlay_loader_step(inlay_loader* loader, uint32_t budget_us, inlay_model** model,
                                           inlay_error* error);
INLAY_C_API float inlay_loader_fraction(const inlay_loader* loader); /* of the whole, 0 to 1 */
/* From any thread: the step that is under way, or else the next one, ends with INLAY_CANCELLED. */
INLAY_C_API void inlay_loader_cancel(inlay_loader* loader);
INLAY_C_API void inlay_loader_close(inlay_loader* loader);

#define INLAY_POOLING_NONE 0 /* every token has its own embedding */
#define INLAY_POOLING_MEAN 1
#define INLAY_POOLING_CLS 2
#define INLAY_POOLING_LAST 3
#define INLAY_POOLING_RANK 4 /* scores of the model's classifier */
#define INLAY_POOLING_OF_FILE 255

typedef struct inlay_model_info {
  uint32_t struct_size;
  uint32_t n_layers, n_embd, n_heads, n_kv_heads, head_k, head_v, n_ff, n_vocab;
  uint32_t n_attention_layers; /* 0 in a recurrent model */
  uint32_t context;            /* positions that the model was trained for */
  int32_t writes;              /* 0: an encoder, of which an embedder can be made but no session */
  int32_t pooling;             /* INLAY_POOLING_ */
  uint32_t embedding;          /* floats of an embedding */
  uint32_t scores;             /* that the model's classifier gives; 0: it has none */
  int32_t weights;             /* INLAY_WEIGHTS_ */
  uint64_t packed_bytes;       /* that INLAY_WEIGHTS_PACKED takes of memory at most, beside what mapped takes */
  uint64_t file_bytes;
  int32_t shifts;              /* 1: inlay_session_options.reuse is possible */
  /* Of the host's memory, exactly: what the model keeps, its parts, and the most that opening takes at any moment. */
  uint64_t memory_total, memory_weights, memory_packed, memory_peak;
} inlay_model_info;

INLAY_C_API inlay_status inlay_model_get_info(const inlay_model* model, inlay_model_info* info, inlay_error* error);
/* general.architecture, and the SIMD target in use as Highway names it. Valid while the model is. */
INLAY_C_API const char* inlay_model_architecture(const inlay_model* model, size_t* size);
INLAY_C_API const char* inlay_model_target(const inlay_model* model, size_t* size);

/* The file's metadata, by index in the order of the file. Types have the file's numbers. */
#define INLAY_METADATA_U8 0
#define INLAY_METADATA_I8 1
#define INLAY_METADATA_U16 2
#define INLAY_METADATA_I16 3
#define INLAY_METADATA_U32 4
#define INLAY_METADATA_I32 5
#define INLAY_METADATA_F32 6
#define INLAY_METADATA_BOOL 7
#define INLAY_METADATA_STRING 8
#define INLAY_METADATA_ARRAY 9
#define INLAY_METADATA_U64 10
#define INLAY_METADATA_I64 11
#define INLAY_METADATA_F64 12
#define INLAY_NOT_FOUND ((size_t)-1)

INLAY_C_API size_t inlay_metadata_count(const inlay_model* model);
INLAY_C_API size_t inlay_metadata_find(const inlay_model* model, const char* key, size_t size); /* or INLAY_NOT_FOUND */
INLAY_C_API const char* inlay_metadata_key(const inlay_model* model, size_t index, size_t* size);
/* Of an array: INLAY_METADATA_ARRAY, the type of its elements, their number. Else: the type twice, and 1. */
INLAY_C_API int32_t inlay_metadata_type(const inlay_model* model, size_t index);
INLAY_C_API int32_t inlay_metadata_element_type(const inlay_model* model, size_t index);
INLAY_C_API uint64_t inlay_metadata_size(const inlay_model* model, size_t index);
/* The value, of an array that of an element: 1 if the type can hold it without loss of meaning, else 0. An element that
 * is a string is found by walking over those before it. */
INLAY_C_API int32_t inlay_metadata_u64(const inlay_model* model, size_t index, uint64_t element, uint64_t* out);
INLAY_C_API int32_t inlay_metadata_i64(const inlay_model* model, size_t index, uint64_t element, int64_t* out);
INLAY_C_API int32_t inlay_metadata_f64(const inlay_model* model, size_t index, uint64_t element, double* out);
INLAY_C_API int32_t inlay_metadata_bool(const inlay_model* model, size_t index, uint64_t element, int32_t* out);
INLAY_C_API const char* inlay_metadata_string(const inlay_model* model, size_t index, uint64_t element, size_t* size);

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

typedef int32_t inlay_token;
#define INLAY_NO_TOKEN (-1)

/* Flags of functions that turn text into tokens. */
#define INLAY_ADD_SPECIAL 1u   /* BOS and EOS where the vocabulary asks for them */
#define INLAY_PARSE_SPECIAL 2u /* text such as "<|im_end|>" becomes the control token of that name */
#define INLAY_TOKENIZE_DEFAULT 3u

/* INLAY_NO_TOKEN where the vocabulary has none. */
typedef struct inlay_special_tokens {
  uint32_t struct_size;
  inlay_token bos, eos, eot, unknown, padding, newline;
  inlay_token fim_prefix, fim_suffix, fim_middle, fim_pad, fim_repo, fim_separator;
  inlay_token separator, mask;
} inlay_special_tokens;

INLAY_C_API inlay_status inlay_get_special_tokens(const inlay_model* model, inlay_special_tokens* tokens,
                                                  inlay_error* error);
/* Room that is enough for any text of so many bytes, but of a rare kind of vocabulary. */
INLAY_C_API size_t inlay_max_tokens(size_t text_bytes);
/* Writes ids to `out` and their number to *count. Same ids as llama_tokenize. INLAY_BAD_ARGUMENT: no room. */
INLAY_C_API inlay_status inlay_tokenize(const inlay_model* model, const char* text, size_t size, uint32_t flags,
                                        inlay_token* out, size_t capacity, size_t* count, inlay_error* error);
/* The bytes of one token, which may be part of a character; of a control token none unless `special`. Returns the bytes
 * needed and writes them only if they fit; 0 for an invalid id. */
INLAY_C_API size_t inlay_token_bytes(const inlay_model* model, inlay_token token, int32_t special, char* out,
                                     size_t capacity);
INLAY_C_API int32_t inlay_token_is_end(const inlay_model* model, inlay_token token);
INLAY_C_API int32_t inlay_token_is_control(const inlay_model* model, inlay_token token);

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

typedef struct inlay_session inlay_session;

/* A field of inlay_sampling that nobody has set: what the model's file says, or else llama.cpp's default. */
#define INLAY_UNSET_FLOAT (-1000000.0f)
#define INLAY_UNSET_COUNT 0xfffffffeu
#define INLAY_ALL_TOKENS 0xffffffffu

typedef struct inlay_logit_bias {
  inlay_token token;
  float bias; /* added to the logit; minus infinity: never chosen */
} inlay_logit_bias;

/* Names, defaults and meaning are llama.cpp's. The init function leaves all fields unset of which the model's file may say
 * something, and turns the others off. */
typedef struct inlay_sampling {
  uint32_t struct_size;
  float temperature;      /* <= 0: greedy; 0.8 */
  uint32_t top_k;         /* 0: all; 40 */
  float top_p;            /* >= 1: off; 0.95 */
  float min_p;            /* <= 0: off; 0.05 */
  float repeat_penalty;   /* 1: off; 1 */
  uint32_t repeat_last_n; /* INLAY_ALL_TOKENS: all; 64 */
  float xtc_probability;  /* <= 0: off; 0 */
  float xtc_threshold;    /* > 0.5: off; 0.1 */
  uint32_t mirostat;      /* 0: off; 1, 2: that version; 0 */
  float mirostat_tau, mirostat_eta; /* 5, 0.1 */
  uint32_t min_keep;                /* candidates that top_p, min_p, typical_p and xtc leave at least */
  float dynatemp_range, dynatemp_exponent;
  float typical_p;   /* >= 1: off */
  float top_n_sigma; /* <= 0: off */
  float frequency_penalty, presence_penalty;
  float dry_multiplier, dry_base; /* multiplier 0: off */
  uint32_t dry_allowed_length, dry_last_n;
  float adaptive_target, adaptive_decay; /* target < 0: off */
  int32_t ignore_eos;
  uint32_t n_logit_bias;
  const inlay_logit_bias* logit_bias;
  const char* samplers; /* their order, as llama.cpp's --samplers: "top_k;top_p;temperature"; null: llama.cpp's */
  uint64_t seed;        /* the same seed gives the same text; 0 */
} inlay_sampling;

INLAY_C_API void inlay_sampling_init(inlay_sampling* sampling, uint32_t struct_size);

#define INLAY_KV_CACHE_F32 0
#define INLAY_KV_CACHE_F16 1
#define INLAY_KV_CACHE_Q8_0 2

typedef struct inlay_session_options {
  uint32_t struct_size;
  uint32_t context;               /* positions; 0: what the model was trained for, at most 4096 */
  uint32_t batch;                 /* most tokens of a prompt that are processed at once; 256 */
  uint32_t threads;               /* the caller's own included, 1 to 64; 1 */
  uint32_t max_tokens;            /* end after so many; 0: when the model or the context ends */
  int32_t kv_cache;               /* INLAY_KV_CACHE_; F16 */
  int32_t batch_invariant;        /* 1: logits do not depend on how a text was cut into batches; 0 */
  uint32_t snapshots;             /* of models with recurrent layers: states to go back to, 0 to 64; 4 */
  const inlay_sampling* sampling; /* null: nothing is set */
  const char* const* stop;        /* texts that end the output; NUL-terminated each; copied */
  uint32_t n_stop;                /* at most 16 of at most 255 bytes */
  uint32_t reuse;                 /* move spans of so many tokens or more that a new prompt has elsewhere; 0: off */
  int32_t logprobs;               /* 1: keep how probable each token of the output was: inlay_session_logprobs */
  uint32_t top_logprobs;          /* and so many of the most probable ones; 0 to 64 */
  /* A session of this model to take turns with, computing in its memory and on its workers; null: this one has its
     own. After INLAY_STEP_MORE, or a cancel, a batch may be under way in it: until that session was stepped to its next
     piece, or got another prompt, steps of the others fail with INLAY_BUSY, and can be called again then. */
  const inlay_session* workspace_of;
} inlay_session_options;

INLAY_C_API void inlay_session_options_init(inlay_session_options* options, uint32_t struct_size);

/* What a session or an embedder takes from the allocator, in bytes, exactly. */
typedef struct inlay_memory_plan {
  uint32_t struct_size;
  uint64_t kv_cache, activations, other;
  uint64_t recurrent_state; /* of kv_cache: what recurrent layers keep, and its snapshots */
  uint64_t total;           /* kv_cache + activations + other */
  uint64_t shared;          /* of a fork, beside total: what it has in common with others, and may have to take later */
} inlay_memory_plan;

/* Takes all memory that the session will ever need. *session is null after an error. */
INLAY_C_API inlay_status inlay_session_create(const inlay_model* model, const inlay_session_options* options,
                                              inlay_session** session, inlay_error* error);
/* What that would take, without taking it. */
INLAY_C_API inlay_status inlay_session_plan(const inlay_model* model, const inlay_session_options* options,
                                            inlay_memory_plan* plan, inlay_error* error);
INLAY_C_API void inlay_session_close(inlay_session* session);

/* A session that goes on from where this one is, with options of its own (but kv_cache), and shares what has been read: for
 * many characters with one prompt. The two are independent of each other, also on different threads. */
INLAY_C_API inlay_status inlay_session_fork(const inlay_session* session, const inlay_session_options* options,
                                            inlay_session** fork, inlay_error* error);
INLAY_C_API inlay_status inlay_session_plan_fork(const inlay_session* session, const inlay_session_options* options,
                                                 inlay_memory_plan* plan, inlay_error* error);

/* What is to be continued. The part that is equal to what the session holds is not read again. Computes nothing yet. */
INLAY_C_API inlay_status inlay_session_prompt(inlay_session* session, const char* text, size_t size, uint32_t flags,
                                              inlay_error* error);
INLAY_C_API inlay_status inlay_session_prompt_tokens(inlay_session* session, const inlay_token* tokens, size_t count,
                                                     inlay_error* error);

#define INLAY_STEP_MORE 0   /* the budget is used up and there is work left: call again */
#define INLAY_STEP_PIECE 1  /* a piece is ready: inlay_session_piece */
#define INLAY_STEP_DONE 2   /* the output has ended: inlay_session_stop_reason */
#define INLAY_STEP_FAILED 3 /* inlay_session_status; the session can take a new prompt */

/* Works for about `budget_us` microseconds and returns INLAY_STEP_. */
INLAY_C_API int32_t inlay_session_step(inlay_session* session, uint32_t budget_us);
/* The next piece of the output, or null when it has ended or failed. Blocks until then. */
INLAY_C_API const char* inlay_session_next(inlay_session* session, size_t* size);
/* After INLAY_STEP_PIECE: its text, whole UTF-8 characters, and the last token that it was made of. Valid until the next
 * call with this session that is not one of those that take it as const. */
INLAY_C_API const char* inlay_session_piece(const inlay_session* session, size_t* size);
INLAY_C_API inlay_token inlay_session_piece_token(const inlay_session* session);

#define INLAY_STOP_NONE 0
#define INLAY_STOP_END_OF_TEXT 1
#define INLAY_STOP_TEXT 2
#define INLAY_STOP_MAX_TOKENS 3
#define INLAY_STOP_CONTEXT_FULL 4
#define INLAY_STOP_CANCELLED 5

INLAY_C_API int32_t inlay_session_stop_reason(const inlay_session* session); /* INLAY_STOP_ */
/* What went wrong in a step, or INLAY_OK. */
INLAY_C_API inlay_status inlay_session_status(const inlay_session* session, inlay_error* error);
/* From any thread: ends the step that is under way, or else the next one; stepping again goes on. A new prompt forgets
 * it. */
INLAY_C_API void inlay_session_cancel(inlay_session* session);

/* Tokens of prompt and output so far; valid as inlay_session_piece is. */
INLAY_C_API const inlay_token* inlay_session_tokens(const inlay_session* session, size_t* count);

typedef struct inlay_token_logprob {
  inlay_token token;
  float logprob; /* natural logarithm of the probability */
} inlay_token_logprob;

/* `before`: what the model said; `after`: what biases, samplers and constraints left to draw from. */
typedef struct inlay_logprobs {
  uint32_t struct_size;
  inlay_token_logprob before, after;  /* of the token that was drawn; INLAY_NO_TOKEN where none was */
  uint32_t n_top_before, n_top_after; /* written, most probable first */
} inlay_logprobs;

/* Of the token at that place of inlay_session_tokens; at their count, of the one that ended the text. The arrays have room
 * for `capacity` each, and may be null. */
INLAY_C_API inlay_status inlay_session_logprobs(const inlay_session* session, uint32_t place, inlay_logprobs* logprobs,
                                                inlay_token_logprob* top_before, inlay_token_logprob* top_after,
                                                size_t capacity, inlay_error* error);
INLAY_C_API uint32_t inlay_session_cached(const inlay_session* session); /* how many of them need not be read again */
INLAY_C_API uint32_t inlay_session_reused(const inlay_session* session); /* of the last prompt's, those found cached */
INLAY_C_API inlay_status inlay_session_set_sampling(inlay_session* session, const inlay_sampling* sampling,
                                                    inlay_error* error);
/* Of the output, what is there included; 0: when the model or the context ends. */
INLAY_C_API void inlay_session_set_max_tokens(inlay_session* session, uint32_t max_tokens);
/* Reads `tokens` after those that were read before and hands the logits of each to `row` (which may be null), valid during
 * the call; with last_only, only of the last. */
INLAY_C_API inlay_status inlay_session_evaluate(inlay_session* session, const inlay_token* tokens, size_t count,
                                                int32_t last_only,
                                                void (*row)(void* user, size_t position, const float* logits,
                                                            size_t n_vocab),
                                                void* user, inlay_error* error);
/* Forgets all tokens after the first `keep`. */
INLAY_C_API void inlay_session_truncate(inlay_session* session, uint32_t keep);

/* What the output may be, decided by the program for one token after the other; null: anything. On the thread that steps.
 * The callbacks are those of inlay::Constraint; all but mask may be null. What `user` points to must stay until another
 * constraint is set or the session is closed. */
typedef struct inlay_constraint {
  uint32_t struct_size;
  /* Sets bit id % 64 of word id / 64 for each token that may come next. 0, or no bit: nothing may follow. */
  int32_t (*mask)(void* user, uint64_t* allowed, size_t words);
  int32_t (*allows)(void* user, inlay_token token);                   /* what mask would say of one token */
  void (*accept)(void* user, inlay_token token);                      /* it is the next token of the output */
  void (*rollback)(void* user, uint32_t tokens);                      /* the last `tokens` are taken back */
  uint32_t (*forced)(void* user, inlay_token* room, size_t capacity); /* tokens that must follow */
  void* user;
} inlay_constraint;

INLAY_C_API inlay_status inlay_session_constrain(inlay_session* session, const inlay_constraint* constraint,
                                                 inlay_error* error);

/* ---- a session as bytes ------------------------------------------------------------------------------------------ */

/* Tokens, KV cache, random numbers and what is held back of the output; not the options. The same model restores them with
 * any target, threads, batch and context. `skip`: so many first tokens are left out of the KV cache; they must be in the
 * cache of the session that restores. */
INLAY_C_API uint64_t inlay_session_state_bytes(const inlay_session* session, uint32_t skip);
/* `size` must be inlay_session_state_bytes. */
INLAY_C_API inlay_status inlay_session_save(const inlay_session* session, uint32_t skip, void* out, size_t size,
                                            inlay_error* error);
/* On an error the session is as it was. */
INLAY_C_API inlay_status inlay_session_restore(inlay_session* session, const void* state, size_t size,
                                               inlay_error* error);

/* Piece by piece; the session must stay as it is until the writer is closed. */
typedef struct inlay_state_writer inlay_state_writer;

INLAY_C_API inlay_status inlay_state_writer_create(const inlay_session* session, uint32_t skip,
                                                   inlay_state_writer** writer, inlay_error* error);
INLAY_C_API uint64_t inlay_state_writer_bytes(const inlay_state_writer* writer); /* of the whole state */
INLAY_C_API size_t inlay_state_writer_least_room(const inlay_state_writer* writer);
/* Writes the next bytes to `room` and their number to *written: 0 after the last. */
INLAY_C_API inlay_status inlay_state_writer_write(inlay_state_writer* writer, void* room, size_t size, size_t* written,
                                                  inlay_error* error);
INLAY_C_API void inlay_state_writer_close(inlay_state_writer* writer);

/* ---- embeddings and rankings ------------------------------------------------------------------------------------- */

typedef struct inlay_embedder inlay_embedder;

typedef struct inlay_embedder_options {
  uint32_t struct_size;
  uint32_t context; /* most tokens that are read at once; 0: what the model was trained for, at most 2048 */
  uint32_t threads; /* the caller's own included, 1 to 64; 1 */
} inlay_embedder_options;

typedef struct inlay_embed_options {
  uint32_t struct_size;
  int32_t pooling;   /* INLAY_POOLING_; OF_FILE */
  int32_t normalize; /* to length 1; 1 */
  uint32_t flags;    /* INLAY_TOKENIZE_DEFAULT */
} inlay_embed_options;

INLAY_C_API void inlay_embedder_options_init(inlay_embedder_options* options, uint32_t struct_size);
INLAY_C_API void inlay_embed_options_init(inlay_embed_options* options, uint32_t struct_size);

INLAY_C_API inlay_status inlay_embedder_create(const inlay_model* model, const inlay_embedder_options* options,
                                               inlay_embedder** embedder, inlay_error* error);
INLAY_C_API inlay_status inlay_embedder_plan(const inlay_model* model, const inlay_embedder_options* options,
                                             inlay_memory_plan* plan, inlay_error* error);
INLAY_C_API void inlay_embedder_close(inlay_embedder* embedder);

/* Writes a row of floats for each text (with INLAY_POOLING_NONE for each token) to `out`, which has room for `capacity`
 * floats, and the number of rows to *rows. A row has inlay_model_info.embedding floats, with INLAY_POOLING_RANK scores.
 * `sizes` may be null: then every text is NUL-terminated. */
INLAY_C_API inlay_status inlay_embed(inlay_embedder* embedder, const char* const* texts, const size_t* sizes,
                                     size_t n_texts, const inlay_embed_options* options, float* out, size_t capacity,
                                     size_t* rows, inlay_error* error);
/* How well each document answers the query: a row of inlay_model_info.scores floats for each; the first counts. */
INLAY_C_API inlay_status inlay_rank(inlay_embedder* embedder, const char* query, size_t query_size,
                                    const char* const* documents, const size_t* sizes, size_t n_documents, float* out,
                                    size_t capacity, size_t* rows, inlay_error* error);
/* The same in slices of a frame: takes as many of the first texts as are read at once and writes their number to *taken;
 * then inlay_embedder_step until it is INLAY_STEP_DONE; then the rows are there, until the next call. */
INLAY_C_API inlay_status inlay_embedder_start(inlay_embedder* embedder, const char* const* texts, const size_t* sizes,
                                              size_t n_texts, const inlay_embed_options* options, size_t* taken,
                                              inlay_error* error);
INLAY_C_API inlay_status inlay_embedder_start_ranking(inlay_embedder* embedder, const char* query, size_t query_size,
                                                      const char* const* documents, const size_t* sizes,
                                                      size_t n_documents, size_t* taken, inlay_error* error);
INLAY_C_API int32_t inlay_embedder_step(inlay_embedder* embedder, uint32_t budget_us);
INLAY_C_API size_t inlay_embedder_rows(const inlay_embedder* embedder);
INLAY_C_API const float* inlay_embedder_row(const inlay_embedder* embedder, size_t index, size_t* size);
INLAY_C_API void inlay_embedder_cancel(inlay_embedder* embedder); /* from any thread */

/* ---- texts of a given form (INLAY_WITH_GRAMMAR) ------------------------------------------------------------------ */

/* A compiled grammar, for one model's tokens. Any number of threads and sessions may use it. */
typedef struct inlay_grammar inlay_grammar;

#define INLAY_GRAMMAR_GBNF 0 /* llama.cpp's notation */
#define INLAY_GRAMMAR_JSON_SCHEMA 1
#define INLAY_GRAMMAR_REGEX 2 /* ECMAScript's, for the whole text */

/* A rule of GBNF whose form is said in another way; GBNF refers to it by its name. Never changes its size. */
typedef struct inlay_grammar_rule {
  const char* name; /* NUL-terminated, and so is the text */
  int32_t kind;     /* INLAY_GRAMMAR_JSON_SCHEMA or INLAY_GRAMMAR_REGEX */
  const char* text;
} inlay_grammar_rule;

typedef struct inlay_grammar_options {
  uint32_t struct_size;
  int32_t open_objects; /* JSON Schema: objects may have members that the schema does not name; 1 */
  uint32_t whitespace;  /* JSON Schema: most characters between two parts; 20 */
  /* Lazy: anything may be written until one of these appears; from there on the text has the form. */
  uint32_t n_trigger_words, n_trigger_patterns, n_trigger_tokens;
  const char* const* trigger_words;    /* NUL-terminated each */
  const char* const* trigger_patterns; /* regular expressions; NUL-terminated each */
  const inlay_token* trigger_tokens;
  const char* root; /* GBNF: the rule that the whole text is; NUL-terminated; null: "root" */
  const inlay_grammar_rule* rules; /* GBNF: those that are not written in it */
  uint32_t n_rules;
  int32_t any_order; /* JSON Schema: 1: members in any order, of objects with up to six; 0: in the schema's */
} inlay_grammar_options;

INLAY_C_API void inlay_grammar_options_init(inlay_grammar_options* options, uint32_t struct_size);
/* INLAY_BAD_ARGUMENT: line and column and what was expected; INLAY_UNSUPPORTED: a keyword, or a bound that is exceeded. */
INLAY_C_API inlay_status inlay_grammar_create(const inlay_model* model, int32_t kind, const char* text, size_t size,
                                              const inlay_grammar_options* options, inlay_grammar** grammar,
                                              inlay_error* error);
/* Sessions that use it keep what they need. */
INLAY_C_API void inlay_grammar_close(inlay_grammar* grammar);
/* Whether the whole text has the form: *matches is 1 or 0. */
INLAY_C_API inlay_status inlay_grammar_matches(const inlay_grammar* grammar, const char* text, size_t size,
                                               int32_t* matches, inlay_error* error);
/* The output of this session has the form from here on; null: any form. In place of inlay_session_constrain. */
INLAY_C_API inlay_status inlay_session_constrain_grammar(inlay_session* session, const inlay_grammar* grammar,
                                                         inlay_error* error);

/* A text of that form, the whole of it or an error: the answer to the session's prompt, in slices of a frame. The session does
 * nothing else, and stays, until this is closed. */
typedef struct inlay_fill inlay_fill;

/* `bytes`: the most that the text may have. */
INLAY_C_API inlay_status inlay_fill_create(inlay_session* session, const inlay_grammar* grammar, size_t bytes,
                                           inlay_fill** fill, inlay_error* error);
INLAY_C_API int32_t inlay_fill_step(inlay_fill* fill, uint32_t budget_us); /* INLAY_STEP_MORE, DONE or FAILED */
INLAY_C_API const char* inlay_fill_text(const inlay_fill* fill, size_t* size); /* so far */
/* INLAY_CONTEXT_FULL: max_tokens, the context or `bytes` were used up before the form was complete. */
INLAY_C_API inlay_status inlay_fill_status(const inlay_fill* fill, inlay_error* error);
INLAY_C_API void inlay_fill_close(inlay_fill* fill);

/* ---- chats (INLAY_WITH_CHAT) ------------------------------------------------------------------------------------- */

/* A model's chat template: messages in, the prompt out. Any number of threads may use it. */
typedef struct inlay_chat_template inlay_chat_template;

typedef struct inlay_chat_template_options {
  uint32_t struct_size;
  const char* name;   /* which of the file's templates; NUL-terminated; null: the one without a name */
  const char* source; /* a template in place of the file's; NUL-terminated; null: none */
} inlay_chat_template_options;

/* These two never change their sizes. All texts are NUL-terminated; null: none. */
typedef struct inlay_tool_call {
  const char* id;
  const char* name;
  const char* arguments; /* JSON */
} inlay_tool_call;

typedef struct inlay_chat_message {
  const char* role; /* system, user, assistant, tool */
  const char* content;
  const char* reasoning; /* of the assistant */
  const inlay_tool_call* tool_calls;
  size_t n_tool_calls;
  const char* tool_call_id; /* of a tool: what it answers, and the tool's name */
  const char* name;
} inlay_chat_message;

typedef struct inlay_chat_request {
  uint32_t struct_size;
  int32_t add_generation_prompt; /* 1: the prompt ends with what begins the assistant's answer; 1 */
  const inlay_chat_message* messages;
  size_t n_messages;
  const char* tools;     /* a JSON array in OpenAI's form; null: none */
  const char* variables; /* a JSON object of what else the template reads; null: nothing */
  int64_t now;           /* seconds since 1970 in the user's time zone; INLAY_CLOCK: the system's clock, in UTC */
} inlay_chat_request;

#define INLAY_CLOCK (-9223372036854775807 - 1)

INLAY_C_API void inlay_chat_template_options_init(inlay_chat_template_options* options, uint32_t struct_size);
INLAY_C_API void inlay_chat_request_init(inlay_chat_request* request, uint32_t struct_size);
INLAY_C_API inlay_status inlay_chat_template_create(const inlay_model* model, const inlay_chat_template_options* options,
                                                    inlay_chat_template** chat_template, inlay_error* error);
INLAY_C_API void inlay_chat_template_close(inlay_chat_template* chat_template);
/* 1: the file has none, and this is ChatML's. */
INLAY_C_API int32_t inlay_chat_template_is_fallback(const inlay_chat_template* chat_template);
/* The prompt's text: *size is what it needs; written if `capacity` is enough. */
INLAY_C_API inlay_status inlay_chat_template_render(const inlay_chat_template* chat_template,
                                                    const inlay_chat_request* request, char* out, size_t capacity,
                                                    size_t* size, inlay_error* error);
/* The prompt's tokens, for inlay_session_prompt_tokens: what messages spell like special tokens stays text, and BOS comes
 * exactly once. INLAY_BAD_ARGUMENT: no room. */
INLAY_C_API inlay_status inlay_chat_template_encode(const inlay_chat_template* chat_template,
                                                    const inlay_chat_request* request, inlay_token* out, size_t capacity,
                                                    size_t* count, inlay_error* error);

/* With INLAY_WITH_GRAMMAR: a grammar that keeps tool calls well-formed, in the form of the family that the template is of.
 * `tools`: a JSON array in OpenAI's form, NUL-terminated. `required` 0: the model may write anything until it begins a call;
 * 1: it writes calls from its first byte on. INLAY_BAD_ARGUMENT: no such array, or none in it; INLAY_UNSUPPORTED: a family
 * without tool calls, or a schema that cannot be kept. */
INLAY_C_API inlay_status inlay_chat_template_tool_grammar(const inlay_chat_template* chat_template, const char* tools,
                                                          int32_t required, inlay_grammar** grammar,
                                                          inlay_error* error);

/* What a chat model writes, taken apart as it comes, by the family that the template is of. */
typedef struct inlay_chat_parser inlay_chat_parser;

#define INLAY_CHAT_CONTENT 0
#define INLAY_CHAT_REASONING 1
#define INLAY_CHAT_TOOL_CALL 2 /* a call begins: the text is the tool's name; with an id if the model gave one */
#define INLAY_CHAT_ARGUMENTS 3 /* of that call: the next bytes of their JSON */
#define INLAY_CHAT_TOOL_END 4  /* the call is complete */

/* Gets a part; `call` counts tool calls from 0. Texts are valid during the call. */
typedef void (*inlay_chat_take)(void* user, int32_t part, uint32_t call, const char* text, size_t size, const char* id,
                                size_t id_size);

/* `prompt`: its end, which may have opened the reasoning. `tools`: those of the prompt, a JSON array in OpenAI's form,
 * NUL-terminated; null: none. Qwen3-Coder and GLM write no quotes: whether 12 is a number or text, the tool's schema says.
 * Neither is kept. */
INLAY_C_API inlay_status inlay_chat_parser_create(const inlay_chat_template* chat_template, const char* prompt,
                                                  size_t prompt_size, const char* tools, inlay_chat_parser** parser,
                                                  inlay_error* error);
INLAY_C_API void inlay_chat_parser_close(inlay_chat_parser* parser);
/* The next bytes of the output, special tokens by their names (inlay_token_bytes). What is handed out is never taken back. */
INLAY_C_API inlay_status inlay_chat_parser_push(inlay_chat_parser* parser, const char* text, size_t size,
                                                inlay_chat_take take, void* user, inlay_error* error);
/* The output has ended: hands out what was held back. */
INLAY_C_API inlay_status inlay_chat_parser_finish(inlay_chat_parser* parser, inlay_chat_take take, void* user,
                                                  inlay_error* error);

/* ---- speculation (INLAY_WITH_COMPLETION) ------------------------------------------------------------------------- */

/* Guesses of the next tokens, which are read together: the text stays the same and comes sooner. */
typedef struct inlay_drafts inlay_drafts;

typedef struct inlay_draft_options {
  uint32_t struct_size;
  uint32_t least_match;                 /* last tokens that must have stood somewhere before; 0: no lookup; 3 */
  uint32_t most;                        /* tokens of a guess, 1 to 7; 7 */
  const inlay_model* model;             /* a small one with the same vocabulary, or null */
  const inlay_session_options* session; /* of the small model; null: the defaults */
} inlay_draft_options;

INLAY_C_API void inlay_draft_options_init(inlay_draft_options* options, uint32_t struct_size);
/* For one session on this model. */
INLAY_C_API inlay_status inlay_drafts_create(const inlay_model* model, const inlay_draft_options* options,
                                             inlay_drafts** drafts, inlay_error* error);
/* After the session has been closed or told to do without. */
INLAY_C_API void inlay_drafts_close(inlay_drafts* drafts);
/* Also look here: the text before it was edited, the rest of a file. Not copied; null to forget it. */
INLAY_C_API void inlay_drafts_set_reference(inlay_drafts* drafts, const inlay_token* tokens, size_t count);
/* Null: no guesses from here on. */
INLAY_C_API void inlay_session_speculate(inlay_session* session, inlay_drafts* drafts);
/* Tokens guessed so far, and of them those that were right. */
INLAY_C_API uint64_t inlay_session_drafted(const inlay_session* session);
INLAY_C_API uint64_t inlay_session_accepted(const inlay_session* session);

/* ---- choosing (INLAY_WITH_COMPLETION) ---------------------------------------------------------------------------- */

/* Which of several texts the model finds the likeliest. Borrows the session, which does nothing else until it is done. */
typedef struct inlay_chooser inlay_chooser;

typedef struct inlay_choose_options {
  uint32_t struct_size;
  int32_t per_token; /* 1: compares means of tokens in place of sums, which are less for longer texts; 0 */
  uint32_t flags;    /* INLAY_TOKENIZE_DEFAULT */
  const char* after; /* stands behind each text, as a quote or a line break; NUL-terminated; null: nothing */
} inlay_choose_options;

/* Never changes its size. */
typedef struct inlay_choice {
  float probability; /* among the texts: these sum to 1 */
  float logprob;     /* what the model gives the text: natural logarithm */
  uint32_t tokens;   /* that logprob is the sum of */
} inlay_choice;

INLAY_C_API void inlay_choose_options_init(inlay_choose_options* options, uint32_t struct_size);
INLAY_C_API inlay_status inlay_chooser_create(inlay_session* session, inlay_chooser** chooser, inlay_error* error);
INLAY_C_API void inlay_chooser_close(inlay_chooser* chooser);
/* 1 to 1000 texts, none of them empty; copied. `sizes` may be null: then every text is NUL-terminated. */
INLAY_C_API inlay_status inlay_chooser_start(inlay_chooser* chooser, const char* prompt, size_t prompt_size,
                                             const char* const* texts, const size_t* sizes, size_t n_texts,
                                             const inlay_choose_options* options, inlay_error* error);
INLAY_C_API int32_t inlay_chooser_step(inlay_chooser* chooser, uint32_t budget_us); /* MORE, DONE or FAILED */
INLAY_C_API inlay_status inlay_chooser_run(inlay_chooser* chooser, inlay_error* error); /* all steps at once */
INLAY_C_API inlay_status inlay_chooser_status(const inlay_chooser* chooser, inlay_error* error);
/* When it is done: the index of the best text, which the session then has behind the prompt; and the numbers of each. */
INLAY_C_API uint32_t inlay_chooser_best(const inlay_chooser* chooser);
INLAY_C_API int32_t inlay_chooser_choice(const inlay_chooser* chooser, size_t index, inlay_choice* choice); /* 0: none */

/* ---- completing code as it is typed (INLAY_WITH_COMPLETION) ------------------------------------------------------ */

/* Follows a document, and has a completion at its cursor. By one thread at a time, but for inlay_completion_cancel. */
typedef struct inlay_completion inlay_completion;

#define INLAY_FIM_AUTOMATIC 0 /* as the model's family was trained */
#define INLAY_FIM_PSM 1       /* prefix, suffix, middle */
#define INLAY_FIM_SPM 2

typedef struct inlay_completion_options {
  uint32_t struct_size;
  uint32_t max_tokens; /* of a completion; 64 */
  uint32_t max_lines;  /* 0: any number; 16 */
  int32_t order;       /* INLAY_FIM_ */
  int32_t heal;        /* 1: a word that the cursor cuts is written anew; 1 */
  int32_t predict;     /* 1: while a completion is shown, the one after it is made; 1 */
  /* Most tokens of the text before the cursor, behind it, and of other files; 0 each: shares of the context. */
  uint32_t prefix_tokens, suffix_tokens, file_tokens;
  const char* repository;               /* its name, for models that want it; NUL-terminated; null: none */
  const inlay_session_options* session; /* null: the defaults, greedy */
  const inlay_draft_options* drafts;    /* null: the defaults */
  /* Microseconds that a suggestion begins in: where all takes longer, it is made of less text first; 0: never. 300000 */
  uint32_t first_us;
} inlay_completion_options;

typedef struct inlay_suggestion {
  uint32_t struct_size;
  int32_t complete;  /* 1: nothing will be added to it */
  const char* text;  /* to be inserted at the cursor */
  size_t size;       /* 0: there is nothing to show */
  float probability; /* of its least probable token */
  uint32_t n_tokens; /* that are at least partly in it */
  const float* token_probabilities;
  int32_t preliminary; /* 1: whole, but made of less text (first_us): another may replace it */
} inlay_suggestion;

INLAY_C_API void inlay_completion_options_init(inlay_completion_options* options, uint32_t struct_size);
INLAY_C_API inlay_status inlay_completion_create(const inlay_model* model, const inlay_completion_options* options,
                                                 inlay_completion** completion, inlay_error* error);
INLAY_C_API void inlay_completion_close(inlay_completion* completion);
/* Another file that may help, or a new text for one that is known; copied. Those with the highest priority are taken. */
INLAY_C_API inlay_status inlay_completion_set_file(inlay_completion* completion, const char* path, size_t path_size,
                                                   const char* text, size_t size, int32_t priority, inlay_error* error);
INLAY_C_API void inlay_completion_remove_file(inlay_completion* completion, const char* path, size_t path_size);
/* The document is this now, with the cursor after its first `cursor` bytes: call it for each keystroke. With `wanted` 0 it is
 * only read ahead, and nothing is suggested. */
INLAY_C_API inlay_status inlay_completion_update(inlay_completion* completion, const char* path, size_t path_size,
                                                 const char* text, size_t size, size_t cursor, int32_t wanted,
                                                 inlay_error* error);
/* INLAY_STEP_PIECE: the suggestion has changed. INLAY_STEP_DONE: there is nothing left to do. */
INLAY_C_API int32_t inlay_completion_step(inlay_completion* completion, uint32_t budget_us);
/* Until the suggestion is complete (INLAY_STEP_DONE) or so much time has passed (INLAY_STEP_MORE). */
INLAY_C_API int32_t inlay_completion_run(inlay_completion* completion, uint32_t deadline_us);
INLAY_C_API void inlay_completion_cancel(inlay_completion* completion); /* from any thread */
/* Set struct_size; what it points to is valid until the next call but inlay_completion_cancel. */
INLAY_C_API inlay_status inlay_completion_suggestion(const inlay_completion* completion, inlay_suggestion* suggestion,
                                                     inlay_error* error);
INLAY_C_API inlay_status inlay_completion_status(const inlay_completion* completion, inlay_error* error);

#ifdef __cplusplus
}
#endif

#endif /* INLAY_H_ */
